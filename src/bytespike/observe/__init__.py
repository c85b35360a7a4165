"""What the operator sees. Nothing here may hold a secret, nor a prompt unless traces are told to.

- `tallies`    what is counted as it happens; `families` every metric there is; `metrics` the page
- `shelf`      how several workers tell one scrape; `pulse` the heartbeat that does it, and the loop's lag
- `tracing`    spans of requests and upstream calls; `genai` their names; `contents` prompts; `otlp` the way to a collector
- `logs`       structured logs, and what is taken out of them
"""
