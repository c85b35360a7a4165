"""When a channel counts as slow."""

from __future__ import annotations

import pytest

from bytespike.routing.pace import AVERAGES_MAX, FRESH_US, SAMPLES_MIN, SLOW_FACTOR, SLOW_US_MIN, Pace

NOW = 1_800_000_000_000_000
COURSE = ("gpt-5-5", True)


def pace_of(now_us: int = NOW, samples: int = SAMPLES_MIN, **first_byte_ms: int) -> Pace:
    pace = Pace()
    for name, milliseconds in first_byte_ms.items():
        for _ in range(samples):
            pace.note(name, COURSE, milliseconds * 1000, now_us)
    return pace


@pytest.mark.parametrize(
    ("a", "others", "slow"),
    [
        (3_100, {"b": 1_000, "c": 1_000}, True),
        (2_900, {"b": 1_000, "c": 1_000}, False),
        (3_100, {"b": 1_000, "c": 2_000}, False),
        (100, {"b": 10, "c": 10}, False),
        (1_000, {}, False),
    ],
)
def test_slow_is_a_factor_of_what_the_peers_take_on_average_and_a_quarter_of_a_second(
    a: int, others: dict[str, int], slow: bool
) -> None:
    assert (SLOW_FACTOR, SLOW_US_MIN) == (3.0, 250_000)
    assert pace_of(a=a, **others).slow("a", ["a", *others], COURSE, NOW) is slow


def test_too_few_answers_say_nothing() -> None:
    few = pace_of(samples=SAMPLES_MIN - 1, a=9_000)
    many = pace_of(b=100)
    assert not few.slow("a", ["b"], COURSE, NOW)
    for _ in range(SAMPLES_MIN - 1):
        many.note("a", COURSE, 9_000_000, NOW)
    assert not many.slow("a", ["b"], COURSE, NOW)
    many.note("a", COURSE, 9_000_000, NOW)
    assert many.slow("a", ["b"], COURSE, NOW)


def test_old_answers_say_nothing_so_that_it_is_tried_again() -> None:
    pace = pace_of(a=9_000, b=100)
    assert pace.slow("a", ["b"], COURSE, NOW + FRESH_US)
    assert not pace.slow("a", ["b"], COURSE, NOW + FRESH_US + 1)
    pace.note("a", COURSE, 9_000_000, NOW + FRESH_US + 1)
    assert not pace.slow("a", ["b"], COURSE, NOW + FRESH_US + 1), "its count begins anew"


def until(pace: Pace, first_byte_us: int, slow: bool) -> int:
    """How many answers of that length it takes until "a" is (no longer) slow."""
    for count in range(1, 50):
        pace.note("a", COURSE, first_byte_us, NOW)
        if pace.slow("a", ["b"], COURSE, NOW) is slow:
            return count
    raise AssertionError("it does not follow")


def test_the_average_follows_a_change() -> None:
    pace = pace_of(a=100, b=100)
    assert until(pace, 5_000_000, slow=True) <= 3
    assert until(pace, 100_000, slow=False) <= 20


def test_models_and_kinds_of_answer_are_not_compared_with_each_other() -> None:
    pace = pace_of(a=9_000, b=100)
    assert not pace.slow("a", ["b"], ("gpt-5-5", False), NOW)
    assert not pace.slow("a", ["b"], ("gpt-4o", True), NOW)


def test_memory_is_bounded_and_channels_that_are_gone_are_forgotten() -> None:
    pace = Pace()
    for number in range(AVERAGES_MAX + 50):
        pace.note(f"c{number}", COURSE, 1, NOW)
    assert len(pace._averages) == AVERAGES_MAX
    pace.keep(frozenset({"c100"}))
    assert len(pace._averages) == 1
