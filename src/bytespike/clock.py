"""Time, injectable so that tests are deterministic."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now_us(self) -> int:
        """Unix time in microseconds. May jump: never use it to measure."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary point; never goes back."""
        ...


class SystemClock:
    """The machine's clock."""

    __slots__ = ()

    def now_us(self) -> int:
        return time.time_ns() // 1000

    #: The function itself: it is asked several times a request.
    monotonic_ns = staticmethod(time.monotonic_ns)
