"""What is done at the end of a turn of the event loop."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from bytespike.loop_turn import LoopTurn


def test_what_comes_first_is_done_before_everything_else_of_the_turn() -> None:
    async def body() -> list[str]:
        done: list[str] = []
        turn = LoopTurn()
        turn.then(lambda: done.append("answer 1"))
        turn.first(lambda: done.append("receipts"))
        turn.then(lambda: done.append("answer 2"))
        assert done == []
        await asyncio.sleep(0)
        return done

    assert asyncio.run(body()) == ["receipts", "answer 1", "answer 2"]


def test_what_is_added_at_the_end_of_a_turn_is_the_next_ones() -> None:
    async def body() -> list[int]:
        done: list[int] = []
        turn = LoopTurn()

        def again() -> None:
            done.append(1)
            turn.first(lambda: done.append(2))
            turn.then(lambda: done.append(3))

        turn.then(again)
        await asyncio.sleep(0)
        assert done == [1]
        await asyncio.sleep(0)
        return done

    assert asyncio.run(body()) == [1, 2, 3]


def test_one_that_fails_does_not_hinder_the_others() -> None:
    async def body() -> list[int]:
        done: list[int] = []
        turn = LoopTurn()
        turn.then(lambda: done.append(1))
        turn.then(lambda: done.append(1 // 0))
        turn.then(lambda: done.append(2))
        await asyncio.sleep(0)
        return done

    with capture_logs() as logs:
        assert asyncio.run(body()) == [1, 2]
    assert [entry["log_level"] for entry in logs] == ["error"]
