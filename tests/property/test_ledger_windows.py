from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bytespike.ledger.windows import RollingWindow

SPAN = 100
BUCKET = 7
times = st.integers(min_value=200, max_value=1_000)
spends = st.lists(st.tuples(times, st.integers(min_value=0, max_value=50)), max_size=40)


def counts(at: int, now: int) -> bool:
    """The rule, said once more: until its bucket is older than the span."""
    return now < (at // BUCKET + 1) * BUCKET + SPAN


@given(spends, st.lists(times, min_size=1, max_size=20))
def test_a_window_is_the_sum_of_what_counts_while_time_goes_on(
    spent: list[tuple[int, int]], moments: list[int]
) -> None:
    window = RollingWindow(SPAN, BUCKET)
    for at, amount in spent:
        window.add(at, amount)
    for now in sorted(moments):
        assert window.total(now) == sum(amount for at, amount in spent if counts(at, now))


@given(spends, times)
def test_money_leaves_up_to_a_bucket_late_and_never_early(spent: list[tuple[int, int]], now: int) -> None:
    window = RollingWindow(SPAN, BUCKET)
    for at, amount in spent:
        window.add(at, amount)
    exact = sum(amount for at, amount in spent if now < at + SPAN)
    late = sum(amount for at, amount in spent if now < at + SPAN + BUCKET)
    assert exact <= window.total(now) <= late


@given(st.lists(st.tuples(times, st.integers(0, 50), times), max_size=40), times)
def test_whatever_the_clock_does_it_is_right_or_says_that_it_forgot(
    steps: list[tuple[int, int, int]], now: int
) -> None:
    window = RollingWindow(SPAN, BUCKET)
    for at, amount, look in steps:
        window.add(at, amount)
        window.total(look)
    true = sum(amount for at, amount, _ in steps if counts(at, now))
    assert window.total(now) <= true
    assert window.total(now) == true or window.forgot(now)


@given(spends, st.lists(st.tuples(times, st.integers(1, 50), st.booleans()), max_size=20), st.lists(times))
def test_what_is_taken_back_counts_no_more_whenever_that_is(
    spent: list[tuple[int, int]], taken: list[tuple[int, int, bool]], looks: list[int]
) -> None:
    """Some is taken back at once, some only when time has gone on, and may have left by then."""
    window, without = RollingWindow(SPAN, BUCKET), RollingWindow(SPAN, BUCKET)
    for at, amount in spent:
        window.add(at, amount)
        without.add(at, amount)
    for at, amount, _ in taken:
        window.add(at, amount)
    for at, amount, late in taken:
        if not late:
            window.take(at, amount)
    first, *rest = sorted(looks) or [200]
    held = sum(amount for at, amount, late in taken if late and counts(at, first))
    assert window.total(first) == without.total(first) + held
    for at, amount, late in taken:
        if late:
            window.take(at, amount)
    for now in (first, *rest):
        assert window.total(now) == without.total(now)


@given(spends, times)
def test_a_window_restored_from_sums_goes_on_as_the_old_one(spent: list[tuple[int, int]], now: int) -> None:
    old, new = RollingWindow(SPAN, BUCKET), RollingWindow(SPAN, BUCKET)
    sums: dict[int, int] = {}
    for at, amount in spent:
        old.add(at, amount)
        if at >= new.since_us(now):
            sums[at // BUCKET] = sums.get(at // BUCKET, 0) + amount
    new.restore(sums.items())
    for later in range(now, 1_200, 3):
        assert new.total(later) == old.total(later)
        assert new.oldest_leaves_us(later) == old.oldest_leaves_us(later) or new.total(later) == 0


@given(spends, times, st.integers(min_value=1, max_value=2_000))
def test_enough_is_free_when_it_says_so_and_not_before(
    spent: list[tuple[int, int]], now: int, needed: int
) -> None:
    window = RollingWindow(SPAN, BUCKET)
    for at, amount in spent:
        window.add(at, amount)
    inside = window.total(now)
    at = window.frees_us(needed, now)
    if at is None:
        assert inside < needed
        return
    assert window.total(at - 1) > inside - needed
    assert window.total(at) <= inside - needed
