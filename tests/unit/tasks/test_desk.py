"""What clients do with tasks: submit once, query, cancel, watch, list, remove."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bytespike.errors import (
    Conflict,
    InsufficientBalance,
    InvalidRequest,
    ModelNotInGroup,
    NoAvailableChannel,
    NotFound,
)
from bytespike.media.objects.store import NoSuchObject
from bytespike.media.order import Order
from bytespike.media.tasks.desk import Submission
from bytespike.media.tasks.parts import Limits
from bytespike.testing.scripted_upstream import Peer
from tests.support.ledger_house import USD, House, key_record
from tests.support.render_upstream import Asked, FakeRenders, RenderUpstream
from tests.support.task_house import FEE, PER_SECOND, Process, build, channel, live, process

CROWD = 50


def test_fifty_submissions_under_one_name_are_one_task(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        before = await house.balance()
        found = await asyncio.gather(*(one.submit("same", out_task_id="mine") for _ in range(CROWD)))
        assert len({each.task.id for each in found}) == 1
        assert sum(not each.repeated for each in found) == 1
        (task,) = await one.over(found[0].task.id)
        assert before - await house.balance() == task.credits
        assert [*provider.submissions] == [task.id]
        assert len(provider.submissions[task.id]) == 1

    live(tmp_path, life)


def test_fifty_submissions_in_two_processes_are_one_task(tmp_path: Path) -> None:
    async def run() -> None:
        house, key = await build(tmp_path)
        with RenderUpstream() as provider:
            place = channel(provider.url)
            async with (
                process(house, key, place, name="one") as one,
                process(house, key, place, name="two") as two,
            ):
                found = await asyncio.gather(
                    *(each.submit("same", out_task_id="mine") for each in (one, two) * (CROWD // 2))
                )
                assert len({each.task.id for each in found}) == 1
                assert sum(not each.repeated for each in found) == 1
                (task,) = await two.over(found[0].task.id)
                assert task.state == "completed"
            assert len(provider.submissions[task.id]) == 1
        await house.engine.dispose()

    asyncio.run(run())


def test_a_name_that_is_taken_by_other_inputs_is_a_conflict(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        await one.submit("a cat", out_task_id="mine")
        before = await house.balance()
        for prompt, seconds in (("a dog", 4), ("a cat", 8)):
            with pytest.raises(Conflict) as caught:
                await one.submit(prompt, seconds=seconds, out_task_id="mine")
            assert caught.value.param == "out_task_id"
        assert await house.balance() == before

    live(tmp_path, life, working=False)


def test_a_crowd_with_two_inputs_is_one_task_and_conflicts(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        found = await asyncio.gather(
            *(one.submit("a cat" if n % 2 else "a dog", out_task_id="mine") for n in range(CROWD)),
            return_exceptions=True,
        )
        ids = {each.task.id for each in found if not isinstance(each, BaseException)}
        assert len(ids) == 1
        refused = [each for each in found if isinstance(each, BaseException)]
        assert len(refused) == CROWD // 2
        assert all(isinstance(each, Conflict) for each in refused)

    live(tmp_path, life, working=False)


def test_two_keys_may_use_the_same_name(tmp_path: Path) -> None:
    async def run() -> None:
        house, key = await build(tmp_path)
        other = await house.add_key(key_record("key_2"))
        with RenderUpstream() as provider:
            async with process(house, key, channel(provider.url), working=False) as one:
                first = await one.submit(out_task_id="mine")
                one.key = other
                second = await one.submit("another", out_task_id="mine")
                assert first.task.id != second.task.id
                with pytest.raises(NotFound):
                    await one.task(first.task.id)
        await house.engine.dispose()

    asyncio.run(run())


def test_a_task_that_cannot_be_paid_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        house, key = await build(tmp_path, dollars=1)
        with RenderUpstream() as provider:
            async with process(house, key, channel(provider.url)) as one:
                with pytest.raises(InsufficientBalance):
                    await one.submit(seconds=20, out_task_id="mine")
                with pytest.raises(NotFound):
                    await one.desk.query(key.id, out_task_id="mine")
                assert await house.balance() == USD
                assert one.parts.ledger.stats().open_holds == 0
        await house.engine.dispose()

    asyncio.run(run())


def test_what_tasks_have_set_aside_cannot_be_spent_again(tmp_path: Path) -> None:
    async def run() -> None:
        each = FEE + 4 * PER_SECOND
        house, key = await build(tmp_path, dollars=1)
        with RenderUpstream() as provider:
            async with process(house, key, channel(provider.url), working=False) as one:
                fitting = USD // each
                for number in range(fitting):
                    await one.submit(f"number {number}")
                with pytest.raises(InsufficientBalance):
                    await one.submit("one more")
        await house.engine.dispose()

    asyncio.run(run())


def test_a_text_model_is_refused_and_so_is_one_that_the_group_has_not(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        with pytest.raises(InvalidRequest) as caught:
            one.desk.model_for(one.key, "gpt-5.5")
        assert caught.value.param == "model"
        with pytest.raises(ModelNotInGroup):
            one.desk.model_for(one.key, "veo3-1")

    live(tmp_path, life, working=False)


@pytest.mark.slow
def test_a_task_waits_for_a_channel_that_rests(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        one.parts.health.note_failure("ch_1", "channel", 429, 2, one.parts.clock.now_us())
        submitted = one.parts.clock.now_us()
        task = (await one.submit()).task
        assert task.state == "pending"
        (task,) = await one.over(task.id)
        assert (task.state, len(task.attempts)) == ("completed", 1)
        assert task.attempts[0].at - submitted >= 1_000_000

    live(tmp_path, life)


def test_a_task_that_only_refused_channels_could_make_is_refused(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        one.parts.health.note_failure("ch_1", "channel", 401, None, one.parts.clock.now_us())
        with pytest.raises(NoAvailableChannel):
            await one.submit()

    live(tmp_path, life, working=False)


def test_an_estimate_sets_nothing_aside(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        model = one.desk.model_for(one.key, "sora2")
        account = await one.parts.ledger.open(one.key)
        before = await house.balance()
        wanted = Submission(model, "sora2", Order(kind="video", prompt="x", seconds=8))
        found = await one.desk.estimate(one.key, account, wanted)
        assert found.credits == FEE + 8 * PER_SECOND
        assert found.seconds > 0
        assert await house.balance() == before
        assert one.parts.ledger.stats().open_holds == 0

    live(tmp_path, life, working=False)


def test_estimates_are_learned_from_what_tasks_took(tmp_path: Path) -> None:
    async def run() -> None:
        house, key = await build(tmp_path)
        with RenderUpstream() as provider:
            async with process(house, key, channel(provider.url)) as one:
                guessed = (await one.submit("first")).task
                assert guessed.estimated_seconds > 10
                await one.over(guessed.id)
            async with process(house, key, channel(provider.url), name="two") as two:
                learned = (await two.submit("second")).task
                assert learned.estimated_seconds < guessed.estimated_seconds
        await house.engine.dispose()

    asyncio.run(run())


# --- cancelling ----------------------------------------------------------------------------------------------------


def test_a_task_that_nobody_has_begun_is_cancelled_at_once_and_costs_nothing(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        before = await house.balance()
        task = (await one.submit()).task
        task = await one.desk.cancel(one.key.id, task_id=task.id)
        assert (task.state, task.credits, task.due_at) == ("cancelled", 0, None)
        assert await house.balance() == before
        again = await one.desk.cancel(one.key.id, task_id=task.id)
        assert (again.state, again.seq) == ("cancelled", task.seq)

    live(tmp_path, life, working=False)


def test_a_render_under_way_is_cancelled_at_its_provider(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.completes = False
        before = await house.balance()
        task = (await one.submit(out_task_id="mine")).task
        await one.until(lambda: bool(provider.submissions[task.id]))
        await one.desk.cancel(one.key.id, out_task_id="mine")
        (task,) = await one.over(task.id)
        assert (task.state, task.credits) == ("cancelled", 0)
        assert provider.cancels == provider.submissions[task.id]
        assert await house.balance() == before

    live(tmp_path, life)


def test_a_cancelled_render_that_the_provider_charges_for_is_billed(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.completes = False
        before = await house.balance()
        task = (await one.submit()).task
        await one.until(lambda: bool(provider.polls))
        await one.desk.cancel(one.key.id, task_id=task.id)
        (task,) = await one.over(task.id)
        assert (task.state, task.credits) == ("cancelled", FEE + 4 * PER_SECOND)
        assert before - await house.balance() == task.credits

    live(tmp_path, life, adapter=FakeRenders(cancellable=False))


def test_a_cancellation_that_the_provider_refuses_leaves_the_task_running(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        async def script(peer: Peer) -> Asked | None:
            if peer.request.target.endswith(b"/cancel"):
                provider.completes = True
                return Asked(status=409)
            return None

        provider.completes = False
        provider.script = script
        task = (await one.submit()).task
        await one.until(lambda: bool(provider.polls))
        await one.desk.cancel(one.key.id, task_id=task.id)
        (task,) = await one.over(task.id)
        assert (task.state, task.cancel_asked) == ("completed", False)

    live(tmp_path, life)


def test_a_render_that_is_over_is_not_cancelled_at_its_provider(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.completes = False
        task = (await one.submit()).task
        await one.until(lambda: bool(provider.polls))
        # It is over at the provider, and the gateway does not know yet.
        provider.completes = True
        await one.desk.cancel(one.key.id, task_id=task.id)
        (task,) = await one.over(task.id)
        assert (task.state, provider.cancels) == ("completed", [])

    live(tmp_path, life)


def test_cancelling_and_completing_at_once_has_one_outcome_each(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        before = await house.balance()
        ids = [(await one.submit(f"number {number}")).task.id for number in range(30)]

        async def cancel(id: str, number: int) -> None:
            # Some before they are begun, some in the middle of a step, some when they are over.
            await asyncio.sleep(number * 0.01)
            await one.desk.cancel(one.key.id, task_id=id)

        await asyncio.gather(*(cancel(id, number) for number, id in enumerate(ids)))
        tasks = await one.over(*ids)
        full = FEE + 4 * PER_SECOND
        for task in tasks:
            assert task.state in ("completed", "cancelled")
            assert task.credits == (full if task.state == "completed" else 0)
            assert (task.output is not None) == (task.state == "completed")
            events = await one.desk.events(one.key.id, task.id, 0, 0.0)
            assert [event.state for event in events if event.state in ("completed", "cancelled")] == [
                task.state
            ]
        assert before - await house.balance() == sum(task.credits for task in tasks)
        assert sorted(await house.usage_ids()) == sorted(t.id for t in tasks if t.state == "completed")

    live(tmp_path, life, RenderUpstream(polls_needed=2))


# --- looking -------------------------------------------------------------------------------------------------------


def test_another_keys_task_is_not_there(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        task = (await one.submit()).task
        for asked in (
            one.desk.query("key_9", task_id=task.id),
            one.desk.cancel("key_9", task_id=task.id),
            one.desk.remove("key_9", task.id),
            one.desk.query(one.key.id, out_task_id="none"),
        ):
            with pytest.raises(NotFound):
                await asked

    live(tmp_path, life, working=False)


def test_watchers_are_told_each_event_once_and_in_order(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        task = (await one.submit()).task

        async def watch() -> list[int]:
            seen: list[int] = []
            while True:
                found = await one.desk.events(one.key.id, task.id, seen[-1] if seen else 0, 30.0)
                seen.extend(event.seq for event in found)
                if found and found[-1].state == "completed":
                    return seen

        watched = await asyncio.gather(*(watch() for _ in range(5)))
        assert all(seen == list(range(1, len(seen) + 1)) for seen in watched)
        assert one.watch.watched == 0

    live(tmp_path, life, RenderUpstream(polls_needed=4))


def test_a_watcher_in_another_process_hears_too(tmp_path: Path) -> None:
    async def run() -> None:
        house, key = await build(tmp_path)
        with RenderUpstream() as provider:
            place = channel(provider.url)
            async with (
                process(house, key, place, name="one") as one,
                process(house, key, place, name="two", working=False) as two,
            ):
                provider.completes = False
                task = (await one.submit()).task
                seen = 0
                while True:
                    found = await two.desk.events(key.id, task.id, seen, 30.0)
                    assert found
                    seen = found[-1].seq
                    if found[-1].state == "completed":
                        break
                    provider.completes = True
        await house.engine.dispose()

    asyncio.run(run())


def test_silence_is_told_by_an_empty_list(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        task = (await one.submit()).task
        assert await one.desk.events(one.key.id, task.id, task.seq, 0.05) == []

    live(tmp_path, life, working=False)


def test_tasks_are_listed_by_age_from_either_end(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        ids = [(await one.submit(f"number {number}")).task.id for number in range(5)]
        newest = await one.desk.listing(one.key.id, "video", limit=2)
        assert [task.id for task in newest] == sorted(ids, reverse=True)[:2]
        rest = await one.desk.listing(one.key.id, "video", limit=9, after=newest[-1].id)
        assert [task.id for task in rest] == sorted(ids, reverse=True)[2:]
        oldest = await one.desk.listing(one.key.id, "video", limit=9, newest_first=False)
        assert [task.id for task in oldest] == sorted(ids)
        assert await one.desk.listing(one.key.id, "image", limit=9) == []

    live(tmp_path, life, working=False)


def test_a_task_that_is_over_can_be_removed_with_what_it_made(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        task = (await one.submit()).task
        (task,) = await one.over(task.id)
        assert task.output is not None
        await one.desk.remove(one.key.id, task.id)
        with pytest.raises(NotFound):
            await one.task(task.id)
        with pytest.raises(NoSuchObject):
            await one.parts.store.find(task.output[0].id)

    live(tmp_path, life)


def test_a_task_that_is_not_over_cannot_be_removed(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        task = (await one.submit()).task
        with pytest.raises(Conflict):
            await one.desk.remove(one.key.id, task.id)

    live(tmp_path, life, working=False)


def test_old_tasks_are_swept_and_others_are_not(tmp_path: Path) -> None:
    async def run() -> None:
        house, key = await build(tmp_path)
        with RenderUpstream() as provider:
            async with process(house, key, channel(provider.url)) as one:
                (task,) = await one.over((await one.submit()).task.id)
            limits = Limits(days=0, age_s_max=0.001)
            await asyncio.sleep(0.01)
            async with process(house, key, channel(provider.url), name="two", working=False) as two:
                waiting = (await two.submit("still waiting")).task
            async with process(house, key, channel(provider.url), name="three", limits=limits) as three:
                async with asyncio.timeout(30):
                    while True:
                        try:
                            await three.task(task.id)
                        except NotFound:
                            break
                        await asyncio.sleep(0.02)
                await three.over(waiting.id)
        await house.engine.dispose()

    asyncio.run(run())


def test_a_hold_is_gone_once_its_escrow_is_there(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        await one.submit()
        account = await one.parts.ledger.open(one.key)
        assert (account.open_holds, account.owner.slots.in_flight) == (0, 0)

    live(tmp_path, life, working=False)
