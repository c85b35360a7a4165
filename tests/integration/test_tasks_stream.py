"""GET /v1/tasks/stream/{task_id}: every change once, in order, from any process, again from where one was."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bytespike.errors import ConcurrencyLimited
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.request import Inbound
from bytespike.http.inbound.watching import Watchers, stream_task
from bytespike.protocols.registry import DIALECTS
from bytespike.wire.sse import SSEParser
from tests.support.media_gateway import PATIENCE_S, MediaGateway, Neighbour
from tests.support.raw_http import Answer

pytestmark = pytest.mark.slow

#: Of both gateways.
MASTER_KEY = "5c" * 32


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaGateway]:
    folder = Path(tmp_path_factory.mktemp("watched"))
    store = (folder / "objects").as_uri()
    with MediaGateway(folder, object_store_url=store, master_key=MASTER_KEY) as running:
        yield running


def watch(gateway: MediaGateway, task_id: str, after: int | None = None, key: str = "") -> Answer:
    """The whole stream, which has to end by itself."""
    headers = {"x-api-key": key or gateway.key}
    if after is not None:
        headers["last-event-id"] = str(after)
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=PATIENCE_S)
    try:
        connection.request("GET", f"/v1/tasks/stream/{task_id}", headers=headers)
        answer = connection.getresponse()
        return Answer(
            answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        )
    finally:
        connection.close()


def events_of(body: bytes) -> list[tuple[int, dict[str, Any]]]:
    """Ids and data."""
    ids = [int(line[4:]) for line in body.splitlines() if line.startswith(b"id: ")]
    found = [json.loads(event.data) for event in SSEParser().feed(body) if event.event == ""]
    assert len(ids) == len(found)
    return list(zip(ids, found, strict=True))


def test_each_change_is_told_and_the_last_is_the_whole_task(gateway: MediaGateway) -> None:
    task = gateway.submitted(model="sora2", prompt="[[sim: polls=5]] a cat")
    answer = watch(gateway, task["task_id"])
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert "x-quota-remaining-credits" in answer.headers
    events = events_of(answer.body)
    ids = [id for id, _ in events]
    assert ids == list(range(1, len(events) + 1))
    states = [data["status"] for _, data in events]
    assert states[0] == "pending"
    assert states[-1] == "completed"
    assert states == sorted(states, key=["pending", "running", "completed"].index)
    assert "running" in states
    progress = [data["progress"] for _, data in events]
    assert progress == sorted(progress)
    assert progress[-1] == 100
    assert any(0 < percent < 100 for percent in progress)
    assert events[-1][1] == gateway.ended(task["task_id"])


def test_a_watcher_goes_on_from_what_it_has_seen(gateway: MediaGateway) -> None:
    task = gateway.submitted(model="sora2", prompt="[[sim: polls=4]] a cat")
    whole = events_of(watch(gateway, task["task_id"]).body)
    for seen in range(len(whole)):
        assert events_of(watch(gateway, task["task_id"], after=seen).body) == whole[seen:]
    by_query = gateway.request(
        "GET",
        f"/v1/tasks/stream/{task['task_id']}?last_event_id={len(whole) - 1}",
        headers={"x-api-key": gateway.key},
    )
    assert events_of(by_query.body) == whole[-1:]


def test_who_has_seen_the_last_event_is_told_not_to_come_again(gateway: MediaGateway) -> None:
    task = gateway.submitted(model="sora2", prompt="a cat")
    last = events_of(watch(gateway, task["task_id"]).body)[-1][0]
    for seen in (last, last + 5):
        answer = watch(gateway, task["task_id"], after=seen)
        assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize(("directive", "state"), [("fail=error", "failed"), ("polls=10000", "cancelled")])
def test_every_ending_ends_the_stream(gateway: MediaGateway, directive: str, state: str) -> None:
    task = gateway.submitted(model="sora2", prompt=f"[[sim: {directive}]] a cat")
    if state == "cancelled":
        gateway.until(
            lambda: json.loads(gateway.query(task_id=task["task_id"]).body)["status"] == "running", PATIENCE_S
        )
        assert gateway.post(f"/v1/tasks/cancel/{task['task_id']}", b"").status == 200
    events = events_of(watch(gateway, task["task_id"]).body)
    assert events[-1][1]["status"] == state
    assert events[-1][1] == gateway.ended(task["task_id"])


@pytest.mark.parametrize("seen", ["-1", "x", "1.5", "9" * 30])
def test_an_id_that_is_none_is_refused(gateway: MediaGateway, seen: str) -> None:
    task = gateway.submitted(model="sora2", prompt="a cat")
    path = f"/v1/tasks/stream/{task['task_id']}"
    for target, headers in ((path, {"last-event-id": seen}), (f"{path}?last_event_id={seen}", {})):
        answer = gateway.request("GET", target, headers={"x-api-key": gateway.key, **headers})
        assert answer.status == 400
        assert json.loads(answer.body)["error"]["code"] == "invalid_param"


def test_head_does_not_wait_for_the_end(gateway: MediaGateway) -> None:
    task = gateway.submitted(model="sora2", prompt="[[sim: polls=10000]] a cat")
    answer = gateway.request(
        "HEAD", f"/v1/tasks/stream/{task['task_id']}", headers={"x-api-key": gateway.key}
    )
    assert (answer.status, answer.body) == (200, b"")


def test_a_task_that_there_is_not_is_404(gateway: MediaGateway) -> None:
    for id in ("task_nowhere", "", "a/b"):
        assert watch(gateway, id).status == 404


def test_many_watch_one_task_and_all_see_the_same(gateway: MediaGateway) -> None:
    task = gateway.submitted(model="sora2", prompt="[[sim: polls=6]] a cat")
    seen: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: seen.append(watch(gateway, task["task_id"]).body)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(seen) == 20
    assert len({tuple(id for id, _ in events_of(body)) for body in seen}) == 1
    assert {json.dumps(events_of(body)[-1][1]) for body in seen} == {
        json.dumps(gateway.ended(task["task_id"]))
    }


class Reader(threading.Thread):
    """Watches as long as there is something to see. `lines`: so far."""

    def __init__(self, gateway: MediaGateway, task_id: str, key: str) -> None:
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=PATIENCE_S)
        self.connection.request("GET", f"/v1/tasks/stream/{task_id}", headers={"x-api-key": key})
        self.answer = self.connection.getresponse()
        self.lines: list[bytes] = []
        self.start()

    def run(self) -> None:
        try:
            while line := self.answer.readline():
                self.lines.append(line)
        finally:
            self.answer.close()
            self.connection.close()


def test_a_watcher_whose_key_is_revoked_is_sent_away(gateway: MediaGateway) -> None:
    key = gateway.new_key()
    task = json.loads(gateway.submit(key, model="sora2", prompt="[[sim: polls=10000]] a cat").body)
    reader = Reader(gateway, task["task_id"], key)
    gateway.until(lambda: any(line.startswith(b"id:") for line in reader.lines), PATIENCE_S)
    gateway.revoke(key)
    # Nothing may happen before the next event or the next sign of life.
    gateway.post(f"/v1/tasks/cancel/{task['task_id']}", b"")
    reader.join(PATIENCE_S)
    assert not reader.is_alive()
    assert b"event: error\n" in reader.lines
    assert b"invalid_api_key" in reader.lines[-2]


def test_other_processes_tell_the_same(gateway: MediaGateway, tmp_path: Path) -> None:
    """A second gateway on the same database: either may work on the task."""
    task = gateway.submitted(model="sora2", prompt="[[sim: polls=10]] a cat")
    with Neighbour(gateway, tmp_path) as other:
        here: list[bytes] = []
        there: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: here.append(watch(gateway, task["task_id"]).body)),
            threading.Thread(
                target=lambda: there.append(watch(other, task["task_id"], key=gateway.key).body)
            ),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        mine, theirs = events_of(here[0]), events_of(there[0])
        assert [id for id, _ in mine] == [id for id, _ in theirs]
        assert [data for _, data in mine[:-1]] == [data for _, data in theirs[:-1]]
        # The file is served by either.
        (output,) = theirs[-1][1]["output"]
        assert output["url"].startswith(other.url)
        answers = [each.request("GET", output["url"].removeprefix(other.url)) for each in (gateway, other)]
        assert [answer.status for answer in answers] == [200, 200]
        assert answers[0].body == answers[1].body


def test_streams_end_whole_when_the_server_stops(gateway: MediaGateway, tmp_path: Path) -> None:
    """Not cut after all the time that others get: a client goes on elsewhere from what it has seen."""
    task_id = gateway.submitted(model="sora2", prompt="[[sim: polls=10000]] a cat")["task_id"]
    with Neighbour(gateway, tmp_path) as other:
        connection = socket.create_connection((other.host, other.port), timeout=PATIENCE_S)
        head = f"GET /v1/tasks/stream/{task_id} HTTP/1.1\r\nhost: test\r\nx-api-key: {gateway.key}\r\n\r\n"
        connection.sendall(head.encode())
        received = b""
        while b"\nid: " not in received:
            received += connection.recv(65536)
    with connection:
        while block := connection.recv(65536):
            received += block
    assert received.endswith(b"\r\n0\r\n\r\n")
    assert b"event: error" not in received


class Line:  # as `http.inbound.exchange.Line`
    """The edge to the socket: what a handler has said so far."""

    def __init__(self) -> None:
        self.started = False
        self.stalled_seconds = 0.0
        self.sent = b""

    def want_body(self, expected: bool) -> None:
        pass

    def start(self, status: int, head: bytes, length: int | None = None) -> None:
        self.started = True

    async def send(self, data: bytes) -> None:
        self.sent += data

    def finish(self, data: bytes = b"") -> None:
        self.sent += data


class Watching:
    """A handler with bounds of its own, and its watchers, on the gateway's loop."""

    def __init__(self, gateway: MediaGateway, watchers: Watchers, keep_alive_s: float) -> None:
        application = gateway.application
        media = application.media
        self._gateway = gateway
        self._handler = stream_task(
            application.parts, media.desk, media.links, watchers, DIALECTS["openai_chat"], keep_alive_s
        )

    def begin(self, task_id: str, key: str = "") -> tuple[Line, asyncio.Task[None]]:
        line = Line()
        headers = {b"x-api-key": (key or self._gateway.key).encode()}
        inbound = Inbound("GET", f"/v1/tasks/stream/{task_id}", b"", headers, "127.0.0.1", line)
        parts = self._gateway.application.parts
        exchange = Exchange(inbound, line, parts.ledger, parts.limits, "req_test")
        return line, asyncio.create_task(self._handler(inbound, exchange))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


def test_silence_is_broken_by_comments_until_the_watcher_goes(gateway: MediaGateway) -> None:
    task = gateway.submitted(model="sora2", prompt="[[sim: render=20]] a cat")
    watchers = Watchers()
    watching = Watching(gateway, watchers, keep_alive_s=0.05)

    async def run() -> None:
        line, watcher = watching.begin(task["task_id"])
        await until(lambda: line.sent.count(b": keep-alive\n\n") >= 3)
        assert watchers.count == 1
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
        assert watchers.count == 0

    gateway.run(run())


def test_a_key_and_a_process_have_so_many_watchers(gateway: MediaGateway) -> None:
    task_id = gateway.submitted(model="sora2", prompt="[[sim: render=20]] a cat")["task_id"]
    other_key = gateway.new_key()
    other_id = json.loads(gateway.submit(other_key, model="sora2", prompt="[[sim: render=20]] a cat").body)[
        "task_id"
    ]
    watching = Watching(gateway, Watchers(total_max=3, per_key_max=2), keep_alive_s=15.0)

    async def run() -> None:
        begun = [watching.begin(task_id), watching.begin(task_id), watching.begin(other_id, other_key)]
        await until(lambda: all(line.started for line, _ in begun))
        for id, key in ((task_id, ""), (other_id, other_key)):
            _, refused = watching.begin(id, key)
            with pytest.raises(ConcurrencyLimited) as raised:
                await refused
            assert raised.value.retry_after == 1
        line, watcher = begun.pop()
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
        # One is free, but not for the key that has its two.
        with pytest.raises(ConcurrencyLimited):
            await watching.begin(task_id)[1]
        line, watcher = watching.begin(other_id, other_key)
        await until(lambda: line.started)
        for _, each in (*begun, (line, watcher)):
            each.cancel()
        await asyncio.gather(*(each for _, each in begun), watcher, return_exceptions=True)

    gateway.run(run())
