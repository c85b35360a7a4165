"""How often a login may be tried: a few failures per address and email, then a pause."""

from __future__ import annotations

from collections import OrderedDict

from bytespike.clock import Clock
from bytespike.errors import RateLimited

#: Failures that one (address, email) may have within the window, and one address with any emails.
FAILURES_MAX = 5
ADDRESS_FAILURES_MAX = 50
WINDOW_US = 15 * 60 * 1_000_000
#: Pairs that are remembered; the one that failed longest ago is forgotten first.
REMEMBERED_MAX = 20_000


class LoginThrottle:
    """Counts failures in memory. A success clears its pair, not its address."""

    __slots__ = ("_clock", "_failures")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], list[int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def check(self, address: str, email: str) -> None:
        """Raises `RateLimited`, with the seconds to wait."""
        now_us = self._clock.now_us()
        for key, most in (((address, email), FAILURES_MAX), ((address, ""), ADDRESS_FAILURES_MAX)):
            recent = [at for at in self._failures.get(key, ()) if at > now_us - WINDOW_US]
            if len(recent) >= most:
                wait_us = recent[-most] + WINDOW_US - now_us
                raise RateLimited(
                    "too many failed logins; wait before the next",
                    retry_after=max(1, -(-wait_us // 1_000_000)),
                )

    def failed(self, address: str, email: str) -> None:
        now_us = self._clock.now_us()
        for key, most in (((address, email), FAILURES_MAX), ((address, ""), ADDRESS_FAILURES_MAX)):
            times = [at for at in self._failures.pop(key, ()) if at > now_us - WINDOW_US]
            self._failures[key] = [*times, now_us][-most:]
        while len(self._failures) > REMEMBERED_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, address: str, email: str) -> None:
        self._failures.pop((address, email), None)
