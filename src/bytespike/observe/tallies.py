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

from bytespike.core.usage import Usage

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

    def end(self, endpoint: str, status: int) -> None:
        """A request ended. `status` 0: the caller hung up before it had an answer."""
        answered = self.answered
        answered[endpoint, status] = answered.get((endpoint, status), 0) + 1

    def billed(
        self,
        key: tuple[str, str, str, bool],
        outcome: str,
        latency_ms: int,
        first_token_ms: int,
        usage: Usage,
        credits: int,
    ) -> None:
        """An admitted request that was delivered. `key` as in `models`."""
        tally = self.models.get(key)
        if tally is None:
            tally = self._model(key)
        outcomes = tally.outcomes
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        latency = tally.latency
        latency.counts[bisect_left(DURATION_MS, latency_ms)] += 1
        latency.total += latency_ms
        first = tally.first_token
        first.counts[bisect_left(DURATION_MS, first_token_ms)] += 1
        first.total += first_token_ms
        used = tally.used
        used[0] += usage.input
        used[4] += usage.output
        if usage.cache_read or usage.cache_write_5m or usage.cache_write_1h or usage.reasoning:
            used[1] += usage.cache_read
            used[2] += usage.cache_write_5m
            used[3] += usage.cache_write_1h
            used[5] += usage.reasoning
        if usage.web_searches or usage.images or usage.seconds:
            used[6] += usage.web_searches
            used[7] += usage.images
            used[8] += usage.seconds
        tally.credits += credits

    def unbilled(self, key: tuple[str, str, str, bool], outcome: str) -> None:
        """An admitted request of which nothing is to be paid."""
        tally = self.models.get(key)
        if tally is None:
            tally = self._model(key)
        tally.outcomes[outcome] = tally.outcomes.get(outcome, 0) + 1

    def attempted(self, channel_id: str, outcome: str, error: str) -> None:
        """An upstream call is over."""
        key = (channel_id, outcome, error)
        attempts = self.attempts
        count = attempts.get(key)
        if count is None:
            if len(attempts) >= CHANNELS_MAX:
                key = (OTHER, outcome, error)
            count = attempts.get(key, 0)
        attempts[key] = count + 1

    def lagged(self, lag_ms: int) -> None:
        """The loop was so late for something."""
        self.lag.counts[bisect_left(LAG_MS, lag_ms)] += 1
        self.lag.total += lag_ms

    def add(self, other: Tallies) -> None:
        """Take another process's in."""
        for key, count in other.answered.items():
            self.answered[key] = self.answered.get(key, 0) + count
        for model, tally in other.models.items():
            self._model(model).add(tally)
        for attempt, count in other.attempts.items():
            self.attempts[attempt] = self.attempts.get(attempt, 0) + count
        self.lag.add(other.lag)

    def _model(self, key: tuple[str, str, str, bool]) -> ModelTally:
        tally = self.models.get(key)
        if tally is None and len(self.models) >= MODELS_MAX:
            client, upstream, _, stream = key
            key = (client, upstream, OTHER, stream)
            tally = self.models.get(key)
        if tally is None:
            used = [0] * (len(TOKENS) + len(UNITS))
            tally = self.models[key] = ModelTally({}, durations(), durations(), used)
        return tally
