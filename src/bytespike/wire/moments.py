"""Times as answers and callbacks show them: RFC 3339, in UTC, with milliseconds and `Z`."""

from __future__ import annotations

import datetime


def moment(us: int) -> str:
    """Unix microseconds as "2026-11-21T08:29:00.123Z"."""
    seconds, rest = divmod(us, 1_000_000)
    whole = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{rest // 1000:03d}Z"
