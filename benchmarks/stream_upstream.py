"""A small upstream that streams: `python -m benchmarks.stream_upstream PORT`.

nginx can answer at once, but cannot pace a stream, nor wait for a large body. The path says what is wanted:
`/<events>x<interval_ms>[s]/…`, which ends as the dialects' paths do (see `work.Manner`); 0 events is a whole answer. It
begins to answer when the request's body is complete. Gemini's path also says whether a stream is wanted: one that says
otherwise than the manner is not found.

With an interval of 0 every event is a write of its own, past the transport's buffer, because uvloop would join the
writes of one turn. With an interval, streams are spread over the slots of a wheel that turns once per interval, so that
events of different streams do not all arrive in the same instant.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import signal
import sys
import time
from typing import cast

import httptools
import uvloop

from benchmarks import answers
from benchmarks.work import Dialect

_PATH = re.compile(
    rb"/(\d+)x(\d+)(s?)/.*?"
    rb"(messages|chat/completions|responses|:generateContent|:streamGenerateContent(?=\?alt=sse))(?:\?.*)?$"
)
_DIALECTS: dict[bytes, Dialect] = {
    b"messages": "anthropic",
    b"chat/completions": "chat",
    b"responses": "responses",
    b":generateContent": "gemini",
    b":streamGenerateContent": "gemini",
}
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
#: The wheel turns in steps of this many milliseconds at least.
_STEP_MS = 1
_SLOTS_MAX = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """One manner of answering, ready to write. `stamp_at`: where in a turn the time goes, -1 for nowhere."""

    events: int
    interval_ms: int
    opening: bytes
    turns: tuple[bytes, ...]
    closing: bytes
    stamp_at: int = -1

    def event(self, number: int) -> bytes:
        """The frame of the stream's text event with this number, to be written now."""
        turn = self.turns[number % len(self.turns)]
        if self.stamp_at < 0:
            return turn
        stamp = b"%019d" % time.monotonic_ns()
        return turn[: self.stamp_at] + stamp + turn[self.stamp_at + len(stamp) :]


def plan(path: bytes) -> Plan | None:
    """What a path asks for; None when it asks for nothing that is here."""
    found = _PATH.match(path)
    if found is None:
        return None
    events, interval_ms = int(found[1]), int(found[2])
    dialect = _DIALECTS[found[4]]
    if dialect == "gemini" and (found[4] != b":generateContent") != bool(events):
        return None
    if not events:
        body = answers.whole(dialect)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        return Plan(0, 0, head + body, (), b"")
    if dialect == "responses" and found[3]:
        return None
    script = answers.script(dialect, events, stamped=bool(found[3]))
    turns = tuple(map(_chunk, script.turns))
    return Plan(
        events,
        interval_ms,
        _STREAM_HEAD + _chunk(script.opening),
        turns,
        _chunk(script.closing) + b"0\r\n\r\n",
        turns[0].find(answers.STAMP.encode()) if found[3] else -1,
    )


def _chunk(data: bytes) -> bytes:
    """A chunk of the body; none for no data, because an empty one would end the body."""
    if not data:
        return b""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Wheel:
    """Calls each of its streams once per interval."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interval_ms: int) -> None:
        slots = min(_SLOTS_MAX, max(1, interval_ms // _STEP_MS))
        self._loop = loop
        self._step = interval_ms / slots / 1000
        self._slots: list[list[Connection]] = [[] for _ in range(slots)]
        self._joins = 0
        self._at = 0
        self._due = loop.time() + self._step
        loop.call_at(self._due, self._turn)

    def join(self, stream: Connection) -> None:
        self._slots[self._joins % len(self._slots)].append(stream)
        self._joins += 1

    def _turn(self) -> None:
        slot = self._slots[self._at]
        slot[:] = [stream for stream in slot if stream.step()]
        self._at = (self._at + 1) % len(self._slots)
        self._due = max(self._due + self._step, self._loop.time())
        self._loop.call_at(self._due, self._turn)


class Connection(asyncio.Protocol):
    """One connection; one answer at a time."""

    def __init__(self, plans: dict[bytes, Plan | None], wheels: dict[int, Wheel]) -> None:
        self._plans = plans
        self._wheels = wheels
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._plan: Plan | None = None
        self._sent = 0
        self._open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._fd: int = self._transport.get_extra_info("socket").fileno()

    def connection_lost(self, exc: Exception | None) -> None:
        self._open = False

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_message_complete(self) -> None:
        url = self._url
        if url not in self._plans:
            self._plans[url] = plan(url)
        self._plan = chosen = self._plans[url]
        if chosen is None:
            self._write(_NOT_FOUND)
            return
        self._sent = 0
        self._write(chosen.opening)
        if not chosen.events:
            return
        if not chosen.interval_ms:
            while self.step():
                pass
            return
        if chosen.interval_ms not in self._wheels:
            self._wheels[chosen.interval_ms] = Wheel(asyncio.get_running_loop(), chosen.interval_ms)
        self._wheels[chosen.interval_ms].join(self)

    def step(self) -> bool:
        """Writes the next event, and the close after the last. False when there is nothing more to write."""
        if self._plan is None or not self._open:
            return False
        self._write(self._plan.event(self._sent))
        self._sent += 1
        if self._sent < self._plan.events:
            return True
        self._write(self._plan.closing)
        return False

    def _write(self, data: bytes) -> None:
        if not self._transport.get_write_buffer_size() and not self._transport.is_closing():
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                pass
            except OSError:
                self._open = False
                self._transport.abort()
                return
        if data:
            self._transport.write(data)


async def serve(port: int) -> None:
    """Serves until SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    plans: dict[bytes, Plan | None] = {}
    wheels: dict[int, Wheel] = {}
    server = await loop.create_server(lambda: Connection(plans, wheels), "127.0.0.1", port, backlog=4096)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
