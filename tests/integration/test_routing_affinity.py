"""A replay of a hundred conversations: their turns reach the channel of the first one while it is well, and another one at
once when it is not."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.gateway import RunningGateway
from tests.support.raw_http import Answer
from tests.support.raw_http import ask as post
from tests.support.routing_fronts import PREFIXES, Fleet, asking, said

TALKS = 100
AT_ONCE = 8
#: Of the turns after the first.
KEPT_MIN = 0.99
DIALECTS = tuple(PREFIXES)


@pytest.fixture
def fleet(gateway: RunningGateway) -> Iterator[Fleet]:
    with Fleet(gateway, 3) as made:
        yield made
        gateway.heal()


def turn(talk: int, number: int) -> tuple[str, bytes, dict[str, str]]:
    """One turn of a talk: path, body, headers. A quarter of the talks have a name, in one of three places; the others are
    known by how they began."""
    dialect = DIALECTS[talk % 4]
    path, body = asking(dialect, said(talk, number), stream=talk % 3 == 0)
    headers: dict[str, str] = {}
    if talk % 16 == 0:
        body = json.dumps(json.loads(body) | {"metadata": {"user_id": f"user-{talk}"}}).encode()
    elif talk % 16 in (1, 2):
        body = json.dumps(json.loads(body) | {"prompt_cache_key": f"key-{talk}"}).encode()
    elif talk % 16 == 3:
        headers["x-session-affinity"] = f"session-{talk}"
    return path, body, headers


async def play(fleet: Fleet, number: int, talks: range = range(TALKS)) -> list[Answer]:
    """That turn of every talk, several at once."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(talk: int) -> Answer:
        path, body, headers = turn(talk, number)
        async with places:
            return await post(fleet.gateway.host, fleet.gateway.port, path, body, fleet.headers | headers)

    return list(await asyncio.gather(*(one(talk) for talk in talks)))


def answered_by(fleet: Fleet) -> dict[int, int]:
    """By talk: the front that was asked last. Forgets who was asked."""
    found = {talk: number for number, front in enumerate(fleet.fronts) for talk in front.talks}
    fleet.forget()
    return found


def replay(fleet: Fleet, number: int) -> dict[int, int]:
    """Play that turn; every talk must be answered. Who answered which."""
    answers = asyncio.run(play(fleet, number))
    assert [answer.status for answer in answers] == [200] * TALKS
    where = answered_by(fleet)
    assert len(where) == TALKS
    return where


@pytest.mark.slow
def test_turns_stay_on_the_channel_of_the_first_and_move_at_once_when_it_breaks(fleet: Fleet) -> None:
    first = replay(fleet, 1)
    assert min(Counter(first.values())[number] for number in range(3)) > TALKS * 0.05, "all have their share"
    later = [replay(fleet, number) for number in (2, 3, 4)]
    kept = sum(where[talk] == first[talk] for where in later for talk in range(TALKS))
    assert kept / (3 * TALKS) >= KEPT_MIN

    fleet.fronts[0].be("500")
    # Nobody hears of it: each turn is answered, by another channel where it was this one's.
    moved = replay_while_broken(fleet, 5)
    orphans = [talk for talk in range(TALKS) if first[talk] == 0]
    others = [talk for talk in range(TALKS) if first[talk] != 0]
    assert all(moved[talk] in (1, 2) for talk in orphans)
    assert {moved[talk] for talk in orphans} == {1, 2}, "and not all to the same"
    assert sum(moved[talk] == first[talk] for talk in others) / len(others) >= KEPT_MIN
    again = replay_while_broken(fleet, 6)
    assert sum(again[talk] == moved[talk] for talk in range(TALKS)) / TALKS >= KEPT_MIN

    fleet.heal()
    back = replay(fleet, 7)
    assert sum(back[talk] == moved[talk] for talk in orphans) / len(orphans) >= KEPT_MIN, (
        "their cache is there"
    )
    assert fleet.gateway.application.parts.affinity.moved <= len(orphans) + 1
    fleet.gateway.nothing_left_over()


def replay_while_broken(fleet: Fleet, number: int) -> dict[int, int]:
    """The same while the first front fails: it may be asked, by whoever finds out that it is still broken."""
    answers = asyncio.run(play(fleet, number))
    assert [answer.status for answer in answers] == [200] * TALKS
    fleet.fronts[0].talks.clear()
    return answered_by(fleet)


@pytest.mark.slow
def test_turns_leave_a_channel_that_has_become_slow(fleet: Fleet) -> None:
    first = replay(fleet, 1)
    mine = [talk for talk in range(TALKS) if first[talk] == 0]
    fleet.fronts[0].delay_s = 3.0
    for number in range(2, 8):
        where = replay(fleet, number)
        if all(where[talk] != 0 for talk in mine):
            break
    else:
        raise AssertionError("they stay on the slow channel")
    fleet.gateway.settled()


@pytest.mark.slow
def test_tenants_who_say_the_same_do_not_share_a_home(fleet: Fleet) -> None:
    """The same words of forty users are spread as forty conversations are."""
    gateway = fleet.gateway
    homes: Counter[int] = Counter()
    for _ in range(40):
        key = gateway.run(fleet.new_key(gateway.new_user(1_000_000)))
        path, body = asking("openai_chat", said(1, 1))
        assert gateway.post(path, body, {"x-api-key": key}).status == 200
        homes[next(number for number, front in enumerate(fleet.fronts) if front.asked)] += 1
        fleet.forget()
    assert len(homes) == 3
