"""A client for what wrk cannot do: `python -m benchmarks.stream_client < order.json`, one JSON line of figures to stdout.

wrk stops by the clock, in the middle of streams, and sends as fast as it gets answers. This client runs a given number
of requests to their end (`pace` 0: `connections` at a time), or starts one every `1 / pace` seconds whether or not the last
ones are done, and counts latency from the moment at which a request was due, so that waiting is not left out.

Order: `port`, `request` (a file with the whole HTTP request), `connections`, `requests`, `pace` (per second), `mark` (what
each event contains, "" for whole answers), `stamped` (events tell when they were written), `announce` (print `open` when every connection has its
first byte).
"""

from __future__ import annotations

import asyncio
import collections
import math
import re
import signal
import sys
import time
from pathlib import Path
from typing import cast

import httptools
import msgspec
import uvloop

from benchmarks.answers import STAMP, STAMP_MARK

_STAMPED = re.compile(STAMP_MARK.encode() + rb"(\d{19})" + STAMP_MARK.encode())
_STAMP_BYTES = len(STAMP) + 2 * len(STAMP_MARK)
#: A server this far behind the pace cannot keep it.
_LATE_SECONDS_MAX = 20.0


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to do; see the top of the file."""

    port: int
    request: str
    connections: int
    requests: int
    pace: float = 0.0
    mark: str = ""
    stamped: bool = False
    announce: bool = False


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles, in milliseconds."""

    count: int
    p50: float
    p99: float
    max: float


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen. `first` is until the first byte of the body, `last` until its end, `delay` that of single events.

    `reads` is how often the socket gave data: fewer than events, where events came joined.
    """

    completed: int
    failure: str
    events: int
    reads: int
    seconds: float
    first: Spread | None
    last: Spread | None
    delay: Spread | None


def spread(values: list[float]) -> Spread | None:
    """Nearest-rank percentiles; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    return Spread(count=len(ordered), p50=at(0.5), p99=at(0.99), max=ordered[-1])


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._parser = httptools.HttpResponseParser(self)
        self._due = 0.0
        self._first = 0.0
        self._tail = b""
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def begin(self, due: float) -> None:
        """Sends the request that was due at `due`, on the monotonic clock."""
        self.busy = True
        self._due = due
        self._first = 0.0
        self._tail = b""
        self._transport.write(self._driver.request)

    def data_received(self, data: bytes) -> None:
        self._driver.reads += 1
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._driver.fail(f"not HTTP: {error}")

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() != 200:
            self._driver.fail(f"status {self._parser.get_status_code()}")

    def on_body(self, body: bytes) -> None:
        driver = self._driver
        if not self._first:
            self._first = time.monotonic()
            driver.opened((self._first - self._due) * 1000)
        if driver.tail:
            data = self._tail + body
            driver.look(data)
            # Less than a whole mark, so that none is seen twice and none is missed between two reads.
            self._tail = data[-driver.tail :]

    def on_message_complete(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.busy = False
        self._driver.done(self, (time.monotonic() - self._due) * 1000)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.busy:
            self._driver.fail("the connection was closed in the middle of an answer")

    def close(self) -> None:
        self.busy = False
        self._transport.abort()


class Driver:
    """Gives requests to connections, and knows when all are answered."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self.request = Path(order.request).read_bytes()
        self._mark = order.mark.encode()
        #: How many bytes may be the beginning of a mark that ends in the next read; 0 when none is looked for.
        self.tail = _STAMP_BYTES - 1 if order.stamped else max(0, len(self._mark) - 1)
        self.reads = 0
        self.events = 0
        self._failure = ""
        self._first_ms: list[float] = []
        self._last_ms: list[float] = []
        self._delays_ms: list[float] = []
        self._free: list[Connection] = []
        self._waiting: collections.deque[float] = collections.deque()
        self._begun = 0
        self._over = asyncio.Event()

    async def run(self) -> Counts:
        """Everything in the order; ends early at the first failure."""
        loop = asyncio.get_running_loop()
        made = [
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._order.port)
            for _ in range(self._order.connections)
        ]
        connections = [protocol for _, protocol in made]
        self._free = list(connections)
        began = time.monotonic()
        if self._order.pace:
            self._start_pace(loop, began)
        else:
            for connection in connections[: self._order.requests]:
                self._free.remove(connection)
                self._begin(connection, time.monotonic())
        await self._over.wait()
        seconds = time.monotonic() - began
        for connection in connections:
            connection.close()
        return Counts(
            completed=len(self._last_ms),
            failure=self._failure,
            events=self.events,
            reads=self.reads,
            seconds=seconds,
            first=spread(self._first_ms),
            last=spread(self._last_ms),
            delay=spread(self._delays_ms),
        )

    def _start_pace(self, loop: asyncio.AbstractEventLoop, began: float) -> None:
        """A request per tick of the process's interval timer: the loop's own timers count whole milliseconds."""
        interval = 1 / self._order.pace
        told = 0

        def tick() -> None:
            nonlocal told
            now = time.monotonic()
            while told < self._order.requests and began + told * interval <= now:
                self._due(began + told * interval)
                told += 1
            if told == self._order.requests or self._over.is_set():
                signal.setitimer(signal.ITIMER_REAL, 0)

        loop.add_signal_handler(signal.SIGALRM, tick)
        signal.setitimer(signal.ITIMER_REAL, interval, interval)

    def _due(self, due: float) -> None:
        if self._free:
            self._begin(self._free.pop(), due)
        elif self._waiting and due - self._waiting[0] > _LATE_SECONDS_MAX:
            self.fail("answers came too slowly for the pace")
        else:
            self._waiting.append(due)

    def _begin(self, connection: Connection, due: float) -> None:
        self._begun += 1
        connection.begin(due)

    def look(self, data: bytes) -> None:
        """Counts the events in a piece of a body."""
        if not self._order.stamped:
            self.events += data.count(self._mark)
            return
        now = time.monotonic_ns()
        stamps = _STAMPED.findall(data)
        self.events += len(stamps)
        self._delays_ms.extend((now - int(stamp)) / 1e6 for stamp in stamps)

    def opened(self, after_ms: float) -> None:
        """A request has its first byte."""
        self._first_ms.append(after_ms)
        if self._order.announce and len(self._first_ms) == self._order.connections:
            print("open", flush=True)

    def done(self, connection: Connection, after_ms: float) -> None:
        """A request has its answer."""
        self._last_ms.append(after_ms)
        if len(self._last_ms) >= self._order.requests:
            self._over.set()
        elif self._waiting:
            self._begin(connection, self._waiting.popleft())
        elif not self._order.pace and self._begun < self._order.requests:
            self._begin(connection, time.monotonic())
        else:
            self._free.append(connection)

    def fail(self, why: str) -> None:
        """Something but a clean answer came: nothing that follows would be a figure."""
        self._failure = self._failure or why
        self._over.set()


async def _main() -> None:
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    counts = await Driver(order).run()
    print(msgspec.json.encode(counts).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())
