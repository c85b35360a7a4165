"""What a process counts: plain integers, bumped where something happens and read when somebody asks.

Counting is on the path of every request, so it is a look-up by a small key and some additions: no lock (one event loop),
no label objects, no text. Histograms are lists of counts by bucket, found by bisection.

Bounded: dialects, outcomes, statuses and endpoints are ours, models are the catalog's, channels the operator's. What a
caller sends (a model that nobody knows, a key, an address) is never a label: it is counted only once it has been resolved.
Past `MODELS_MAX` and `CHANNELS_MAX` the rest is counted together, as "other".

Everything is additive, so the tallies of several processes, and of those before them, are summed by `add`.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import msgspec
from msgspec import Struct

#: Upper bounds of the buckets of durations, milliseconds. A last one takes the rest.
DURATION_MS: Final = (
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000,
)  # fmt: skip
#: The same of the event loop's lag.
LAG_MS: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000)
#: Combinations of dialects and model, and of channel and outcome, that are counted apart.
MODELS_MAX: Final = 500
CHANNELS_MAX: Final = 4_000
#: Where all further ones are counted.
OTHER: Final = "other"
#: The upstream dialect of a request that no upstream was asked for.
NOBODY: Final = "none"
#: How an admitted request may end, beside a receipt's own reasons.
FAILED: Final = "failed"

#: The members of `core.usage.Usage` that are counted.
TOKENS: Final = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning")
UNITS: Final = ("web_searches", "images", "seconds")


class Histogram(Struct):
    """`counts` by bucket, one more than there are bounds; `total`: the sum of what was observed, in the bounds' unit."""

    counts: list[int]
    total: int = 0

    def add(self, other: Histogram) -> None:
        for place, count in enumerate(other.counts[: len(self.counts)]):
            self.counts[place] += count
        self.total += other.total


def durations() -> Histogram:
    return Histogram([0] * (len(DURATION_MS) + 1))


class ModelTally(Struct):
    """Of one combination of client's dialect, upstream's dialect, model, and whether it streams.

    `outcomes`: admitted requests by how they ended. The rest is of those that were billed: how long they took and how
    long until their first token, their usage in the order of `TOKENS` and `UNITS`, and micro-dollars.
    """

    outcomes: dict[str, int]
    latency: Histogram
    first_token: Histogram
    used: list[int]
    credits: int = 0

    def add(self, other: ModelTally) -> None:
        for outcome, count in other.outcomes.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
        self.latency.add(other.latency)
        self.first_token.add(other.first_token)
        for place, count in enumerate(other.used[: len(self.used)]):
            self.used[place] += count
        self.credits += other.credits


class Tallies(Struct):
    """All of it. `answered`: requests by endpoint and status. `models`: by client's dialect, upstream's dialect, model
    and streaming. `attempts`: upstream calls by channel id, outcome and error code. `lag`: of the event loop, in
    milliseconds."""

    answered: dict[tuple[str, int], int] = {}
    models: dict[tuple[str, str, str, bool], ModelTally] = {}
    attempts: dict[tuple[str, str, str], int] = {}
    lag: Histogram = msgspec.field(default_factory=lambda: Histogram([0] * (len(LAG_MS) + 1)))

    def lagged(self, lag_ms: int) -> None:
        """The loop was so late for something."""
        self.lag.counts[bisect_left(LAG_MS, lag_ms)] += 1
        self.lag.total += lag_ms

    def add(self, other: Tallies) -> None:
        """Take another process's in."""
        for key, count in other.answered.items():
            self.answered[key] = self.answered.get(key, 0) + count
        for model, tally in other.models.items():
            self.model(model).add(tally)
        for attempt, count in other.attempts.items():
            self.attempts[attempt] = self.attempts.get(attempt, 0) + count
        self.lag.add(other.lag)

    def model(self, key: tuple[str, str, str, bool]) -> ModelTally:
        """Where such requests are counted. `key` as in `models`."""
        tally = self.models.get(key)
        if tally is None and len(self.models) >= MODELS_MAX:
            client, upstream, _, stream = key
            key = (client, upstream, OTHER, stream)
            tally = self.models.get(key)
        if tally is None:
            used = [0] * (len(TOKENS) + len(UNITS))
            tally = self.models[key] = ModelTally({}, durations(), durations(), used)
        return tally
