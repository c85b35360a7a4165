"""Who is asked, who is not, and what is written down of it: a running gateway in front of channels that break."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from bytespike.accounts import channels
from bytespike.app import assemble
from bytespike.ledger.usage_queries import attempts_of
from bytespike.store import events, tables
from tests.support.gateway import RunningGateway
from tests.support.raw_http import Answer
from tests.support.routing_fronts import MOODS, PREFIXES, Fleet, asking, said, whole

DIALECTS = tuple(PREFIXES)


@pytest.fixture
def fleet(gateway: RunningGateway) -> Iterator[Fleet]:
    """Two channels; the first is the better one."""
    with Fleet(gateway, priorities=(0, 1)) as made:
        yield made
        gateway.heal()


def ask(fleet: Fleet, dialect: str = "openai_chat", *, stream: bool = False, talk: int = 1) -> Answer:
    path, body = asking(dialect, said(talk, 1), stream=stream)
    return fleet.gateway.post(path, body, fleet.headers)


def attempts(fleet: Fleet, answer: Answer) -> list[Any]:
    fleet.gateway.settled()
    return fleet.gateway.run(attempts_of(fleet.gateway.application.engine, answer.headers["request-id"]))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("mood", MOODS)
def test_what_fails_before_the_first_byte_is_asked_of_the_next(
    fleet: Fleet, mood: str, dialect: str, stream: bool
) -> None:
    fleet.fronts[0].be(mood)
    if mood == "stall":
        fleet.change(0, timeouts={"first_byte": 0.3})
    answer = ask(fleet, dialect, stream=stream)
    assert answer.status == 200, answer.body
    assert whole(dialect, answer.body, stream=stream)
    # A connection that is closed without a word may have been closed before the request came: it is sent once more.
    assert fleet.fronts[0].asked in ((1, 2) if mood in ("reset", "close") else (1,))
    assert fleet.fronts[1].asked == 1
    first, second = attempts(fleet, answer)
    assert (first.channel_id, first.outcome, first.reason) == (fleet.ids[0], "failed", "load")
    assert (second.channel_id, second.outcome, second.reason) == (fleet.ids[1], "completed", "failover")
    assert fleet.gateway.receipt(answer.headers["request-id"])["channel_id"] == fleet.ids[1]
    fleet.gateway.nothing_left_over()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("mood", "error"),
    [
        ("401", "invalid_api_key"),
        ("402", "insufficient_balance"),
        ("403", "permission_denied"),
        ("429", "rate_limit_exceeded"),
        ("503", "overloaded"),
        ("500", "upstream_error"),
        ("html", "upstream_error"),
    ],
)
def test_an_attempt_says_what_was_wrong_with_its_channel_and_the_client_is_not_told(
    fleet: Fleet, mood: str, error: str, dialect: str
) -> None:
    for front in fleet.fronts:
        front.be(mood)
    answer = ask(fleet, dialect)
    rows = attempts(fleet, answer)
    assert {row.error for row in rows} == {error}
    assert [row.status for row in rows] == [200 if mood == "html" else int(mood)] * 2
    assert answer.status == (502 if mood == "html" else 503)
    assert error.encode() not in answer.body.replace(b"overloaded_error", b"") or mood == "html"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dry_run_is_priced_while_every_channel_rests_and_nobody_is_asked(
    fleet: Fleet, dialect: str
) -> None:
    path, body = asking(dialect, said(1, 1))
    dry = fleet.headers | {"x-bytespike-dry-run": "true"}
    before = fleet.gateway.post(path, body, dry)
    assert before.status == 200
    for front in fleet.fronts:
        front.be("429")
        front.retry_after = 600
    assert ask(fleet, dialect).status == 503
    assert fleet.asked == [1, 1]
    assert ask(fleet, dialect).status == 503, "they do not rest"
    answer = fleet.gateway.post(path, body, dry)
    assert (answer.status, answer.body) == (200, before.body)
    assert json.loads(answer.body)["object"] == "dry_run"
    assert answer.headers["x-estimated-credits"] == before.headers["x-estimated-credits"]
    assert fleet.asked == [1, 1]
    fleet.gateway.nothing_left_over()


def test_a_channel_that_cannot_be_connected_to_is_passed_over(fleet: Fleet) -> None:
    fleet.gateway.run(fleet.fronts[0].upstream.__aexit__(None, None, None))
    try:
        answer = ask(fleet)
        assert answer.status == 200
        assert [row.error for row in attempts(fleet, answer)] == ["connection_failed", ""]
        again = ask(fleet)
        (row,) = attempts(fleet, again)
        assert (row.reason, row.passed_over) == ("load", f"{fleet.ids[0]}:resting")
    finally:
        fleet.gateway.run(fleet.fronts[0].upstream.__aenter__())


def test_a_429_is_left_alone_for_as_long_as_it_said(fleet: Fleet) -> None:
    fleet.fronts[0].retry_after = 600
    fleet.fronts[0].be("429")
    for _ in range(5):
        assert ask(fleet).status == 200
    assert fleet.asked == [1, 5]
    health = fleet.gateway.application.parts.health.of(fleet.ids[0])
    now_us = fleet.gateway.application.parts.clock.now_us()
    assert 500_000_000 < health.resting_until - now_us <= 600_000_000


def test_a_channel_that_is_well_again_is_probed_and_then_asked(fleet: Fleet) -> None:
    fleet.fronts[0].be("500")
    assert ask(fleet).status == 200
    fleet.fronts[0].be("well")
    parts = fleet.gateway.application.parts
    fleet.gateway.until(
        lambda: parts.health.of(fleet.ids[0]).resting_until < parts.clock.now_us(), seconds=30
    )
    probe, after = ask(fleet), ask(fleet)
    assert [row.reason for row in attempts(fleet, probe)] == ["probe"]
    assert [row.reason for row in attempts(fleet, after)] == ["load"]
    assert attempts(fleet, after)[0].channel_id == fleet.ids[0]


@pytest.mark.slow
def test_while_one_request_probes_the_others_go_elsewhere(fleet: Fleet) -> None:
    """The probe waits until its time is over; the others must not wait for it, nor follow it."""
    fleet.change(0, timeouts={"first_byte": 8.0})
    fleet.fronts[0].be("500")
    assert ask(fleet).status == 200
    fleet.forget()
    fleet.fronts[0].be("stall")
    parts = fleet.gateway.application.parts
    fleet.gateway.until(
        lambda: parts.health.of(fleet.ids[0]).resting_until < parts.clock.now_us(), seconds=30
    )

    async def crowd() -> list[int]:
        path, body = asking("openai_chat", said(1, 1))
        from_thread = asyncio.to_thread
        answers = await asyncio.gather(
            *(from_thread(fleet.gateway.post, path, body, fleet.headers) for _ in range(8))
        )
        return [answer.status for answer in answers]

    assert asyncio.run(crowd()) == [200] * 8
    assert fleet.asked == [1, 8]


def test_a_request_error_comes_back_at_once_and_speaks_for_the_channel(fleet: Fleet) -> None:
    path, body = asking("openai_chat", said(1, 1), temperature=9)
    answer = fleet.gateway.post(path, body, fleet.headers)
    assert answer.status == 400
    assert fleet.asked == [1, 0]
    assert fleet.gateway.application.parts.health.of(fleet.ids[0]).failures == 0


def test_no_more_channels_are_asked_than_the_setting_allows(gateway: RunningGateway) -> None:
    with Fleet(gateway, 6) as fleet:
        for front in fleet.fronts:
            front.be("500")
        answer = ask(fleet)
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert sum(fleet.asked) == gateway.application.parts.limits.attempts_max == 4
        assert len(attempts(fleet, answer)) == 4


# --- credentials ------------------------------------------------------------------------------------------------


def told(fleet: Fleet, number: int) -> list[Any]:
    """The events about a channel."""

    async def listed() -> list[Any]:
        async with fleet.gateway.application.control.reading() as connection:
            rows, _ = await events.listing(connection, kind="channel.disabled", limit=200)
        return [row for row in rows if row.subject == fleet.ids[number]]

    return fleet.gateway.run(listed())


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_credential_takes_the_channel_out_and_tells_the_operator(fleet: Fleet, status: int) -> None:
    fleet.fronts[0].be(str(status))
    assert ask(fleet).status == 200
    fleet.gateway.until(lambda: not fleet.row(0).enabled)
    assert fleet.row(0).disabled_reason == f"the upstream refused its credential ({status})"
    (event,) = told(fleet, 0)
    assert (event.payload["status"], event.payload["name"]) == (str(status), fleet.row(0).name)
    assert "sim-good" not in json.dumps(event.payload)
    fleet.fronts[0].be("well")
    for _ in range(3):
        assert ask(fleet).status == 200
    assert fleet.asked == [1, 4], "it is not asked again"
    fleet.change(0, enabled=True)
    assert ask(fleet).status == 200
    assert fleet.asked == [2, 4], "until somebody has looked"


def test_what_is_found_out_while_an_earlier_change_is_read_holds(fleet: Fleet) -> None:
    """The change was made before, and can know nothing of it."""
    parts = fleet.gateway.application.parts
    channel_id = fleet.ids[0]

    async def refused_while_settings_are_read() -> list[bool]:
        told: list[bool] = []
        parts.health.note_failure(channel_id, "channel", 401, None, parts.clock.now_us())
        for asked_at in (parts.clock.now_us() - 1_000_000, parts.clock.now_us()):
            parts.directory.routes_asked_at = asked_at
            parts.directory._tell("channel", channel_id)
            told.append(parts.health.of(channel_id).needs_operator)
        return told

    assert fleet.gateway.run(refused_while_settings_are_read()) == [True, False]


def test_every_process_and_every_later_one_knows(fleet: Fleet) -> None:
    fleet.fronts[0].be("401")
    assert ask(fleet).status == 200
    fleet.gateway.until(lambda: not fleet.row(0).enabled)

    async def another() -> bool:
        async with assemble(fleet.gateway._settings, worker=7) as application:
            serving = application.parts.directory.routes.by_group_model[fleet.group_id]
            return fleet.ids[0] in {channel.id for each in serving.values() for channel in each}

    assert not fleet.gateway.run(another())


def test_it_is_told_once_however_many_find_it_at_the_same_time(fleet: Fleet) -> None:
    fleet.fronts[0].be("401")
    path, body = asking("openai_chat", said(1, 1))

    async def crowd() -> list[int]:
        posts = (asyncio.to_thread(fleet.gateway.post, path, body, fleet.headers) for _ in range(8))
        return [answer.status for answer in await asyncio.gather(*posts)]

    assert asyncio.run(crowd()) == [200] * 8
    fleet.gateway.until(lambda: not fleet.row(0).enabled)
    parts = fleet.gateway.application.parts

    async def refused_again() -> bool:
        async with fleet.gateway.application.control.writing("another") as write:
            return await channels.refused(write, parts.directory.routes.channels[fleet.ids[0]], 401)

    assert fleet.gateway.run(refused_again())
    assert len(told(fleet, 0)) == 1


def test_the_refusal_of_a_credential_that_has_been_replaced_takes_nothing_out(fleet: Fleet) -> None:
    asked = fleet.gateway.application.parts.directory.routes.channels[fleet.ids[0]]
    fleet.change(0, credential="sim-new")

    async def late() -> bool:
        async with fleet.gateway.application.control.writing("gateway") as write:
            return await channels.refused(write, asked, 401)

    assert not fleet.gateway.run(late())
    assert fleet.row(0).enabled
    assert told(fleet, 0) == []


# --- ceilings ---------------------------------------------------------------------------------------------------


def test_a_channel_at_its_ceiling_is_routed_around(gateway: RunningGateway) -> None:
    with Fleet(gateway, priorities=(0, 1)) as fleet:
        fleet.change(0, rpm=3)
        answers = [ask(fleet) for _ in range(8)]
        assert [answer.status for answer in answers] == [200] * 8
        assert fleet.asked == [3, 5]
        (row,) = attempts(fleet, answers[-1])
        assert row.passed_over == f"{fleet.ids[0]}:ceiling"


def test_when_no_channel_has_room_nothing_waits_and_the_client_is_told_when_there_is(
    gateway: RunningGateway,
) -> None:
    with Fleet(gateway, rpm=2) as fleet:
        statuses = [ask(fleet).status for _ in range(4)]
        assert statuses == [200] * 4
        for dialect in DIALECTS:
            answer = ask(fleet, dialect)
            assert answer.status == 503
            assert 1 <= int(answer.headers["retry-after"]) <= 70
        assert fleet.asked == [2, 2]
        gateway.nothing_left_over()


def test_a_crowd_at_once_does_not_pass_a_ceiling(gateway: RunningGateway) -> None:
    with Fleet(gateway, 1, rpm=5) as fleet:
        path, body = asking("openai_chat", said(1, 1))

        async def crowd() -> list[int]:
            posts = (asyncio.to_thread(fleet.gateway.post, path, body, fleet.headers) for _ in range(16))
            return [answer.status for answer in await asyncio.gather(*posts)]

        assert sorted(asyncio.run(crowd())) == [200] * 5 + [503] * 11
        assert fleet.asked == [5]


def test_tokens_are_counted_as_they_were_used(gateway: RunningGateway) -> None:
    with Fleet(gateway, priorities=(0, 1)) as fleet:
        fleet.change(0, tpm=100_000)
        path, body = asking("openai_chat", [f"[[sim: tokens={60_000}]] go"])
        for _ in range(3):
            assert fleet.gateway.post(path, body, fleet.headers).status == 200
        assert fleet.asked == [2, 1]


# --- what is written down ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_attempt_says_why(gateway: RunningGateway) -> None:
    with Fleet(gateway, 3) as fleet:
        for talk in range(12):
            (row,) = attempts(fleet, ask(fleet, talk=talk))
            assert (row.reason, row.passed_over) == ("affinity", "")

        async def rows() -> list[Any]:
            t = tables.attempts.c
            query = select(t.reason, t.passed_over).where(t.channel_id.in_(fleet.ids))
            async with gateway.application.control.reading() as connection:
                return list(await connection.execute(query))

        assert gateway.run(rows()) == [("affinity", "")] * 12


def test_a_lone_channel_is_asked_without_any_question(gateway: RunningGateway) -> None:
    affinity = gateway.application.parts.affinity
    with Fleet(gateway, 1) as fleet:
        before = affinity.moved
        answer = ask(fleet)
        (row,) = attempts(fleet, answer)
        assert (row.reason, row.passed_over) == ("load", "")
        assert affinity.moved == before
