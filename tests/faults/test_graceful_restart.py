"""A gateway is restarted, or stopped, while many are asking: nobody's request fails for it, and every hold resolves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bytespike.providers.simulator.server import Simulator
from tests.support.gateway import CLAUDE, GPT, RunningGateway
from tests.support.kept_connection import KeptConnection
from tests.support.raw_http import Answer, ask
from tests.support.routing_fronts import PREFIXES, asking
from tests.support.served import Served, doctor

pytestmark = pytest.mark.slow

ASKING = 12
#: Between two requests of a client: what starts needs some of the machine too.
PAUSE_S = 0.1
#: Of the clients, so many keep their connection for all of their requests; the others make a new one each time.
KEEPING = 6


#: How each dialect's stream says that it failed.
STREAM_ERRORS = {
    "anthropic_messages": b"event: error",
    "openai_chat": b'"error":{',
    "openai_responses": b"response.failed",
    "gemini": b'"error":{',
}


class Crowd:
    """Clients that ask until they are told to stop. Every answer must be a success, and whole."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key
        self.going = True
        self.whole: list[str] = []
        self.wrong: list[str] = []

    def request(self, number: int) -> tuple[str, bytes, bytes]:
        """Path, body, and what a whole answer ends with."""
        stream = number % 2 == 0
        messages = [{"role": "user", "content": f"[[sim: tokens=20 pace=0.01]] {number}"}]
        if number % 3:
            body = {"model": GPT, "stream": stream, "messages": messages}
            return "/v1/chat/completions", json.dumps(body).encode(), b"[DONE]" if stream else b"usage"
        body = {"model": CLAUDE, "max_tokens": 50, "stream": stream, "messages": messages}
        return "/v1/messages", json.dumps(body).encode(), b"message_stop" if stream else b"usage"

    async def client(self, index: int) -> None:
        kept = KeptConnection("127.0.0.1", self.port) if index < KEEPING else None
        number = index
        while self.going:
            await asyncio.sleep(PAUSE_S)
            number += ASKING
            path, body, ending = self.request(number)
            try:
                headers = {"x-api-key": self.key}
                answer = await (
                    ask("127.0.0.1", self.port, path, body, headers)
                    if kept is None
                    else kept.ask(path, body, headers)
                )
            except (OSError, EOFError, ValueError, IndexError, AssertionError) as error:
                self.wrong.append(f"{path} {number} kept={kept is not None}: {error!r}")
                continue
            self.note(answer, ending)
        if kept is not None:
            await kept.close()

    def note(self, answer: Answer, ending: bytes) -> None:
        if answer.status != 200 or ending not in answer.body or b'"error"' in answer.body:
            self.wrong.append(f"{answer.status} {answer.body[-300:]!r}")
        else:
            self.whole.append(answer.headers["request-id"])

    def answered(self, count: int) -> Generator[None]:
        """Until there are so many more answers."""
        seen = len(self.whole)
        yield from waiting(lambda: len(self.whole) > seen + count, "answers")

    async def ask_while(self, steps: Callable[[], Generator[None]]) -> None:
        """Ask until `steps` is through; it yields where it waits."""
        clients = [asyncio.create_task(self.client(index)) for index in range(ASKING)]
        for _ in steps():
            await asyncio.sleep(0.05)
        self.going = False
        await asyncio.gather(*clients)


def waiting(condition: Callable[[], bool], what: str, seconds: float = 240.0) -> Generator[None]:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not happen in time: {what}"
        yield


async def under_way(sim: Simulator) -> None:
    """Until the upstream has begun to answer."""
    for _ in waiting(lambda: any(seen.events for seen in sim.requests), "the first event of the answer"):
        await asyncio.sleep(0.02)


@pytest.fixture
def house(tmp_path: Path) -> Generator[tuple[Path, str, Simulator]]:
    """A data directory that is furnished, a key, and the simulator behind its channels."""
    with Simulator(observe=True) as sim:
        with RunningGateway(tmp_path, simulator=sim) as gateway:
            key = gateway.key
        yield tmp_path, key, sim


@pytest.fixture
def served(house: tuple[Path, str, Simulator]) -> Generator[Served]:
    found = Served(house[0], 2)
    try:
        yield found
    finally:
        with suppress(ProcessLookupError):
            os.kill(found.process.pid, signal.SIGTERM)
        found.process.wait(timeout=240)


def replaced(served: Served, old: list[int]) -> Callable[[], bool]:
    """Nobody of `old` is left, and two others listen."""

    def check() -> bool:
        now = served.workers()
        return len(now) == 2 and not set(old) & set(now)

    return check


def test_no_request_fails_while_it_is_restarted_twice(
    house: tuple[Path, str, Simulator], served: Served
) -> None:
    crowd = Crowd(served.port, house[1])

    def steps() -> Generator[None]:
        for count in (1, 2):
            yield from crowd.answered(30)
            old = served.workers()
            os.kill(served.process.pid, signal.SIGHUP)
            yield from waiting(lambda n=count: served.log().count("restarted") >= n, "the restart")
            yield from waiting(replaced(served, old), "the end of the old workers")
        yield from crowd.answered(30)

    asyncio.run(crowd.ask_while(steps))
    assert crowd.wrong == []
    assert served.stop() == 0, served.log()[-2000:]
    assert "worker.killed" not in served.log()
    doctor(house[0])
    assert len(crowd.whole) > 90
    assert billed(house[0]) == sorted(crowd.whole), "each answer is on the books once, and nothing else is"


def billed(data_dir: Path) -> list[str]:
    """The request ids of all receipts."""
    with closing(sqlite3.connect(data_dir / "bytespike.db")) as database:
        return sorted(row[0] for row in database.execute("SELECT request_id FROM usage"))


def test_a_stream_that_is_under_way_is_finished_by_the_worker_that_leaves(
    house: tuple[Path, str, Simulator], served: Served
) -> None:
    body = json.dumps(
        {
            "model": GPT,
            "stream": True,
            "messages": [{"role": "user", "content": "[[sim: tokens=40 pace=0.2]] go"}],
        }
    ).encode()

    async def run() -> Answer:
        headers = {"x-api-key": house[1]}
        asking = asyncio.create_task(ask("127.0.0.1", served.port, "/v1/chat/completions", body, headers))
        old = served.workers()
        await under_way(house[2])
        os.kill(served.process.pid, signal.SIGHUP)
        answer = await asking
        for _ in waiting(replaced(served, old), "the end of the old workers"):
            await asyncio.sleep(0.05)
        return answer

    answer = asyncio.run(run())
    assert answer.status == 200
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert answer.body.count(b"data: ") > 10


def test_a_program_that_would_not_start_is_not_put_in_place(
    house: tuple[Path, str, Simulator], served: Served
) -> None:
    (house[0] / "bytespike.toml").write_text("shutdown_grace_s = 'soon'\n")
    workers = served.workers()
    os.kill(served.process.pid, signal.SIGHUP)
    for _ in waiting(lambda: "restart.refused" in served.log(), "the refusal"):
        time.sleep(0.05)
    assert "shutdown_grace_s" in served.log(), "it says what is wrong"
    assert served.workers() == workers
    (house[0] / "bytespike.toml").unlink()
    assert served.stop() == 0


def test_new_settings_hold_after_a_restart(house: tuple[Path, str, Simulator], served: Served) -> None:
    """Fewer workers: what waits for those that are no more is served all the same."""
    crowd = Crowd(served.port, house[1])
    process = served.process.pid

    def steps() -> Generator[None]:
        yield from crowd.answered(20)
        old = served.workers()
        (house[0] / "bytespike.toml").write_text("attempts_max = 2\n")
        os.kill(process, signal.SIGHUP)
        yield from waiting(lambda: "restarted" in served.log(), "the restart")
        yield from waiting(replaced(served, old), "the end of the old workers")

    asyncio.run(crowd.ask_while(steps))
    assert crowd.wrong == []
    assert served.process.pid == process


def test_stopping_finishes_what_is_under_way_and_takes_nothing_more(
    house: tuple[Path, str, Simulator], served: Served
) -> None:
    body = json.dumps(
        {
            "model": GPT,
            "stream": True,
            "messages": [{"role": "user", "content": "[[sim: tokens=30 pace=0.1]]"}],
        }
    ).encode()

    async def run() -> tuple[Answer, int]:
        headers = {"x-api-key": house[1]}
        asking = asyncio.create_task(ask("127.0.0.1", served.port, "/v1/chat/completions", body, headers))
        await under_way(house[2])
        os.kill(served.process.pid, signal.SIGTERM)
        return await asking, await asyncio.to_thread(served.process.wait, 240)

    answer, code = asyncio.run(run())
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert code == 0
    with pytest.raises(OSError):
        asyncio.run(ask("127.0.0.1", served.port, "/v1/chat/completions", body, {}))
    doctor(house[0])


def test_a_turn_on_a_socket_is_finished_and_then_the_socket_says_why_it_closes(
    house: tuple[Path, str, Simulator], served: Served
) -> None:
    headers = {"authorization": f"Bearer {house[1]}"}
    with connect(f"ws://127.0.0.1:{served.port}/v1/responses", additional_headers=headers) as socket:
        turn = {"type": "response.create", "model": GPT, "input": "[[sim: tokens=60 pace=0.1]] go"}
        socket.send(json.dumps(turn))
        kinds = [json.loads(socket.recv(timeout=240))["type"]]
        served.process.send_signal(signal.SIGTERM)
        while kinds[-1] != "response.completed":
            kinds.append(json.loads(socket.recv(timeout=240))["type"])
        assert "error" not in kinds
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=240)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
    assert served.process.wait(240) == 0
    doctor(house[0])


def test_what_is_not_finished_in_time_is_told_so_in_its_dialect_and_costs_nothing(
    house: tuple[Path, str, Simulator],
) -> None:
    (house[0] / "bytespike.toml").write_text("shutdown_grace_s = 1\n")
    served = Served(house[0], 1)
    headers = {"x-api-key": house[1]}

    async def one(dialect: str, *, stream: bool) -> Answer:
        pauses = "tokens=2000 pace=0.2" if stream else "delay=500"
        path, body = asking(dialect, [f"[[sim: {pauses}]] go"], stream=stream)
        return await ask("127.0.0.1", served.port, path, body, headers)

    async def run() -> dict[tuple[str, bool], Answer]:
        ways = [(dialect, stream) for dialect in PREFIXES for stream in (False, True)]
        tasks = [asyncio.create_task(one(dialect, stream=stream)) for dialect, stream in ways]
        while len(house[2].requests) < len(ways) or not all(
            seen.events for seen in house[2].requests if b"pace" in seen.body
        ):
            await asyncio.sleep(0.05)
        served.process.send_signal(signal.SIGTERM)
        return dict(zip(ways, await asyncio.gather(*tasks), strict=True))

    answers = asyncio.run(run())
    assert served.process.wait(240) == 0, served.log()[-2000:]
    for (dialect, stream), answer in answers.items():
        if stream:
            assert answer.status == 200
            assert STREAM_ERRORS[dialect] in answer.body, dialect
            assert b"shutting down" in answer.body, dialect
        else:
            assert answer.status == 503
            assert b"the gateway is stopping" in answer.body
            assert answer.headers["retry-after"] == "1"
    assert billed(house[0]) == []
    doctor(house[0])
