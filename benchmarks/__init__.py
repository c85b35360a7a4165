"""The load harness: what a request costs the gateway, beside what it costs nginx. `README.md` says how to read it."""
