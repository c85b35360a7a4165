"""When what is done next."""

from __future__ import annotations

import pytest

from bytespike.media.tasks.pacing import RETRY_AFTER_S_MAX, Pace, next_poll_us, retry_us

PACE = Pace()
NOW = 1_800_000_000_000_000


def pause_s(estimated: float, age: float = 0.0, retry_after: int | None = None, id: str = "task_1") -> float:
    started = NOW - round(age * 1e6)
    return (next_poll_us(PACE, id, estimated, started, NOW, retry_after) - NOW) / 1e6


def test_a_render_is_asked_for_after_about_a_tenth_of_what_it_takes() -> None:
    assert 0.8 * 10 <= pause_s(100) <= 10


def test_one_that_takes_longer_than_thought_is_asked_for_less_often() -> None:
    assert pause_s(30, age=150) > pause_s(30, age=10)


@pytest.mark.parametrize("estimated", [0, 1, 5, 60, 3600, 1e6])
def test_the_pause_has_bounds(estimated: float) -> None:
    assert 0.8 * PACE.poll_s_min <= pause_s(estimated) <= PACE.poll_s_max


def test_renders_that_began_together_drift_apart() -> None:
    assert len({pause_s(100, id=f"task_{number}") for number in range(50)}) > 25


def test_a_clock_that_was_set_back_does_no_harm() -> None:
    assert pause_s(10, age=-1e6) <= PACE.poll_s_max


def test_the_provider_says_how_long_to_wait_within_reason() -> None:
    assert pause_s(10, retry_after=120) == 120
    assert pause_s(10, retry_after=10**9) == RETRY_AFTER_S_MAX
    assert pause_s(100, retry_after=0) == pause_s(100)


def test_failures_in_a_row_rest_longer_up_to_a_bound() -> None:
    rests = [(retry_us(PACE, failures, NOW) - NOW) / 1e6 for failures in range(1, 40)]
    assert rests[:4] == [1, 2, 4, 8]
    assert rests == sorted(rests)
    assert rests[-1] == PACE.retry_s_max
    assert retry_us(PACE, 1, NOW, retry_after=90) - NOW == 90_000_000


def test_nothing_is_believed_lost_while_a_submission_may_be_under_way() -> None:
    assert PACE.reconcile_after_s > PACE.submit_timeout_s
    assert PACE.lease_s > PACE.callback_timeout_s
