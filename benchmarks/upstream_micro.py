"""What the outbound transport costs: CPU µs per unary exchange and per streamed chunk, over a bare protocol's.

    python benchmarks/upstream_micro.py [--requests 20000] [--concurrency 32] [--json FILE]

A server process answers constant bytes from a bare protocol; it costs nothing here, because only this process's CPU
time is counted. The floor is a bare `asyncio.Protocol` that writes a request and wakes a future when bytes come: what any
client on this loop must pay. "over" is the transport's own share.

Streams are paced by the server, a chunk per stream per tick, so that each chunk is a read of its own; the floor reads the
same bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import multiprocessing.connection
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

import uvloop

from bytespike.testing.scripted_upstream import head, whole
from bytespike.upstream.client import Client
from bytespike.upstream.limits import Timeouts
from bytespike.wire.address import Origin, parse_url
from bytespike.wire.headers import render_headers

TIMEOUTS = Timeouts(connect=5, first_byte=30, idle=30, total=120)
CHUNKS = 200
TICK_SECONDS = 0.005
REQUEST_BODY = b'{"model":"m","messages":[{"role":"user","content":"' + b"x" * 300 + b'"}]}'
#: What real upstreams send: a dozen and more headers.
ANSWER_HEADERS = [
    (b"Date", b"Tue, 03 Nov 2026 10:00:00 GMT"),
    (b"Content-Type", b"application/json"),
    (b"Connection", b"keep-alive"),
    (b"Server", b"cloudflare"),
    (b"request-id", b"req_011CXyzABCDEFGHIJKLMNOP"),
    (b"anthropic-organization-id", b"01234567-89ab-cdef-0123-456789abcdef"),
    *((b"anthropic-ratelimit-thing-%d" % n, b"4000000") for n in range(6)),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains; preload"),
    (b"cf-cache-status", b"DYNAMIC"),
    (b"CF-RAY", b"0123456789abcdef-FRA"),
]
FEW = whole(200, [(b"content-type", b"application/json")], b"y" * 400)
MANY = whole(200, ANSWER_HEADERS, b"y" * 400)
EVENT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"text":"word"}}\n\n'
)
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
STREAM_HEAD = head(200, [(b"content-type", b"text/event-stream"), (b"transfer-encoding", b"chunked")])


class Server(asyncio.Protocol):
    """`/few`, `/many`: a unary answer. `/stream`: chunks, one per tick."""

    streams: ClassVar[set[Server]] = set()

    def connection_made(self, transport):
        self.transport = transport
        self.left = 0

    def data_received(self, data):
        if data.startswith(b"POST /few"):
            self.transport.write(FEW)
        elif data.startswith(b"POST /many"):
            self.transport.write(MANY)
        else:
            self.transport.write(STREAM_HEAD)
            self.left = CHUNKS
            self.streams.add(self)

    def connection_lost(self, exc):
        self.streams.discard(self)

    def tick(self):
        if self.left:
            self.transport.write(CHUNK)
            self.left -= 1
        else:
            self.transport.write(b"0\r\n\r\n")
            self.streams.discard(self)


def serve(pipe: multiprocessing.connection.Connection) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Server, "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for stream in list(Server.streams):
                stream.tick()

    uvloop.run(main())


class Bare(asyncio.Protocol):
    """The floor: write bytes, wake when bytes come."""

    def connection_made(self, transport):
        self.transport = transport
        self.waiter = None
        self.pieces = []

    def data_received(self, data):
        self.pieces.append(data)
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            waiter.set_result(None)

    async def exchange(self, request: bytes) -> list[bytes]:
        self.transport.write(request)
        await self.more()
        pieces, self.pieces = self.pieces, []
        return pieces

    async def more(self):
        if not self.pieces:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter


async def cpu(concurrency: int, worker: Callable[[], Awaitable[int]]) -> float:
    """CPU µs per unit of work, of `concurrency` workers that return how much they did."""
    before = time.process_time()
    done = sum(await asyncio.gather(*(worker() for _ in range(concurrency))))
    return (time.process_time() - before) / done * 1e6


async def unary(
    client: Client, origin: Origin, target: bytes, requests: int, concurrency: int
) -> tuple[float, float]:
    """(floor, transport)"""
    headers = render_headers(
        [(b"x-api-key", b"k" * 100), (b"anthropic-version", b"2023-06-01"), (b"user-agent", b"b/1")]
    )
    raw = b"POST %b HTTP/1.1\r\nhost: h\r\n%b\r\n%b" % (target, headers, REQUEST_BODY)
    each = requests // concurrency

    async def bare() -> int:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(Bare, "127.0.0.1", origin.port)
        for _ in range(each):
            await protocol.exchange(raw)
        transport.close()
        return each

    async def ours() -> int:
        for _ in range(each):
            answer = await client.request(origin, b"POST", target, headers, REQUEST_BODY, TIMEOUTS)
            body = await answer.read(1 << 20)
            assert len(body) == 400
        return each

    await cpu(concurrency, ours)  # connections are made
    return await cpu(concurrency, bare), await cpu(concurrency, ours)


async def streamed(client: Client, origin: Origin, streams: int) -> tuple[float, float]:
    """(floor, transport), per chunk"""
    raw = b"POST /stream HTTP/1.1\r\nhost: h\r\n\r\n"

    async def bare() -> int:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(Bare, "127.0.0.1", origin.port)
        transport.write(raw)
        reads = 0
        while not b"".join(protocol.pieces[-1:]).endswith(b"0\r\n\r\n"):
            protocol.pieces.clear()
            await protocol.more()
            reads += 1
        transport.close()
        return reads

    async def ours() -> int:
        answer = await client.request(origin, b"POST", b"/stream", b"", REQUEST_BODY, TIMEOUTS)
        reads = 0
        while await answer.next_chunk():
            reads += 1
        assert reads > CHUNKS * 0.9, f"only {reads} reads of {CHUNKS} chunks: they were not paced"
        return reads

    return await cpu(streams, bare), await cpu(streams, ours)


async def measure(port: int, requests: int, concurrency: int) -> dict[str, dict[str, float]]:
    origin, _ = parse_url(f"http://127.0.0.1:{port}")
    client = Client()
    results = {}
    for name, target, parallel in (
        ("unary, 2 headers, sequential", b"/few", 1),
        (f"unary, 2 headers, {concurrency} at once", b"/few", concurrency),
        (f"unary, 15 headers, {concurrency} at once", b"/many", concurrency),
    ):
        results[name] = await unary(client, origin, target, requests, parallel)
    results["streamed chunk, 100 streams"] = await streamed(client, origin, 100)
    await client.close(0)
    return {
        name: {"floor": low, "transport": high, "over": high - low} for name, (low, high) in results.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU cost of the outbound transport")
    parser.add_argument("--requests", type=int, default=20000)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    try:
        results = uvloop.run(measure(ours.recv(), options.requests, options.concurrency))
    finally:
        server.terminate()
    print(f"{'µs CPU':38}{'floor':>8}{'transport':>11}{'over':>8}")
    for name, row in results.items():
        print(f"{name:38}{row['floor']:8.1f}{row['transport']:11.1f}{row['over']:8.1f}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
