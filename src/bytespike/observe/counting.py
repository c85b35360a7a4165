"""What happens, counted into `tallies.Tallies`: on the path of every request, and so apart from the figures, which are data."""

from __future__ import annotations

from bisect import bisect_left

from bytespike.core.usage import Usage
from bytespike.observe.tallies import CHANNELS_MAX, DURATION_MS, OTHER, Tallies


def end(tallies: Tallies, endpoint: str, status: int) -> None:
    """A request ended. `status` 0: the caller hung up before it had an answer."""
    answered = tallies.answered
    answered[endpoint, status] = answered.get((endpoint, status), 0) + 1


def billed(
    tallies: Tallies,
    key: tuple[str, str, str, bool],
    outcome: str,
    latency_ms: int,
    first_token_ms: int,
    usage: Usage,
    credits: int,
) -> None:
    """An admitted request that was delivered. `key` as in `models`."""
    tally = tallies.models.get(key)
    if tally is None:
        tally = tallies.model(key)
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


def unbilled(tallies: Tallies, key: tuple[str, str, str, bool], outcome: str) -> None:
    """An admitted request of which nothing is to be paid."""
    tally = tallies.models.get(key)
    if tally is None:
        tally = tallies.model(key)
    tally.outcomes[outcome] = tally.outcomes.get(outcome, 0) + 1


def attempted(tallies: Tallies, channel_id: str, outcome: str, error: str) -> None:
    """An upstream call is over."""
    key = (channel_id, outcome, error)
    attempts = tallies.attempts
    count = attempts.get(key)
    if count is None:
        if len(attempts) >= CHANNELS_MAX:
            key = (OTHER, outcome, error)
        count = attempts.get(key, 0)
    attempts[key] = count + 1
