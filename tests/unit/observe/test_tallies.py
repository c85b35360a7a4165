"""Counting: what is counted where, in a bounded number of places, and summed over processes."""

from __future__ import annotations

import msgspec

from bytespike.core.usage import Usage
from bytespike.observe import counting
from bytespike.observe.tallies import CHANNELS_MAX, DURATION_MS, MODELS_MAX, OTHER, Tallies

KEY = ("openai_chat", "anthropic_messages", "claude-sonnet-4-6", True)
USAGE = Usage(
    input=10, cache_read=20, cache_write_5m=3, cache_write_1h=4, output=50, reasoning=7, web_searches=2
)


def billed(tallies: Tallies, key: tuple[str, str, str, bool] = KEY, latency_ms: int = 100) -> None:
    counting.billed(tallies, key, "completed", latency_ms, 30, USAGE, 1_234)


def test_a_billed_request_is_in_every_figure():
    tallies = Tallies()
    billed(tallies)
    tally = tallies.models[KEY]
    assert tally.outcomes == {"completed": 1}
    assert tally.used == [10, 20, 3, 4, 50, 7, 2, 0, 0]
    assert tally.credits == 1_234
    assert tally.latency.total == 100
    assert tally.first_token.total == 30
    assert sum(tally.latency.counts) == sum(tally.first_token.counts) == 1


def test_a_duration_falls_into_the_first_bucket_that_takes_it():
    tallies = Tallies()
    for latency_ms in (0, 5, 6, DURATION_MS[-1], DURATION_MS[-1] + 1):
        billed(tallies, latency_ms=latency_ms)
    counts = tallies.models[KEY].latency.counts
    assert counts[:2] == [2, 1]
    assert counts[-2:] == [1, 1]


def test_a_request_that_is_not_billed_has_an_outcome_and_no_duration():
    tallies = Tallies()
    counting.unbilled(tallies, KEY, "failed")
    assert tallies.models[KEY].outcomes == {"failed": 1}
    assert not any(tallies.models[KEY].latency.counts)


def test_models_and_channels_beyond_the_bound_are_counted_together():
    tallies = Tallies()
    for number in range(MODELS_MAX + 50):
        billed(tallies, ("gemini", "gemini", f"model-{number}", False))
    assert len(tallies.models) == MODELS_MAX + 1
    assert tallies.models["gemini", "gemini", OTHER, False].outcomes == {"completed": 50}
    for number in range(CHANNELS_MAX + 50):
        counting.attempted(tallies, f"chn_{number}", "failed", "timeout")
    assert len(tallies.attempts) == CHANNELS_MAX + 1
    assert tallies.attempts[OTHER, "failed", "timeout"] == 50


def test_the_sum_of_two_processes_is_what_one_would_have_counted():
    one, two, all_of_it = Tallies(), Tallies(), Tallies()
    for place, tallies in ((1, one), (2, two)):
        for each in (tallies, all_of_it):
            for _ in range(place):
                billed(each, latency_ms=place * 1000)
                counting.end(each, "messages", 200)
            counting.attempted(each, "chn_1", "completed", "")
            counting.unbilled(each, ("gemini", "none", "m", False), "refused")
            each.lagged(place)
    one.add(two)
    assert one == all_of_it


def test_tallies_survive_their_file():
    tallies = Tallies()
    billed(tallies)
    counting.end(tallies, "messages", 200)
    counting.attempted(tallies, "chn_1", "failed", "timeout")
    tallies.lagged(3)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(tallies), type=Tallies) == tallies


def test_no_two_tallies_share_anything():
    billed(Tallies())
    assert Tallies().models == {}
