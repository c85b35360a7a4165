"""What every dialect reads of an upstream's error answer in the same way: how long to wait, and a body that is no JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Final

#: Of a provider's message so much is passed on.
MESSAGE_CHARS_MAX: Final = 2000
#: Nobody is told to wait longer.
RETRY_AFTER_S_MAX: Final = 24 * 3600

#: What an error that is the channel's or the provider's own is to the client. The provider's words may name the
#: operator's account.
NO_CHANNEL: Final = "No upstream is available for this model at the moment. Try again later."
UPSTREAM: Final = "The upstream failed to answer. Try again."
TIMEOUT: Final = "The upstream did not answer in time. Try again."


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds, or a date relative to the answer's own `date`).

    No clock is read: a date without the answer's date says nothing. Names may be in any case of letters.
    """
    lowered = {name.lower(): value.strip() for name, value in headers.items()}
    seconds = _number(lowered.get("retry-after-ms"))
    if seconds is not None:
        return bounded_wait(seconds / 1000)
    value = lowered.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return bounded_wait(seconds)
    until, now = _date(value), _date(lowered.get("date"))
    if until is None or now is None:
        return None
    return bounded_wait((until - now).total_seconds())


def bounded_wait(seconds: float) -> int:
    """Whole seconds, rounded up, and no more than a day."""
    return min(max(0, ceil(seconds)), RETRY_AFTER_S_MAX)


def _number(value: str | None) -> float | None:
    if not value or not value.replace(".", "", 1).isdigit() or not value.isascii():
        return None
    return min(float(value), RETRY_AFTER_S_MAX * 1000)


def _date(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return parsed if parsed.tzinfo is not None else None


def plain_text(body: bytes) -> str:
    """The message of a body that is no JSON. A proxy's HTML page says nothing to a client."""
    text = body[: MESSAGE_CHARS_MAX * 4].decode("utf-8", "replace").strip()
    return "" if text[:1] == "<" else text[:MESSAGE_CHARS_MAX]
