from __future__ import annotations

import pytest

from bytespike.ledger.windows import WINDOWS, RollingWindow

SPAN = 1000
BUCKET = 100


def window() -> RollingWindow:
    return RollingWindow(SPAN, BUCKET)


def test_spend_counts_for_the_whole_span_and_leaves_at_the_end_of_its_bucket() -> None:
    rolling = window()
    rolling.add(5050, 7)
    assert rolling.total(5050) == 7
    assert rolling.total(5050 + SPAN) == 7  # never early
    assert rolling.total(5100 + SPAN - 1) == 7
    assert rolling.total(5100 + SPAN) == 0  # at most one bucket late


def test_spend_on_the_first_moment_of_a_bucket_waits_for_the_bucket_to_pass() -> None:
    rolling = window()
    rolling.add(5000, 1)
    rolling.add(5099, 2)
    assert rolling.total(5099 + SPAN) == 3
    assert rolling.total(5100 + SPAN) == 0


def test_buckets_leave_one_after_the_other() -> None:
    rolling = window()
    for at, amount in ((5000, 1), (5100, 2), (5250, 4)):
        rolling.add(at, amount)
    assert [rolling.total(now) for now in (6099, 6100, 6200, 6299, 6300)] == [7, 6, 4, 4, 0]


def test_it_tells_when_the_oldest_leaves() -> None:
    rolling = window()
    assert rolling.oldest_leaves_us(5000) is None
    rolling.add(5050, 1)
    rolling.add(5150, 1)
    assert rolling.oldest_leaves_us(5150) == 6100
    assert rolling.oldest_leaves_us(6100) == 6200
    assert rolling.oldest_leaves_us(6200) is None


def test_it_tells_when_enough_will_have_left() -> None:
    rolling = window()
    for at, amount in ((5000, 10), (5100, 20), (5200, 30)):
        rolling.add(at, amount)
    assert [rolling.frees_us(needed, 5200) for needed in (1, 10, 11, 30, 31, 60, 61)] == [
        6100,
        6100,
        6200,
        6200,
        6300,
        6300,
        None,
    ]


def test_spend_of_a_time_before_the_newest_goes_where_it_belongs() -> None:
    rolling = window()
    for at, amount in ((5300, 1), (5100, 2), (5200, 4), (5150, 8), (4900, 16)):
        rolling.add(at, amount)
    assert [rolling.total(now) for now in (5300, 6000, 6200, 6300, 6400)] == [31, 15, 5, 1, 0]


def test_after_a_jump_forward_and_back_it_knows_that_something_is_missing() -> None:
    rolling = window()
    rolling.add(5050, 7)
    assert not rolling.forgot(5050)
    assert rolling.total(50_000) == 0
    assert rolling.forgot(5060)
    assert rolling.forgot(6099)
    assert not rolling.forgot(6100)  # by now it would have left anyway


def test_a_small_step_back_loses_nothing() -> None:
    rolling = window()
    rolling.add(5050, 7)
    assert rolling.total(5500) == 7
    assert rolling.total(5040) == 7
    assert not rolling.forgot(5040)


def test_spend_under_a_clock_that_was_ahead_counts_late_but_counts() -> None:
    rolling = window()
    rolling.add(9000, 5)  # the clock was ahead
    rolling.add(5000, 3)
    assert rolling.total(5000) == 8
    assert rolling.total(6100) == 5
    assert rolling.total(10_100) == 0


def test_sums_from_the_database_give_the_same_window() -> None:
    live, restored = window(), window()
    spends = [(5010, 1), (5090, 2), (5500, 4), (5510, 8), (5900, 16)]
    for at, amount in spends:
        live.add(at, amount)
    now = 6050
    sums: dict[int, int] = {}
    for at, amount in spends:
        if at >= restored.since_us(now):
            sums[at // BUCKET] = sums.get(at // BUCKET, 0) + amount
    restored.restore(sums.items())
    assert [restored.total(at) for at in range(now, 8000, 10)] == [
        live.total(at) for at in range(now, 8000, 10)
    ]


@pytest.mark.parametrize("now", [6099, 6100, 6101, 6150])
def test_the_first_bucket_that_counts_is_the_oldest_that_has_not_left(now: int) -> None:
    rolling = window()
    since = rolling.since_us(now)
    assert since % BUCKET == 0
    rolling.add(since, 1)
    assert rolling.total(now) == 1
    rolling.add(since - 1, 1)
    assert rolling.total(now) == 1


def test_a_window_keeps_no_more_buckets_than_its_span_has() -> None:
    rolling = window()
    for at in range(0, 100_000, 7):
        rolling.add(at, 1)
        rolling.total(at)
    assert len(rolling._buckets) <= SPAN // BUCKET + 2


def test_the_stated_resolutions() -> None:
    assert [(spec.name, spec.span_us // 3_600_000_000, spec.bucket_us // 1_000_000) for spec in WINDOWS] == [
        ("5h", 5, 60),
        ("1d", 24, 300),
        ("7d", 168, 1800),
    ]
