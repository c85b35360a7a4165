"""Who is asked, and in which order."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct, field

from bytespike.providers.endpoint import Endpoint, endpoints
from bytespike.routing.candidates import CONSIDERED_MAX, LAST_RESORT, PROBE, candidates, speaking
from bytespike.routing.ceilings import NO_ROOM, Ceilings
from bytespike.routing.health import HealthBoard
from bytespike.routing.values import Passed

NOW = 1_800_000_000_000_000


class Account(Struct, frozen=True):
    platform: str
    base_urls: dict[str, str] = {}
    credential: str = "k"
    region: str = ""
    proxy: str | None = None
    headers: dict[str, str] = {}


SPOKEN = {platform: endpoints(Account(platform)) for platform in ("anthropic", "openai", "deepseek")}


class Channel(Struct, frozen=True):
    id: str
    priority: int = 0
    weight: int = 1
    endpoints: dict[str, Endpoint] = field(default_factory=lambda: SPOKEN["openai"])


def order(channels, health=None, dialect="openai_chat", **more) -> list[str]:
    found = candidates(channels, dialect, now_us=NOW, health=health or HealthBoard(), **more)
    return [candidate.channel.id for candidate in found]


def test_a_group_without_channels_has_no_candidates() -> None:
    assert order([]) == []


def test_the_lowest_priority_number_is_first() -> None:
    assert order([Channel("c", 9), Channel("a", 1), Channel("b", -5)]) == ["b", "a", "c"]


def test_priority_comes_before_load() -> None:
    health = HealthBoard()
    for _ in range(100):
        health.begin("first")
    assert order([Channel("second", 1), Channel("first", 0)], health) == ["first", "second"]


def test_the_least_busy_is_first_among_equals() -> None:
    health = HealthBoard()
    health.begin("a")
    assert order([Channel("a"), Channel("b")], health) == ["b", "a"]
    health.begin("b")
    health.begin("b")
    assert order([Channel("a"), Channel("b")], health) == ["a", "b"]


def test_busy_is_meant_for_the_weight() -> None:
    health = HealthBoard()
    for _ in range(3):
        health.begin("large", weight=10)
    health.begin("small", weight=1)
    assert order([Channel("small", weight=1), Channel("large", weight=10)], health) == ["large", "small"]


def test_the_same_facts_give_the_same_order_whatever_order_they_came_in() -> None:
    channels = [Channel(name) for name in "dacb"]
    assert order(channels) == order(channels[::-1]) == ["a", "b", "c", "d"]


def test_a_channel_of_weight_nought_is_the_last_resort_of_its_priority() -> None:
    health = HealthBoard()
    for _ in range(50):
        health.begin("busy")
    channels = [Channel("idle", weight=0), Channel("busy"), Channel("later", priority=1)]
    assert order(channels, health) == ["busy", "idle", "later"]


def take_turns(channels: list[Channel], health: HealthBoard, requests: int) -> Counter[str]:
    """One request after the other: each is over before the next begins."""
    taken: Counter[str] = Counter()
    for _ in range(requests):
        chosen = candidates(channels, "openai_chat", now_us=NOW, health=health)[0].channel
        health.begin(chosen.id, chosen.weight)
        health.end(chosen.id)
        taken[chosen.id] += 1
    return taken


def test_idle_channels_share_the_work_by_weight() -> None:
    channels = [Channel("a", weight=1), Channel("b", weight=3), Channel("c", weight=6)]
    taken = take_turns(channels, HealthBoard(), 1000)
    assert taken.total() == 1000
    for channel in channels:
        assert abs(taken[channel.id] - channel.weight * 100) <= 1


def test_a_channel_that_was_away_does_not_claim_what_it_missed() -> None:
    health = HealthBoard()
    take_turns([Channel("old")], health, 1000)
    taken = take_turns([Channel("old"), Channel("new")], health, 100)
    assert abs(taken["old"] - taken["new"]) <= 2


def test_under_load_the_work_is_shared_by_weight_too() -> None:
    channels = [Channel("a", weight=1), Channel("b", weight=4)]
    health = HealthBoard()
    under_way = []
    for _ in range(100):
        chosen = candidates(channels, "openai_chat", now_us=NOW, health=health)[0].channel
        health.begin(chosen.id, chosen.weight)
        under_way.append(chosen.id)
    assert abs(Counter(under_way)["a"] - 20) <= 1


def test_a_resting_channel_is_left_out_until_its_time() -> None:
    health = HealthBoard()
    health.note_failure("a", "channel", 429, 30, NOW)
    assert order([Channel("a"), Channel("b")], health) == ["b"]
    later = candidates([Channel("a")], "openai_chat", now_us=NOW + 30_000_000, health=health)
    assert [candidate.channel.id for candidate in later] == ["a"]


def test_a_channel_that_needs_an_operator_is_left_out() -> None:
    health = HealthBoard()
    health.note_failure("a", "channel", 401, None, NOW)
    assert order([Channel("a")], health) == []


def test_each_candidate_brings_the_endpoint_that_would_be_called() -> None:
    channels = [Channel("x", endpoints=SPOKEN["anthropic"]), Channel("y", endpoints=SPOKEN["deepseek"])]
    for dialect, chosen in (
        ("openai_chat", {"x": "anthropic_messages", "y": "openai_chat"}),
        ("anthropic_messages", {"x": "anthropic_messages", "y": "anthropic_messages"}),
    ):
        found = candidates(channels, dialect, now_us=NOW, health=HealthBoard())
        assert {each.channel.id: each.endpoint.dialect for each in found} == chosen
        for each in found:
            assert each.endpoint is each.channel.endpoints[each.endpoint.dialect]


def test_without_translation_only_native_channels_remain() -> None:
    channels = [Channel("x", endpoints=SPOKEN["anthropic"]), Channel("y", endpoints=SPOKEN["deepseek"])]
    assert order(channels, translate=False) == ["y"]
    assert [channel.id for channel in speaking(channels, "openai_chat", translate=False)] == ["y"]
    assert [channel.id for channel in speaking(channels, "openai_chat")] == ["x", "y"]


def test_a_channel_that_speaks_nothing_is_left_out() -> None:
    assert order([Channel("mute", endpoints={}), Channel("a")]) == ["a"]


# --- probes, ceilings, and what is passed over ------------------------------------------------------------------


class Limited(Struct, frozen=True):
    id: str
    priority: int = 0
    weight: int = 1
    rpm: int | None = None
    tpm: int | None = None
    endpoints: dict[str, Endpoint] = field(default_factory=lambda: SPOKEN["openai"])


def test_the_first_request_after_a_rest_probes_and_the_others_go_elsewhere() -> None:
    health = HealthBoard(chance=lambda: 0.0)
    health.note_failure("a", "upstream", 500, None, NOW)
    later = health.of("a").resting_until
    channels = [Channel("a", priority=-1), Channel("b"), Channel("c", priority=9)]

    def found() -> list[tuple[str, str]]:
        return [
            (each.channel.id, each.reason)
            for each in candidates(channels, "openai_chat", now_us=later, health=health)
        ]

    assert found() == [("a", PROBE), ("b", ""), ("c", "")]
    health.begin("a")
    health.probe("a", later)
    assert found() == [("b", ""), ("c", ""), ("a", LAST_RESORT)], "also behind those of a worse priority"
    alone = candidates([channels[0]], "openai_chat", now_us=later, health=health)
    assert [each.channel.id for each in alone] == ["a"], "if there is no elsewhere they may go"


def test_who_is_passed_over_is_told_with_the_reason() -> None:
    health = HealthBoard()
    ceilings = Ceilings(lambda: 0)
    health.note_failure("rests", "channel", 429, 30, NOW)
    health.note_failure("refused", "channel", 401, None, NOW)
    full = Limited("full", rpm=1)
    assert ceilings.claim(full, 0) != NO_ROOM
    channels = [Limited("rests"), Limited("refused"), full, Limited("well")]
    passed: list[Passed] = []
    found = candidates(channels, "openai_chat", now_us=NOW, health=health, ceilings=ceilings, passed=passed)
    assert [each.channel.id for each in found] == ["well"]
    assert passed == [Passed("rests", "resting"), Passed("refused", "refused"), Passed("full", "ceiling")]
    for each, why in zip(channels, ("resting", "refused", "ceiling"), strict=False):
        passed.clear()
        alone = candidates([each], "openai_chat", now_us=NOW, health=health, ceilings=ceilings, passed=passed)
        assert alone == []
        assert passed == [Passed(each.id, why)]


# --- very many channels -----------------------------------------------------------------------------------------


def many(*sizes: int) -> list[Channel]:
    """Channels by priority, so many of each."""
    return [
        Channel(f"p{priority}-{number:04}", priority)
        for priority, size in enumerate(sizes)
        for number in range(size)
    ]


class CountingBoard(HealthBoard):
    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def of(self, channel_id: str):
        self.looks += 1
        return super().of(channel_id)


def test_a_request_does_not_look_at_more_channels_when_there_are_thousands() -> None:
    health = CountingBoard()
    assert len(order(many(5_000), health)) == CONSIDERED_MAX
    assert health.looks == CONSIDERED_MAX


def test_among_thousands_every_one_has_its_turn() -> None:
    channels = many(1_000)
    seen = {name for turn in range(0, 1_000, 7) for name in order(channels, turn=turn)}
    assert len(seen) == 1_000


def test_among_thousands_the_best_priority_is_first_and_the_next_ones_are_there_to_fall_back_on() -> None:
    found = order(many(2, 3, 5_000))
    assert found[:5] == ["p0-0000", "p0-0001", "p1-0000", "p1-0001", "p1-0002"]
    assert len(found) == 5 + CONSIDERED_MAX


def test_among_thousands_it_looks_on_while_those_that_it_sees_cannot_be_used() -> None:
    channels = many(100, 5)
    health = HealthBoard()
    for channel in channels[:99]:
        health.note_failure(channel.id, "channel", 429, 60, NOW)
    found = order(channels, health, turn=12_345)
    assert found == ["p0-0099", *(f"p1-000{number}" for number in range(5))]
    health.note_failure("p0-0099", "channel", 429, 60, NOW)
    assert found[1:] == order(channels, health)
