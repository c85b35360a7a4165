"""How often something may be tried: a login, a few failures per address and email, then a pause; a model, a few times a
minute."""

from __future__ import annotations

from collections import OrderedDict

from bytespike.clock import Clock
from bytespike.errors import RateLimited

#: Failures that one (address, email) may have within the window, and one address with any emails.
FAILURES_MAX = 5
ADDRESS_FAILURES_MAX = 50
WINDOW_US = 15 * 60 * 1_000_000
#: Models that a user may try within a minute.
DIALS_MAX = 6
DIAL_WINDOW_US = 60 * 1_000_000
#: Pairs, and users, that are remembered; the one that failed longest ago is forgotten first.
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


class DialTurns:
    """How often each user may try. In memory."""

    __slots__ = ("_clock", "_tries")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tries: OrderedDict[str, list[int]] = OrderedDict()

    def take(self, user_id: str) -> None:
        """Raises `RateLimited`, with the seconds to wait."""
        now_us = self._clock.now_us()
        recent = [at for at in self._tries.pop(user_id, ()) if now_us - DIAL_WINDOW_US < at <= now_us]
        if len(recent) < DIALS_MAX:
            recent.append(now_us)
        self._tries[user_id] = recent
        while len(self._tries) > REMEMBERED_MAX:
            self._tries.popitem(last=False)
        if recent[-1] != now_us:
            wait_us = recent[0] + DIAL_WINDOW_US - now_us
            raise RateLimited(
                f"a model can be tried {DIALS_MAX} times a minute",
                retry_after=max(1, -(-wait_us // 1_000_000)),
            )
