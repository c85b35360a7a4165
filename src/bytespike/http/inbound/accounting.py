"""The headers that say what is left (CONTRACT section 4), on every answer once the caller is known."""

from __future__ import annotations

from bytespike.ledger.amounts import format_usd
from bytespike.ledger.standing import Standing


def accounting_lines(standing: Standing, held: int | None) -> bytes:
    """A block of header lines. `held`: micro-dollars held for this request; None before anything was estimated."""
    lines = f"x-quota-remaining-credits: {format_usd(max(0, standing.quota_remaining))}\r\n"
    window = standing.window
    if window is not None:
        lines += (
            f"x-ratelimit-limit: {format_usd(window.limit)}\r\n"
            f"x-ratelimit-remaining: {format_usd(max(0, window.remaining))}\r\n"
            f"x-ratelimit-reset: {window.reset}\r\n"
        )
    if standing.org_remaining is not None:
        lines += f"x-org-quota-remaining-credits: {format_usd(max(0, standing.org_remaining))}\r\n"
    if held is not None:
        lines += f"x-estimated-credits: {format_usd(held)}\r\n"
    return lines.encode("ascii")
