"""The headers that say what is left (CONTRACT section 4), on every answer once the caller is known."""

from __future__ import annotations

from bytespike.http.inbound.asgi import Headers
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.standing import Standing


def accounting_headers(standing: Standing, held: int | None) -> Headers:
    """`held`: micro-dollars held for this request; None before anything was estimated."""
    headers: Headers = []
    window = standing.window
    if window is not None:
        headers.append((b"x-ratelimit-limit", format_usd(window.limit).encode()))
        headers.append((b"x-ratelimit-remaining", format_usd(max(0, window.remaining)).encode()))
        headers.append((b"x-ratelimit-reset", b"%d" % window.reset))
    headers.append((b"x-quota-remaining-credits", format_usd(max(0, standing.quota_remaining)).encode()))
    if standing.org_remaining is not None:
        headers.append(
            (b"x-org-quota-remaining-credits", format_usd(max(0, standing.org_remaining)).encode())
        )
    if held is not None:
        headers.append((b"x-estimated-credits", format_usd(held).encode()))
    return headers
