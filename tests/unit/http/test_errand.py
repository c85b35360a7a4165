"""An errand is to asyncio what a task is."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from bytespike.http.errand import Errand

Work = Callable[[], Coroutine[Any, Any, None]]
said: contextvars.ContextVar[str] = contextvars.ContextVar("said", default="nothing")


class Stage:
    """A loop on which errands are begun from outside of any task, as connections do."""

    def __init__(self) -> None:
        self.running: set[Errand] = set()

    def begin(self, work: Work) -> Errand:
        errand = Errand(work(), asyncio.get_running_loop(), self.running)
        asyncio.get_running_loop().call_soon(errand.begin)
        return errand

    async def over(self) -> None:
        async with asyncio.timeout(30):
            await asyncio.sleep(0)
            while self.running:
                await asyncio.sleep(0)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    def runs(coroutine: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(coroutine)

    return runs


Run = Callable[[Coroutine[Any, Any, None]], None]


def test_it_goes_on_when_what_it_waits_for_is_there(run: Run) -> None:
    async def main() -> None:
        stage = Stage()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        seen: list[object] = []

        async def work() -> None:
            seen.append("begun")
            await asyncio.sleep(0)
            seen.append(await future)
            seen.append(await asyncio.create_task(asyncio.sleep(0, "task")))
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0.001))
            seen.append(await asyncio.to_thread(lambda: "thread"))

        errand = stage.begin(work)
        await asyncio.sleep(0)
        assert seen == ["begun"]
        assert stage.running == {errand}
        assert not errand.done()
        future.set_result(7)
        await stage.over()
        assert seen == ["begun", 7, "task", "thread"]
        assert errand.done()

    run(main())


def test_it_is_the_current_task_while_it_runs_and_not_after(run: Run) -> None:
    async def main() -> None:
        stage = Stage()
        seen: list[object] = []

        async def work() -> None:
            seen.append(asyncio.current_task())
            await asyncio.sleep(0)
            seen.append(asyncio.current_task())

        own = asyncio.current_task()
        errand = stage.begin(work)
        await stage.over()
        assert seen == [errand, errand]
        assert asyncio.current_task() is own

    run(main())


def test_a_timeout_ends_what_it_waits_for(run: Run) -> None:
    async def main() -> None:
        stage = Stage()
        seen: list[str] = []

        async def work() -> None:
            try:
                async with asyncio.timeout(0.01):
                    await asyncio.Event().wait()
            except TimeoutError:
                seen.append("timeout")
            await asyncio.sleep(0)
            seen.append("on")

        errand = stage.begin(work)
        await stage.over()
        assert seen == ["timeout", "on"]
        assert errand.cancelling() == 0

    run(main())


def test_a_cancel_reaches_it_where_it_waits(run: Run) -> None:
    async def main() -> None:
        stage = Stage()
        seen: list[str] = []

        async def work() -> None:
            try:
                async with asyncio.timeout(30):
                    await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise
            finally:
                await asyncio.sleep(0)
                seen.append("tidied")

        errand = stage.begin(work)
        await asyncio.sleep(0)
        assert errand.cancel(msg="because")
        await stage.over()
        assert seen == ["cancelled", "tidied"]
        assert errand.done()
        assert not errand.cancel()

    run(main())


def test_a_cancel_while_it_runs_reaches_it_at_its_next_wait(run: Run) -> None:
    async def main() -> None:
        stage = Stage()
        seen: list[str] = []

        async def work() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            seen.append("still")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")

        stage.begin(work)
        await stage.over()
        assert seen == ["still", "cancelled"]

    run(main())


def test_a_task_that_it_waits_for_is_cancelled_with_it(run: Run) -> None:
    async def main() -> None:
        stage = Stage()
        seen: list[str] = []

        async def inner() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("inner")
                raise

        async def work() -> None:
            await asyncio.create_task(inner())

        errand = stage.begin(work)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        errand.cancel()
        await stage.over()
        assert seen == ["inner"]

    run(main())


def test_what_one_sets_in_its_context_no_other_sees(run: Run) -> None:
    async def main() -> None:
        stage = Stage()
        seen: list[str] = []

        async def work() -> None:
            seen.append(said.get())
            said.set("something")
            await asyncio.sleep(0)
            seen.append(said.get())

        stage.begin(work)
        stage.begin(work)
        await stage.over()
        assert seen == ["nothing", "nothing", "something", "something"]
        assert said.get() == "nothing"

    run(main())


def test_an_error_ends_it_alone(run: Run) -> None:
    async def main() -> None:
        stage = Stage()
        seen: list[str] = []

        async def fails() -> None:
            raise ValueError("no")

        async def goes_on() -> None:
            await asyncio.sleep(0)
            seen.append("on")

        failing = stage.begin(fails)
        stage.begin(goes_on)
        await stage.over()
        assert failing.done()
        assert seen == ["on"]

    run(main())


def test_what_is_no_future_is_refused_where_it_is_awaited(run: Run) -> None:
    class Strange:
        def __await__(self) -> Any:
            yield "strange"

    async def main() -> None:
        stage = Stage()
        seen: list[str] = []

        async def work() -> None:
            try:
                await Strange()
            except RuntimeError as error:
                seen.append(str(error))

        stage.begin(work)
        await stage.over()
        assert seen == ["a request waits for 'strange', which is no future of this loop"]

    run(main())


def test_a_future_of_another_loop_is_refused_where_it_is_awaited() -> None:
    other = asyncio.new_event_loop()
    future: asyncio.Future[None] = other.create_future()

    async def main() -> None:
        stage = Stage()
        seen: list[str] = []

        async def work() -> None:
            try:
                await future
            except RuntimeError as error:
                seen.append(str(error))

        stage.begin(work)
        await stage.over()
        assert seen == [f"a request waits for {future!r}, which is no future of this loop"]

    asyncio.run(main())
    other.close()
