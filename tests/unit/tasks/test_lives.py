"""A task's life, from its submission to its end, with everything real but the provider."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.media.tasks.parts import Limits
from bytespike.media.tasks.record import Task
from bytespike.testing.scripted_upstream import Peer
from tests.support.ledger_house import House
from tests.support.render_upstream import Asked, FakeRenders, RenderUpstream, content_of
from tests.support.task_house import (
    FEE,
    HURRY,
    PATIENCE_S,
    PER_SECOND,
    Process,
    StandingRoutes,
    build,
    channel,
    live,
    process,
    routes_of,
)

FOUR_SECONDS = FEE + 4 * PER_SECOND


async def bytes_of(one: Process, task: Task, number: int = 0) -> bytes:
    assert task.output is not None
    stored = await one.parts.store.find(task.output[number].id)
    return b"".join([piece async for piece in one.parts.store.read(stored)])


def on(method: bytes, prefix: bytes, *answers: Asked) -> Callable[[Peer], Awaitable[Asked | None]]:
    """A script that gives these answers to the first such requests, one each."""
    left = list(answers)

    async def script(peer: Peer) -> Asked | None:
        asked = peer.request
        if left and asked.method == method and asked.target.startswith(prefix):
            return left.pop(0)
        return None

    return script


def test_a_task_is_submitted_polled_fetched_and_billed(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        before = await house.balance()
        submitted = await one.submit(seconds=4)
        assert (submitted.task.state, submitted.task.held) == ("pending", FOUR_SECONDS)
        assert before - await house.balance() == FOUR_SECONDS
        (task,) = await one.over(submitted.task.id)
        assert (task.state, task.credits, task.progress) == ("completed", FOUR_SECONDS, 100)
        (render,) = provider.submissions[task.id]
        assert await bytes_of(one, task) == content_of(render, provider.size)
        assert task.output is not None
        assert task.output[0].bytes == provider.size
        assert before - await house.balance() == FOUR_SECONDS
        assert await house.usage_ids() == [task.id]
        events = await one.desk.events(one.key.id, task.id, 0, 0.0)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert (events[0].state, events[-1].state) == ("pending", "completed")
        assert [event.progress for event in events] == sorted(event.progress for event in events)

    live(tmp_path, life, RenderUpstream(polls_needed=3))


def test_what_was_made_shorter_costs_less(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        before = await house.balance()
        (task,) = await one.over((await one.submit(seconds=8)).task.id)
        assert task.credits == FEE + 5 * PER_SECOND
        assert before - await house.balance() == task.credits

    live(tmp_path, life, RenderUpstream(seconds=5))


def test_a_render_that_fails_costs_nothing(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        before = await house.balance()
        failed = msgspec.json.encode({"id": "render-x", "state": "failed", "error": "nothing of that kind"})
        provider.script = on(b"GET", b"/renders/", Asked(body=failed))
        (task,) = await one.over((await one.submit()).task.id)
        assert (task.state, task.credits) == ("failed", 0)
        assert (task.error_code, task.error_message) == ("content_policy_violation", "nothing of that kind")
        assert await house.balance() == before
        assert await house.usage_ids() == []

    live(tmp_path, life)


def test_a_request_that_the_provider_refuses_fails_at_once(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.script = on(b"POST", b"/renders", Asked(status=451))
        (task,) = await one.over((await one.submit()).task.id)
        assert (task.state, task.error_code) == ("failed", "content_policy_violation")
        assert len(task.attempts) == 1

    live(tmp_path, life)


@pytest.mark.slow
@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_that_is_busy_is_asked_again_and_has_one_render_in_the_end(
    tmp_path: Path, status: int
) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.script = on(b"POST", b"/renders", Asked(status=status), Asked(status=status))
        (task,) = await one.over((await one.submit()).task.id)
        assert task.state == "completed"
        assert len(provider.submissions[task.id]) == 1
        assert [attempt.status for attempt in task.attempts] == [status, status, 200]
        assert [attempt.cost for attempt in task.attempts] == [0, 0, FOUR_SECONDS]

    live(tmp_path, life)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_provider_that_broke_down_is_not_asked_again_but_searched(tmp_path: Path, status: int) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.script = on(b"POST", b"/renders", Asked(status=status, heed=True))
        (task,) = await one.over((await one.submit()).task.id)
        assert task.state == "completed"
        assert len(provider.submissions[task.id]) == 1

    live(tmp_path, life)


def test_a_submission_whose_answer_was_lost_is_found_again(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.script = on(b"POST", b"/renders", Asked(cut=True, heed=True))
        (task,) = await one.over((await one.submit()).task.id)
        assert (task.state, len(provider.submissions[task.id])) == ("completed", 1)

    live(tmp_path, life)


def test_a_submission_that_the_provider_never_got_is_sent_again(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.script = on(b"POST", b"/renders", Asked(cut=True))
        (task,) = await one.over((await one.submit()).task.id)
        assert (task.state, len(provider.submissions[task.id])) == ("completed", 1)
        assert any(target.startswith(b"/renders?task=") for target in provider.targets)

    live(tmp_path, life)


def test_a_lost_submission_that_cannot_be_searched_fails_and_is_never_repeated(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        before = await house.balance()
        provider.script = on(b"POST", b"/renders", Asked(cut=True, heed=True))
        (task,) = await one.over((await one.submit()).task.id)
        assert (task.state, task.error_code, task.credits) == ("failed", "upstream_error", 0)
        assert len(provider.submissions[task.id]) == 1
        assert await house.balance() == before

    live(tmp_path, life, adapter=FakeRenders(findable=False))


def test_an_answer_without_sense_is_no_licence_to_submit_again(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.script = on(b"POST", b"/renders", Asked(body=b"<html>", heed=True))
        (task,) = await one.over((await one.submit()).task.id)
        assert (task.state, len(provider.submissions[task.id])) == ("completed", 1)

    live(tmp_path, life)


def test_polls_that_fail_are_repeated(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.script = on(
            b"GET", b"/renders/", Asked(cut=True), Asked(status=500), Asked(status=429), Asked(body=b"{")
        )
        (task,) = await one.over((await one.submit()).task.id)
        assert task.state == "completed"

    live(tmp_path, life)


def test_a_render_that_its_provider_no_longer_knows_fails(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.script = on(b"GET", b"/renders/", *[Asked(status=404)] * 3)
        (task,) = await one.over((await one.submit()).task.id)
        assert (task.state, task.error_code) == ("failed", "upstream_error")

    live(tmp_path, life)


def test_a_fetch_that_breaks_is_repeated_and_the_output_is_whole(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        half = True

        async def script(peer: Peer) -> Asked | None:
            nonlocal half
            if half and peer.request.target.startswith(b"/files/"):
                half = False
                await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % provider.size)
                await peer.send(b"x" * (provider.size // 2))
                peer.reset()
                return Asked(cut=True)
            return None

        provider.script = script
        (task,) = await one.over((await one.submit()).task.id)
        assert task.state == "completed"
        (render,) = provider.submissions[task.id]
        assert await bytes_of(one, task) == content_of(render, provider.size)

    live(tmp_path, life)


def test_a_result_that_is_gone_fails_the_task(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        before = await house.balance()
        provider.script = on(b"GET", b"/files/", Asked(status=404))
        (task,) = await one.over((await one.submit()).task.id)
        assert (task.state, task.error_code) == ("failed", "upstream_error")
        assert await house.balance() == before

    live(tmp_path, life)


def test_a_result_over_the_bound_fails_the_task(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        (task,) = await one.over((await one.submit()).task.id)
        assert (task.state, task.output) == ("failed", None)
        assert "bytes" in task.error_message

    live(tmp_path, life, RenderUpstream(size=2_000_000), limits=Limits(result_bytes_max=1_000_000))


def test_a_result_inside_of_the_answer_is_kept_without_a_fetch(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        data = content_of("inline", 3_000_000)
        done = {"id": "render-x", "state": "completed", "data": base64.b64encode(data).decode()}
        provider.script = on(b"GET", b"/renders/", Asked(body=msgspec.json.encode(done)))
        (task,) = await one.over((await one.submit()).task.id)
        assert task.state == "completed"
        assert await bytes_of(one, task) == data
        assert not provider.fetches

    live(tmp_path, life)


def test_the_credential_goes_to_the_provider_and_to_no_other_address(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        seen: dict[bytes, bytes | None] = {}
        with RenderUpstream() as elsewhere:

            async def here(peer: Peer) -> Asked | None:
                seen[peer.request.target.split(b"?")[0]] = peer.request.headers.get(b"authorization")
                if peer.request.target.startswith(b"/renders/"):
                    done = {"id": "r", "state": "completed", "url": f"{elsewhere.url}/files/r"}
                    return Asked(body=msgspec.json.encode(done))
                return None

            async def there(peer: Peer) -> Asked | None:
                seen[peer.request.target] = peer.request.headers.get(b"authorization")
                return None

            provider.script, elsewhere.script = here, there
            (task,) = await one.over((await one.submit()).task.id)
        assert task.state == "completed"
        assert seen[b"/renders"] == b"Bearer secret-credential"
        assert seen[b"/files/r"] is None

    live(tmp_path, life)


def test_a_result_at_a_private_address_is_not_fetched(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        with RenderUpstream() as inside:
            done = {"id": "r", "state": "completed", "url": f"{inside.url}/files/r"}
            provider.script = on(b"GET", b"/renders/", Asked(body=msgspec.json.encode(done)))
            (task,) = await one.over((await one.submit()).task.id)
            assert not inside.targets
        assert task.state == "failed"

    live(tmp_path, life, allowed=())


def test_a_task_that_is_not_over_in_time_fails(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.completes = False
        before = await house.balance()
        (task,) = await one.over((await one.submit()).task.id)
        assert (task.state, task.error_code, task.credits) == ("failed", "timeout", 0)
        assert provider.cancels == provider.submissions[task.id]
        assert await house.balance() == before

    live(tmp_path, life, limits=Limits(age_s_max=1.0))


def test_the_next_poll_waits_as_long_as_the_provider_asks(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        running = {"id": "r", "state": "running", "retry_after": 600}
        provider.script = on(b"GET", b"/renders/", *[Asked(body=msgspec.json.encode(running))] * 100)
        task = (await one.submit()).task
        async with asyncio.timeout(30):
            while True:
                task = await one.task(task.id)
                rests = task.state == "running" and task.claimed_until == 0 and task.due_at is not None
                if rests and (task.due_at or 0) - task.updated_at > 500_000_000:
                    break
                await asyncio.sleep(0.02)
        assert sum(target.startswith(b"/renders/") for target in provider.targets) == 1

    live(tmp_path, life)


def test_a_channel_has_so_many_renders_under_way_and_no_more(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        under_way: set[str] = set()
        most = 0

        async def script(peer: Peer) -> Asked | None:
            nonlocal most
            asked = peer.request
            if asked.method == b"POST" and asked.target == b"/renders":
                under_way.add(str(msgspec.json.decode(asked.body)["task"]))
                most = max(most, len(under_way))
            elif asked.target.startswith(b"/renders/"):
                id = asked.target.decode().split("/")[2]
                if provider.polls[id] + 1 >= provider.polls_needed:
                    under_way.discard(id.removeprefix("render-").rsplit("-", 1)[0])
            return None

        provider.script = script
        ids = [(await one.submit(f"number {number}")).task.id for number in range(12)]
        assert all(task.state == "completed" for task in await one.over(*ids))
        assert most == 3

    live(tmp_path, life, RenderUpstream(polls_needed=4), limits=Limits(renders_per_channel_max=3))


def test_a_channels_requests_a_minute_are_kept(tmp_path: Path) -> None:
    async def run() -> None:
        house, key = await build(tmp_path)
        with RenderUpstream() as provider:
            few = msgspec.structs.replace(channel(provider.url), rpm=2)
            async with process(house, key, few) as one:
                ids = [(await one.submit(f"number {number}")).task.id for number in range(5)]
                async with asyncio.timeout(PATIENCE_S):
                    while sum([(await one.task(id)).over for id in ids]) < 2:
                        await asyncio.sleep(0.02)
                # The others had many a chance meanwhile.
                assert len(provider.submissions) == 2
        await house.engine.dispose()

    asyncio.run(run())


def test_a_channel_that_refuses_is_passed_over_for_the_next(tmp_path: Path) -> None:
    async def run() -> None:
        house, key = await build(tmp_path)
        with RenderUpstream() as busy, RenderUpstream() as free:
            busy.script = on(b"POST", b"/renders", *[Asked(status=503)] * 50)
            channels = (channel(busy.url, "ch_1", 0), channel(free.url, "ch_2", 1))
            async with process(house, key, *channels) as one:
                (task,) = await one.over((await one.submit()).task.id)
                assert (task.state, task.channel_id) == ("completed", "ch_2")
                assert [attempt.channel_id for attempt in task.attempts][-1] == "ch_2"
                assert not busy.submissions
                assert len(free.submissions[task.id]) == 1
        await house.engine.dispose()

    asyncio.run(run())


def test_an_order_that_the_channel_cannot_carry_is_refused_when_it_is_submitted(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        before = await house.balance()
        with pytest.raises(Exception, match="takes no such prompt"):
            await one.submit("uncarriable")
        assert await house.balance() == before

    live(tmp_path, life)


def test_what_waits_goes_on_when_a_worker_starts_again(tmp_path: Path) -> None:
    async def run() -> None:
        house, key = await build(tmp_path)
        with RenderUpstream() as provider:
            provider.completes = False
            async with process(house, key, channel(provider.url)) as one:
                ids = [(await one.submit(f"number {number}")).task.id for number in range(5)]
                await one.until(lambda: all(provider.submissions[id] for id in ids))
            provider.completes = True
            async with process(house, key, channel(provider.url), name="two") as two:
                assert all(task.state == "completed" for task in await two.over(*ids))
        assert all(len(provider.submissions[id]) == 1 for id in ids)
        await house.engine.dispose()

    asyncio.run(run())


def test_a_worker_that_stops_gives_back_what_it_has_claimed(tmp_path: Path) -> None:
    async def run() -> None:
        house, key = await build(tmp_path)
        with RenderUpstream() as provider:
            held = asyncio.Event()

            async def script(peer: Peer) -> Asked | None:
                if peer.request.target.startswith(b"/renders/"):
                    held.set()
                    await asyncio.sleep(60)
                return None

            provider.script = script
            pace = msgspec.structs.replace(HURRY, grace_s=0.1)
            async with process(house, key, channel(provider.url), pace=pace) as one:
                task = (await one.submit()).task
                await one.until(held.is_set)
            async with process(house, key, channel(provider.url), name="two", working=False) as two:
                task = await two.task(task.id)
                assert (task.claimed_until, task.claimed_by) == (0, None)
        await house.engine.dispose()

    asyncio.run(run())


def test_an_escrow_that_somebody_resolved_by_hand_ends_its_task_all_the_same(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.completes = False
        task = (await one.submit(callback_url=f"{provider.url}/callback")).task
        await one.until(lambda: bool(provider.polls))

        async def nothing(connection: AsyncConnection) -> None:
            """No row goes with it."""

        assert await one.parts.escrows.void(task.id, (), nothing)
        provider.completes = True
        (task,) = await one.over(task.id)
        assert (task.state, task.credits) == ("completed", 0)
        await one.until(lambda: bool(provider.callbacks))

    live(tmp_path, life)


@pytest.mark.parametrize("cancel", [False, True])
def test_a_render_whose_channel_is_removed_ends_and_costs_nothing(tmp_path: Path, cancel: bool) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        before = await house.balance()
        submitted = await one.submit(seconds=4)
        async with asyncio.timeout(PATIENCE_S):
            while (await one.task(submitted.task.id)).step != "poll":
                await asyncio.sleep(0.01)
        routes = one.parts.directory
        assert isinstance(routes, StandingRoutes)
        routes.routes = routes_of()
        if cancel:
            await one.desk.cancel(one.key.id, task_id=submitted.task.id)
        (task,) = await one.over(submitted.task.id)
        assert (task.state, task.credits) == ("cancelled" if cancel else "failed", 0)
        assert await house.balance() == before
        assert await house.usage_ids() == []

    live(tmp_path, life, RenderUpstream(polls_needed=1_000_000))
