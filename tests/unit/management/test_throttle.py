import pytest

from bytespike.errors import RateLimited
from bytespike.http.management.throttle import (
    ADDRESS_FAILURES_MAX,
    FAILURES_MAX,
    REMEMBERED_MAX,
    WINDOW_US,
    LoginThrottle,
)


class Clock:
    def __init__(self) -> None:
        self.us = 1_800_000_000_000_000

    def now_us(self) -> int:
        return self.us

    def monotonic_ns(self) -> int:
        return self.us * 1000


def test_a_pair_may_fail_so_often_and_then_waits_until_the_first_failure_is_old() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    for _ in range(FAILURES_MAX):
        throttle.check("192.0.2.1", "a@x")
        throttle.failed("192.0.2.1", "a@x")
        clock.us += 1_000_000
    with pytest.raises(RateLimited) as caught:
        throttle.check("192.0.2.1", "a@x")
    assert caught.value.retry_after == WINDOW_US // 1_000_000 - FAILURES_MAX
    throttle.check("192.0.2.2", "a@x")
    throttle.check("192.0.2.1", "b@x")
    clock.us += WINDOW_US - FAILURES_MAX * 1_000_000
    throttle.check("192.0.2.1", "a@x")


def test_a_success_clears_its_pair_but_not_its_address() -> None:
    throttle = LoginThrottle(Clock())
    for number in range(ADDRESS_FAILURES_MAX):
        throttle.failed("192.0.2.1", f"{number}@x")
    throttle.succeeded("192.0.2.1", "0@x")
    with pytest.raises(RateLimited):
        throttle.check("192.0.2.1", "new@x")


def test_memory_is_bounded() -> None:
    throttle = LoginThrottle(Clock())
    for number in range(REMEMBERED_MAX):
        throttle.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "a@x")
    assert len(throttle) <= REMEMBERED_MAX
