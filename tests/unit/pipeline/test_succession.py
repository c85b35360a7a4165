"""Who is asked next, when things have changed since the plan was made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from bytespike.pipeline.succession import Succession
from bytespike.routing.candidates import PROBE
from bytespike.routing.ceilings import Ceilings
from bytespike.routing.health import HealthBoard
from bytespike.routing.values import Candidate, Passed

NOW = 1_800_000_000_000_000


class House:
    def __init__(self, *names: str, attempts_max: int = 4, **limits: int | None) -> None:
        self.now_us = NOW
        self.health = HealthBoard(chance=lambda: 0.0)
        self.ceilings = Ceilings(lambda: 0)
        self.parts: Any = SimpleNamespace(
            health=self.health,
            ceilings=self.ceilings,
            limits=SimpleNamespace(attempts_max=attempts_max),
            clock=SimpleNamespace(now_us=lambda: self.now_us),
        )
        channels = [SimpleNamespace(id=name, rpm=limits.get("rpm"), tpm=limits.get("tpm")) for name in names]
        self.candidates = tuple(Candidate(channel, None) for channel in channels)

    def plan(self, passed: tuple[Passed, ...] = ()) -> Any:
        return SimpleNamespace(candidates=self.candidates, passed=passed)

    def succession(self, *passed: Passed) -> Succession:
        return Succession(self.parts, self.plan(passed), 100)


def asked(succession: Succession) -> list[tuple[str, str]]:
    """Everybody in turn, each of whom fails: who, and why."""
    found = []
    while (candidate := succession.next()) is not None:
        if succession.begins(candidate):
            found.append((candidate.channel.id, succession.reason))
    return found


def test_they_are_asked_in_the_order_of_the_plan() -> None:
    assert asked(House("a", "b", "c").succession()) == [("a", "load"), ("b", "failover"), ("c", "failover")]


def test_no_more_are_asked_than_the_setting_allows() -> None:
    assert len(asked(House(*"abcdefg", attempts_max=3).succession())) == 3


def test_the_same_channel_in_other_words_is_no_further_channel() -> None:
    succession = House("a", "b", attempts_max=1).succession()
    first = succession.next()
    assert first is not None
    assert succession.begins(first)
    succession.again(first)
    again = succession.next()
    assert again is first
    assert succession.begins(again)
    assert succession.reason == "retold"
    assert succession.next() is None


def test_one_that_cannot_carry_the_request_does_not_count_as_asked() -> None:
    succession = House("a", "b", "c", attempts_max=1).succession()
    succession.next()
    candidate = succession.next()
    assert candidate is not None
    assert succession.begins(candidate)
    assert (candidate.channel.id, succession.reason) == ("b", "load")


def test_one_that_has_begun_to_rest_since_is_passed_over() -> None:
    house = House("a", "b")
    succession = house.succession()
    house.health.note_failure("a", "upstream", 500, None, NOW)
    assert asked(succession) == [("b", "load")]
    assert succession.passed == [Passed("a", "resting")]


def test_if_all_have_begun_to_rest_nobody_is_asked() -> None:
    house = House("a", "b")
    succession = house.succession()
    house.health.note_failure("a", "channel", 429, 30, NOW)
    house.health.note_failure("b", "channel", 401, None, NOW)
    assert asked(succession) == []
    assert succession.passed == [Passed("a", "resting"), Passed("b", "refused")]


def test_one_that_another_request_has_begun_to_probe_since_comes_last() -> None:
    house = House("a", "b")
    house.health.note_failure("a", "upstream", 500, None, NOW)
    house.now_us = house.health.of("a").resting_until
    house.candidates = (Candidate(house.candidates[0].channel, None, PROBE), house.candidates[1])
    first, second = house.succession(), house.succession()
    probing = first.next()
    assert probing is not None
    assert first.begins(probing)
    assert first.reason == "probe"
    house.health.begin("a")
    house.health.probe("a", house.now_us)
    assert asked(second) == [("b", "load"), ("a", "last_resort")]
    assert second.passed == [Passed("a", "probed")]


def test_a_ceiling_that_has_been_reached_since_is_kept() -> None:
    house = House("a", "b", rpm=1)
    first, second = house.succession(), house.succession()
    candidate = first.next()
    assert candidate is not None
    assert first.begins(candidate)
    assert first.claim is not None
    assert asked(second) == [("b", "load")]
    assert second.passed == [Passed("a", "ceiling")]


def test_channels_without_a_ceiling_claim_nothing() -> None:
    succession = House("a").succession()
    candidate = succession.next()
    assert candidate is not None
    assert succession.begins(candidate)
    assert succession.claim is None
