"""Where conversations live, when they are let go of, and where they go."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field

from bytespike.providers.endpoint import Endpoint, endpoints
from bytespike.routing.affinity import BUSY_MIN, MOVED_MAX, MOVED_US, Affinity
from bytespike.routing.candidates import candidates
from bytespike.routing.health import HealthBoard
from bytespike.routing.pace import SAMPLES_MIN, Pace
from bytespike.routing.values import Passed, Sticky

NOW = 1_800_000_000_000_000
COURSE = ("gpt-5-5", True)


class Account(Struct, frozen=True):
    platform: str
    base_urls: dict[str, str] = {}
    credential: str = "k"
    region: str = ""
    proxy: str | None = None
    headers: dict[str, str] = {}


SPOKEN = endpoints(Account("openai"))


class Channel(Struct, frozen=True):
    id: str
    priority: int = 0
    weight: int = 1
    rpm: int | None = None
    tpm: int | None = None
    endpoints: dict[str, Endpoint] = field(default_factory=lambda: SPOKEN)


ABC = [Channel("a"), Channel("b"), Channel("c")]


def conversation(number: int) -> int:
    return int.from_bytes(blake2b(str(number).encode(), digest_size=8).digest(), "little")


class Router:
    """One process."""

    def __init__(self, channels: list[Channel]) -> None:
        self.channels = channels
        self.affinity = Affinity()
        self.health = HealthBoard(chance=lambda: 0.0)
        self.pace = Pace()
        self.now = NOW
        self.passed: list[Passed] = []
        self.marks_asked = 0

    def order(self, mark: int) -> tuple[list[str], Sticky | None]:
        def asked() -> int:
            self.marks_asked += 1
            return mark

        self.passed = []
        found = candidates(
            self.channels, "openai_chat", now_us=self.now, health=self.health, passed=self.passed
        )
        found, sticky = self.affinity.arranged(
            found, self.channels, asked, COURSE, self.health, self.pace, self.now, self.passed
        )
        self.reason = found[0].reason
        return [each.channel.id for each in found], sticky

    def answer(self, mark: int) -> str:
        """One turn; gives the channel that answered it."""
        order, sticky = self.order(mark)
        if sticky is not None:
            self.affinity.settled(sticky, order[0], self.now)
        return order[0]


def test_every_process_finds_the_same_home() -> None:
    first, second = Router(ABC), Router(ABC[::-1])
    for number in range(200):
        mark = conversation(number)
        assert first.answer(mark) == second.answer(mark)
        assert first.reason == "affinity"


def test_a_conversation_stays_whatever_the_load_of_the_others_is() -> None:
    router = Router(ABC)
    homes = {number: router.answer(conversation(number)) for number in range(100)}
    for name in "abc":
        for _ in range(5):
            router.health.begin(name)
    router.health.begin("a")
    assert homes == {number: router.answer(conversation(number)) for number in range(100)}


def test_homes_are_shared_out_by_weight() -> None:
    router = Router([Channel("a", weight=1), Channel("b", weight=2), Channel("c", weight=7)])
    taken = Counter(router.answer(conversation(number)) for number in range(5_000))
    for name, share in (("a", 0.1), ("b", 0.2), ("c", 0.7)):
        assert abs(taken[name] / 5_000 - share) < 0.03


def test_priority_goes_before_affinity() -> None:
    router = Router([*ABC, Channel("z", priority=-1)])
    assert {router.answer(conversation(number)) for number in range(50)} == {"z"}
    assert router.marks_asked == 0, "there is nothing to choose, so nobody asks which conversation it is"


def test_a_channel_of_weight_nought_is_nobodys_home() -> None:
    router = Router([Channel("a"), Channel("b"), Channel("c", weight=0)])
    assert {router.answer(conversation(number)) for number in range(100)} == {"a", "b"}


def test_a_channel_that_comes_takes_only_its_own_share() -> None:
    before = Router(ABC)
    after = Router([*ABC, Channel("d")])
    moved = Counter()
    for number in range(2_000):
        old, new = before.answer(conversation(number)), after.answer(conversation(number))
        if old != new:
            moved[new] += 1
    assert set(moved) == {"d"}
    assert abs(moved["d"] / 2_000 - 0.25) < 0.04


# --- letting go -----------------------------------------------------------------------------------------------


def of_home(router: Router, home: str) -> list[int]:
    marks = [conversation(number) for number in range(300)]
    return [mark for mark in marks if router.answer(mark) == home]


def test_a_conversation_leaves_a_channel_that_rests_at_once_and_for_the_same_one_everywhere() -> None:
    routers = [Router(ABC), Router(ABC)]
    marks = of_home(routers[0], "a")
    for router in routers:
        router.health.note_failure("a", "upstream", 500, None, NOW)
    went = [[router.answer(mark) for mark in marks] for router in routers]
    assert went[0] == went[1]
    assert set(went[0]) == {"b", "c"}, "and not all to one"
    assert routers[0].passed == [Passed("a", "resting")]


def test_a_request_whose_home_fails_goes_on_to_the_same_one_everywhere_whatever_the_load() -> None:
    router, other = Router(ABC), Router(ABC)
    for _ in range(9):
        other.health.begin("b")
    for mark in of_home(router, "a"):
        assert router.order(mark)[0] == other.order(mark)[0]


def test_it_stays_where_it_went_for_there_its_cache_is_now() -> None:
    router = Router(ABC)
    mark = of_home(router, "a")[0]
    router.health.note_failure("a", "upstream", 500, None, NOW)
    went = router.answer(mark)
    router.health.reset("a")
    assert router.answer(mark) == went
    assert router.reason == "moved"
    assert router.affinity.moved == 1


def test_it_goes_on_when_that_one_rests_too() -> None:
    router = Router(ABC)
    mark = of_home(router, "a")[0]
    router.health.note_failure("a", "upstream", 500, None, NOW)
    went = router.answer(mark)
    router.health.note_failure(went, "upstream", 500, None, NOW)
    assert router.answer(mark) == ({"b", "c"} - {went}).pop()


def test_it_is_forgotten_when_it_has_not_gone_on_for_an_hour() -> None:
    router = Router(ABC)
    mark = of_home(router, "a")[0]
    router.health.note_failure("a", "upstream", 500, None, NOW)
    router.answer(mark)
    router.health.reset("a")
    router.now += MOVED_US + 1
    assert router.answer(mark) == "a"
    assert router.affinity.moved == 0


def test_going_home_again_forgets_that_it_was_away() -> None:
    router = Router(ABC)
    mark = of_home(router, "a")[0]
    router.affinity.settled(Sticky(mark, "a", moved=False), "b", NOW)
    assert router.answer(mark) == "b"
    router.health.note_failure("b", "upstream", 500, None, NOW)
    assert router.answer(mark) == "a"
    router.health.reset("b")
    assert router.answer(mark) == "a"
    assert router.affinity.moved == 0


def test_what_is_remembered_is_bounded() -> None:
    affinity = Affinity()
    for number in range(MOVED_MAX + 500):
        affinity.settled(Sticky(number, "home", moved=False), "elsewhere", NOW)
    assert affinity.moved == MOVED_MAX


def test_what_is_over_is_forgotten_by_those_that_come() -> None:
    affinity = Affinity()
    for number in range(1_000):
        affinity.settled(Sticky(number, "home", moved=False), "elsewhere", NOW)
    for number in range(1_000):
        affinity.settled(Sticky(5_000 + number, "home", moved=False), "elsewhere", NOW + MOVED_US + 1)
    assert affinity.moved == 1_000


def test_a_conversation_leaves_a_channel_that_is_slower_than_its_peers() -> None:
    router = Router(ABC)
    mark = of_home(router, "a")[0]
    for name, microseconds in (("a", 4_000_000), ("b", 1_000_000), ("c", 1_000_000)):
        for _ in range(SAMPLES_MIN):
            router.pace.note(name, COURSE, microseconds, NOW)
    order, _ = router.order(mark)
    assert order[0] != "a"
    assert order[-1] == "a", "who is left for being slow is asked last"
    assert router.passed == [Passed("a", "slow")]


def test_a_new_conversation_does_not_begin_on_a_slow_channel_even_when_it_is_idle() -> None:
    router = Router(ABC)
    for name, microseconds in (("a", 4_000_000), ("b", 1_000_000), ("c", 1_000_000)):
        for _ in range(SAMPLES_MIN):
            router.pace.note(name, COURSE, microseconds, NOW)
    for _ in range(5):
        router.health.begin("b")
        router.health.begin("c")
    assert "a" not in {router.answer(conversation(number)) for number in range(100)}


def test_a_slow_channel_is_asked_when_it_is_the_only_one_that_can_be() -> None:
    router = Router(ABC)
    for name, microseconds in (("a", 4_000_000), ("b", 1_000_000), ("c", 1_000_000)):
        for _ in range(SAMPLES_MIN):
            router.pace.note(name, COURSE, microseconds, NOW)
    for name in "bc":
        router.health.note_failure(name, "upstream", 500, None, NOW)
    order, _ = router.order(conversation(1))
    assert order == ["a"]
    assert Passed("a", "slow") not in router.passed


def test_where_all_are_slow_nobody_is() -> None:
    router = Router(ABC)
    homes = [router.answer(conversation(number)) for number in range(50)]
    for name in "abc":
        for _ in range(SAMPLES_MIN):
            router.pace.note(name, COURSE, 60_000_000, NOW)
    assert homes == [router.answer(conversation(number)) for number in range(50)]


def test_one_name_for_all_requests_does_not_tie_them_to_a_channel_that_is_busy() -> None:
    router = Router(ABC)
    mark = of_home(router, "a")[0]
    for _ in range(BUSY_MIN):
        router.health.begin("a")
    order, sticky = router.order(mark)
    assert order[0] != "a"
    assert router.passed == [Passed("a", "busy")]
    assert sticky is None, "the conversation stays"
    for _ in range(BUSY_MIN):
        router.health.begin("b")
        router.health.begin("c")
    assert router.answer(mark) == "a", "busy is meant against the others"


def test_the_one_that_is_probed_is_no_home() -> None:
    router = Router(ABC)
    mark = of_home(router, "a")[0]
    router.health.note_failure("a", "upstream", 500, None, NOW)
    router.now = router.health.of("a").resting_until
    order, _ = router.order(mark)
    assert (order[0], router.reason) == ("a", "probe"), "the first one probes it"
    router.health.begin("a")
    router.health.probe("a", router.now)
    order, _ = router.order(mark)
    assert order[0] != "a"
    assert order[-1] == "a"


@pytest.mark.parametrize("channels", [[Channel("a")], [Channel("a"), Channel("b", priority=1)]])
def test_nothing_is_remembered_where_there_is_nothing_to_choose(channels: list[Channel]) -> None:
    router = Router(channels)
    order, sticky = router.order(1)
    assert order[0] == "a"
    assert sticky is None
    assert router.marks_asked == 0


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from("abc"), st.booleans()), max_size=60),
)
def test_whatever_fails_only_channels_that_can_be_used_are_asked_and_healthy_homes_are_kept(events) -> None:
    router = Router(ABC)
    homes = {number: Router(ABC).answer(conversation(number)) for number in range(41)}
    for number, name, fails in events:
        if fails:
            router.health.note_failure(name, "upstream", 500, None, router.now)
        router.now += 100_000
        found = candidates(ABC, "openai_chat", now_us=router.now, health=router.health)
        if not found:
            continue
        order, _ = router.order(conversation(number))
        assert sorted(order) == sorted(each.channel.id for each in found)
        home = homes[number]
        if router.health.of(home).failures == 0 and not router.affinity.moved:
            assert order[0] == home
