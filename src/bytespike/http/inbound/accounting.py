"""The headers that say what is left (CONTRACT section 4), on every answer once the caller is known."""

from __future__ import annotations

from bytespike.ledger.amounts import format_usd
from bytespike.ledger.values import Standing


def accounting_lines(standing: Standing, held: int | None) -> str:
    """A block of header lines. `held`: micro-dollars held for this request; None before anything was estimated."""
    lines = "x-quota-remaining-credits: " + format_usd(max(0, standing.quota_remaining))
    window = standing.window
    if window is not None:
        lines += "\r\nx-ratelimit-limit: " + format_usd(window.limit)
        lines += "\r\nx-ratelimit-remaining: " + format_usd(max(0, window.remaining))
        lines += "\r\nx-ratelimit-reset: " + str(window.reset)
    org_remaining = standing.org_remaining
    if org_remaining is not None:
        lines += "\r\nx-org-quota-remaining-credits: " + format_usd(max(0, org_remaining))
    if held is not None:
        lines += "\r\nx-estimated-credits: " + format_usd(held)
    return lines + "\r\n"
