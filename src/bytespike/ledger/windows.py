"""Rolling windows: what was spent in the last 5 hours, day or week, at a stated resolution.

Guarantee. A micro-dollar spent at time t counts from t until some moment in [t + span, t + span + bucket): it leaves a
window up to one bucket late, never early. With the buckets below that is 60 s late in 5 h, 5 min in a day and half an
hour in a week (0.3 % of the span each).

How. Spend is summed into buckets, each the multiple of `bucket_us` in which it fell. A bucket leaves whole, when its
youngest moment is older than the span. A window keeps only buckets that have spend, at most span / bucket + 1 of them;
adding and reading are O(1) amortised, since each bucket is made once and leaves once.

The clock may jump. Buckets are kept in the order of their own times, not of their arrival, so spend that was recorded
before a jump stays where it belongs. A jump forward lets spend leave too early, and no bookkeeping can tell; but when
the clock comes back, `forgot(now)` is true for as long as something is missing, and the owner reads the window again
from the usage rows.

Restoring. The same rule over the usage table gives the same window: `restore` takes sums by bucket, as the database
grouped them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
#: Later than any time: nothing is going to leave.
NEVER_US = 1 << 62


class WindowSpec(NamedTuple):
    """`limit_field`: the key's field with the cap, micro-dollars, 0 for none. Spans are microseconds."""

    name: str
    limit_field: str
    span_us: int
    bucket_us: int


WINDOWS: tuple[WindowSpec, ...] = (
    WindowSpec("5h", "limit_5h", 5 * HOUR_US, MINUTE_US),
    WindowSpec("1d", "limit_1d", 24 * HOUR_US, 5 * MINUTE_US),
    WindowSpec("7d", "limit_7d", 7 * 24 * HOUR_US, 30 * MINUTE_US),
)

#: Requests per minute: counts instead of money.
RPM_SPAN_US = MINUTE_US
RPM_BUCKET_US = SECOND_US

_index = itemgetter(0)


class RollingWindow:
    """The sum of what fell into the last `span_us` microseconds. Amounts are integers, of whatever the owner counts."""

    __slots__ = ("_buckets", "_forgotten_until_us", "_leaves_us", "_sum", "bucket_us", "span_us")

    def __init__(self, span_us: int, bucket_us: int) -> None:
        self.span_us = span_us
        self.bucket_us = bucket_us
        self._buckets: deque[list[int]] = deque()  # [index, amount], by index
        self._sum = 0
        self._leaves_us = NEVER_US
        self._forgotten_until_us = 0

    def total(self, now_us: int) -> int:
        """What counts now."""
        if now_us >= self._leaves_us:
            self._leave(now_us)
        return self._sum

    def add(self, at_us: int, amount: int) -> None:
        """Something of `amount` happened at `at_us`."""
        index = at_us // self.bucket_us
        buckets = self._buckets
        if buckets and buckets[-1][0] == index:
            buckets[-1][1] += amount
        else:
            self._insert(index, amount)
        self._sum += amount

    def take(self, at_us: int, amount: int) -> None:
        """Of what was added at `at_us` so much is not spent after all. What has left is gone already."""
        index = at_us // self.bucket_us
        place = bisect_left(self._buckets, index, key=_index)
        if place == len(self._buckets) or self._buckets[place][0] != index:
            return
        self._sum -= amount
        bucket = self._buckets[place]
        bucket[1] -= amount
        if not bucket[1]:
            del self._buckets[place]
            self._leaves_us = self._end_us(self._buckets[0][0]) if self._buckets else NEVER_US

    def restore(self, sums: Iterable[tuple[int, int]]) -> None:
        """Add what the database knows: (bucket index, amount) pairs."""
        for index, amount in sums:
            self.add(index * self.bucket_us, amount)

    def oldest_leaves_us(self, now_us: int) -> int | None:
        """When the oldest of what counts now leaves, Unix microseconds; None if nothing counts."""
        self.total(now_us)
        return self._leaves_us if self._buckets else None

    def frees_us(self, needed: int, now_us: int) -> int | None:
        """When at least `needed` will have left, Unix microseconds; None if less than that is in here."""
        self.total(now_us)
        for index, amount in self._buckets:
            needed -= amount
            if needed <= 0:
                return self._end_us(index)
        return None

    def forgot(self, now_us: int) -> bool:
        """The clock went back to a time at which something would count that has been let go."""
        return now_us < self._forgotten_until_us

    def since_us(self, now_us: int) -> int:
        """The start of the oldest bucket that counts at `now_us`."""
        return (now_us - self.span_us) // self.bucket_us * self.bucket_us

    def _end_us(self, index: int) -> int:
        return (index + 1) * self.bucket_us + self.span_us

    def _leave(self, now_us: int) -> None:
        buckets = self._buckets
        while buckets:
            leaves_us = self._end_us(buckets[0][0])
            if now_us < leaves_us:
                self._leaves_us = leaves_us
                return
            self._sum -= buckets.popleft()[1]
            self._forgotten_until_us = max(self._forgotten_until_us, leaves_us)
        self._leaves_us = NEVER_US

    def _insert(self, index: int, amount: int) -> None:
        buckets = self._buckets
        if not buckets or buckets[-1][0] < index:
            buckets.append([index, amount])
        else:
            place = bisect_left(buckets, index, key=_index)
            if buckets[place][0] == index:
                buckets[place][1] += amount
            else:
                buckets.insert(place, [index, amount])
        self._leaves_us = self._end_us(buckets[0][0])
