"""When a channel rests, for how long, and who brings it back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.routing.health import (
    JITTER,
    PROBE_US_MAX,
    REST_US_MAX,
    REST_US_MIN,
    RETRY_AFTER_S_MAX,
    UNKNOWN,
    HealthBoard,
    begun,
    ended,
    failed,
    probed,
    succeeded,
    usable,
)
from bytespike.routing.values import ChannelHealth

NOW = 1_800_000_000_000_000
SECOND = 1_000_000


def rest_us(health: ChannelHealth, now_us: int = NOW) -> int:
    return max(0, health.resting_until - now_us)


def test_a_channel_that_nothing_is_known_of_is_usable() -> None:
    assert usable(UNKNOWN, NOW)
    assert usable(HealthBoard().of("new"), NOW)


def test_each_failure_in_a_row_doubles_the_rest_up_to_a_minute() -> None:
    health, now, rests = UNKNOWN, NOW, []
    for _ in range(12):
        health = failed(health, "upstream", 500, None, now)
        assert not usable(health, now)
        rests.append(rest_us(health, now))
        now = health.resting_until
        assert usable(health, now)
    assert rests[:4] == [REST_US_MIN, 2 * REST_US_MIN, 4 * REST_US_MIN, 8 * REST_US_MIN]
    assert rests[-1] == REST_US_MAX
    assert rests == sorted(rests)


@pytest.mark.parametrize(
    ("about", "status"),
    [
        ("upstream", 0),
        ("upstream", 500),
        ("upstream", 502),
        ("upstream", 529),
        ("channel", 404),
        ("channel", 429),
    ],
)
def test_every_kind_of_failure_makes_a_channel_rest(about: str, status: int) -> None:
    health = failed(UNKNOWN, about, status, None, NOW)
    assert rest_us(health) == REST_US_MIN
    assert not health.needs_operator


def test_failures_that_were_under_way_together_count_once() -> None:
    health = failed(UNKNOWN, "upstream", 500, None, NOW)
    for _ in range(50):
        health = failed(health, "upstream", 500, None, NOW + 1000)
    assert rest_us(health) == REST_US_MIN
    assert health.failures == 1


def test_a_429_rests_for_as_long_as_the_upstream_says() -> None:
    health = failed(UNKNOWN, "channel", 429, 20, NOW)
    assert rest_us(health) == 20 * SECOND
    assert not usable(health, NOW + 20 * SECOND - 1)
    assert usable(health, NOW + 20 * SECOND)


def test_a_shorter_retry_after_does_not_cut_a_longer_one() -> None:
    health = failed(failed(UNKNOWN, "channel", 429, 60, NOW), "channel", 429, 1, NOW)
    assert rest_us(health) == 60 * SECOND


def test_a_retry_after_of_a_year_is_not_believed() -> None:
    health = failed(UNKNOWN, "channel", 429, 365 * 86_400, NOW)
    assert rest_us(health) == RETRY_AFTER_S_MAX * SECOND


@pytest.mark.parametrize("retry_after", [None, 0, -5])
def test_a_429_without_a_time_rests_like_any_failure(retry_after: int | None) -> None:
    assert rest_us(failed(UNKNOWN, "channel", 429, retry_after, NOW)) == REST_US_MIN


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_credential_waits_for_an_operator(status: int) -> None:
    health = failed(UNKNOWN, "channel", status, None, NOW)
    assert health.needs_operator
    assert not usable(health, NOW + 10**15)
    assert succeeded(health).needs_operator


def test_a_credential_status_that_is_not_about_the_channel_needs_nobody() -> None:
    assert not failed(UNKNOWN, "upstream", 403, None, NOW).needs_operator


def test_a_success_ends_the_rest_and_the_count() -> None:
    health = succeeded(
        failed(failed(UNKNOWN, "upstream", 500, None, NOW), "upstream", 500, None, NOW + REST_US_MIN)
    )
    assert usable(health, NOW)
    assert health.failures == 0
    assert rest_us(failed(health, "upstream", 500, None, NOW)) == REST_US_MIN


def test_a_clock_that_jumped_back_does_not_shut_a_channel_out() -> None:
    health = failed(UNKNOWN, "upstream", 500, None, NOW)
    assert usable(health, NOW - 86_400 * SECOND)


def test_what_is_under_way_is_never_negative() -> None:
    assert ended(UNKNOWN).in_flight == 0
    assert ended(begun(UNKNOWN, 1, 0)).in_flight == 0


# --- the board ------------------------------------------------------------------------------------------------


def test_the_operator_is_called_once() -> None:
    board = HealthBoard()
    assert board.note_failure("a", "channel", 401, None, NOW)
    assert not board.note_failure("a", "channel", 401, None, NOW)
    assert not board.note_failure("b", "upstream", 500, None, NOW)


def test_new_settings_give_a_channel_another_chance() -> None:
    board = HealthBoard()
    board.begin("a")
    board.note_failure("a", "channel", 401, None, NOW)
    board.reset("a")
    assert usable(board.of("a"), NOW)
    assert board.of("a").in_flight == 1
    assert board.note_failure("a", "channel", 403, None, NOW)


def test_channels_that_are_gone_are_forgotten_once_their_requests_are_over() -> None:
    board = HealthBoard()
    for name in ("kept", "gone", "busy"):
        board.begin(name)
    board.end("kept")
    board.end("gone")
    board.keep(frozenset({"kept"}))
    assert board.of("busy").in_flight == 1
    assert board.of("gone") == UNKNOWN
    assert board.of("kept") != UNKNOWN


def test_the_board_says_when_to_try_again() -> None:
    board = HealthBoard()
    assert board.retry_after_s(["a", "b"], NOW) is None
    board.note_failure("a", "channel", 429, 30, NOW)
    board.note_failure("b", "channel", 429, 12, NOW)
    board.note_failure("c", "channel", 401, None, NOW)
    assert board.retry_after_s(["a", "b", "c"], NOW) == 12
    assert board.retry_after_s(["a", "b", "c"], NOW + 1) == 12
    assert board.retry_after_s(["a"], NOW + 29_999_999) == 1
    assert board.retry_after_s(["c"], NOW) is None


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.integers(0, 100)),
        st.tuples(st.just("end"), st.none()),
        st.tuples(st.just("success"), st.none()),
        st.tuples(
            st.just("failure"),
            st.tuples(
                st.sampled_from(("upstream", "channel")),
                st.sampled_from((0, 401, 404, 429, 500, 503)),
                st.one_of(st.none(), st.integers(-10, 10**9)),
            ),
        ),
        st.tuples(st.just("wait"), st.integers(0, 10**9)),
    ),
    max_size=60,
)


@given(EVENTS)
def test_whatever_happens_a_rest_is_bounded_and_ends(events) -> None:
    board, now, under_way = HealthBoard(), NOW, 0
    for what, value in events:
        if what == "begin":
            board.begin("a", value)
            under_way += 1
        elif what == "end" and under_way:
            board.end("a")
            under_way -= 1
        elif what == "success":
            board.note_success("a")
        elif what == "failure":
            board.note_failure("a", *value, now)
        elif what == "wait":
            now += value
        health = board.of("a")
        assert health.in_flight == under_way
        assert health.resting_until <= now + RETRY_AFTER_S_MAX * SECOND
        assert usable(health, now + RETRY_AFTER_S_MAX * SECOND) or health.needs_operator


# --- jitter ---------------------------------------------------------------------------------------------------


def test_chance_adds_up_to_a_quarter_to_a_rest_and_takes_nothing_away() -> None:
    for failures in range(12):
        health = ChannelHealth(failures=failures)
        least = rest_us(failed(health, "upstream", 500, None, NOW))
        most = rest_us(failed(health, "upstream", 500, None, NOW, 1.0))
        assert most == least + int(least * JITTER)
    draws = iter([0.0, 0.5, 0.999])
    board = HealthBoard(chance=lambda: next(draws))
    rests = []
    for name in "abc":
        board.note_failure(name, "upstream", 500, None, NOW)
        rests.append(rest_us(board.of(name)))
    assert rests == sorted(set(rests))


def test_what_the_upstream_said_is_kept_to_without_chance() -> None:
    board = HealthBoard(chance=lambda: 1.0)
    board.note_failure("a", "channel", 429, 20, NOW)
    assert rest_us(board.of("a")) == 20 * SECOND


def test_429s_that_were_under_way_together_count_once() -> None:
    health = UNKNOWN
    for _ in range(50):
        health = failed(health, "channel", 429, 5, NOW)
    assert health.failures == 1


# --- half open ------------------------------------------------------------------------------------------------


def rested() -> tuple[HealthBoard, int]:
    """A board whose channel "a" has failed once, and the time at which its rest is just over."""
    board = HealthBoard(chance=lambda: 0.0)
    board.note_failure("a", "upstream", 500, None, NOW)
    return board, board.of("a").resting_until


def test_one_request_probes_a_channel_whose_rest_is_over() -> None:
    board, now = rested()
    assert not probed(board.of("a"), now)
    assert board.begin("a")
    assert board.probe("a", now)
    assert probed(board.of("a"), now)
    assert usable(board.of("a"), now), "if there is nobody else, others may go too"
    assert board.begin("a")
    assert not board.probe("a", now), "there is one probe"


def test_a_channel_that_is_well_is_not_probed() -> None:
    board = HealthBoard()
    assert not board.begin("a")
    assert not probed(board.of("a"), NOW)


def test_a_probe_that_succeeds_makes_it_well() -> None:
    board, now = rested()
    board.begin("a")
    assert board.probe("a", now)
    board.end("a", probe=True)
    assert board.note_success("a", now)
    assert not probed(board.of("a"), now)
    assert board.of("a").failures == 0


def test_a_probe_that_fails_makes_it_rest_for_longer() -> None:
    board, now = rested()
    board.begin("a")
    board.probe("a", now)
    board.end("a", probe=True)
    board.note_failure("a", "upstream", 500, None, now)
    assert rest_us(board.of("a"), now) == 2 * REST_US_MIN
    assert not probed(board.of("a"), board.of("a").resting_until)


def test_a_probe_without_a_verdict_leaves_it_to_the_next_request() -> None:
    board, now = rested()
    board.begin("a")
    board.probe("a", now)
    board.end("a", probe=True)
    assert not probed(board.of("a"), now)
    assert board.of("a").failures == 1
    board.begin("a")
    assert board.probe("a", now)


def test_the_end_of_another_request_does_not_end_the_probe() -> None:
    board, now = rested()
    board.begin("a")
    board.begin("a")
    board.probe("a", now)
    board.end("a")
    assert probed(board.of("a"), now)


def test_a_probe_is_not_waited_for_for_ever() -> None:
    board, now = rested()
    board.begin("a")
    board.probe("a", now)
    assert probed(board.of("a"), now + PROBE_US_MAX - 1)
    assert not probed(board.of("a"), now + PROBE_US_MAX)
    assert not probed(board.of("a"), now - 86_400 * SECOND), "nor after the clock has jumped back"


def test_the_success_of_a_request_that_began_before_the_failure_says_nothing_new() -> None:
    board = HealthBoard()
    board.note_failure("a", "channel", 429, 30, NOW)
    assert not board.note_success("a", NOW - 1)
    assert not usable(board.of("a"), NOW), "what the upstream said holds"
    assert board.note_success("a", NOW + 1)
    assert usable(board.of("a"), NOW)
    assert not board.note_success("a", NOW + 2), "it is told once that it is well"
