"""TLS towards upstreams: verified, 1.2 or newer, HTTP/1.1 only."""

from __future__ import annotations

import ssl


def client_context(extra_ca_file: str | None = None) -> ssl.SSLContext:
    """A context that trusts the system's authorities and those in `extra_ca_file` (PEM), checks host names, and offers
    http/1.1 alone (ALPN). Raises OSError if the file cannot be read, ssl.SSLError if it is no PEM."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if extra_ca_file is not None:
        context.load_verify_locations(cafile=extra_ca_file)
    return context
