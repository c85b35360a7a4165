"""GET /v1/tasks/stream/{task_id}: server-sent events of a task, from its rows, so that any process can tell them.

Each event has an `id`, by which a client that was cut off goes on (`Last-Event-ID`, which browsers send by themselves, or
`?last_event_id=`), and JSON as `data`: what has changed, and at the end the task as a query answers it. Without an id all
events are told from the first. Silence is broken by comments. The stream closes behind the last event; a task whose last event has been seen gets 204,
at which browsers stop asking. A watcher whose key is revoked is told so, and sent away. When the server stops, streams end, and
clients go on at whichever process there is then.

Watchers are bounded, for each process and each key. They wait on `Desk.events`, which asks the database for all of them
together.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs

from bytespike.core.dialect import Dialect
from bytespike.core.json_types import JSONObject
from bytespike.errors import ConcurrencyLimited, GatewayError, InvalidRequest
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.head import base_url_of
from bytespike.http.inbound.request import Inbound
from bytespike.http.inbound.tasks import caller
from bytespike.http.statuses import STATUS
from bytespike.media.objects.urls import Links
from bytespike.media.tasks.body import event_body, task_body
from bytespike.media.tasks.desk import Desk
from bytespike.media.tasks.record import OVER, TaskEvent
from bytespike.pipeline.parts import Parts
from bytespike.wire.json import encode

WATCHERS_MAX: Final = 5_000
WATCHERS_PER_KEY_MAX: Final = 100
#: Of silence, after which a comment is sent: proxies cut connections that seem dead.
KEEP_ALIVE_SECONDS: Final = 15.0
#: A client that watches longer comes again, to whichever process there is then.
WATCH_SECONDS_MAX: Final = 3600.0
_STREAM: Final = "/stream/"
_KEEP_ALIVE: Final = b": keep-alive\n\n"
#: How soon a client that was cut off comes back, milliseconds.
_RETRY: Final = b"retry: 1000\n\n"


class Watchers:
    """How many watch, in this process."""

    __slots__ = ("_by_key", "per_key_max", "total_max")

    def __init__(self, total_max: int = WATCHERS_MAX, per_key_max: int = WATCHERS_PER_KEY_MAX) -> None:
        self._by_key: Counter[str] = Counter()
        self.total_max = total_max
        self.per_key_max = per_key_max

    @property
    def count(self) -> int:
        return self._by_key.total()

    @contextmanager
    def one_more(self, key_id: str) -> Generator[None]:
        """While somebody watches. Raises ConcurrencyLimited."""
        if self._by_key[key_id] >= self.per_key_max or self.count >= self.total_max:
            raise ConcurrencyLimited(
                f"too many tasks are being watched; a key may watch {self.per_key_max} at once", retry_after=1
            )
        self._by_key[key_id] += 1
        try:
            yield
        finally:
            self._by_key[key_id] -= 1
            if not self._by_key[key_id]:
                del self._by_key[key_id]


def stream_task(
    parts: Parts,
    desk: Desk,
    links: Links,
    watchers: Watchers,
    dialect: Dialect,
    keep_alive_s: float = KEEP_ALIVE_SECONDS,
) -> Handler:
    """`dialect`: whose envelope an error in mid-stream has."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        key, _ = await caller(parts, inbound, exchange)
        task_id = inbound.path.partition(_STREAM)[2].rstrip("/")
        seen = _seen(inbound)
        with watchers.one_more(key.id):
            task = await desk.query(key.id, task_id=task_id)
            if task.over and seen >= task.seq:
                exchange.plain(204, b"", b"")
                return
            exchange.begin(())
            if inbound.method == "HEAD":
                exchange.finish()
                return
            await exchange.send(_RETRY)
            try:
                await watch(inbound, exchange, key.id, task_id, seen)
            except GatewayError as error:
                body = dialect.write_error(error, STATUS[error.code], exchange.request_id)
                await exchange.send(b"event: error\ndata: %b\n\n" % body)
            exchange.finish()

    async def watch(inbound: Inbound, exchange: Exchange, key_id: str, task_id: str, seen: int) -> None:
        """Until the last event has been told, or the time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + WATCH_SECONDS_MAX
        while loop.time() < end:
            events = await _unless_stopping(inbound, desk.events(key_id, task_id, seen, keep_alive_s))
            if events is None:
                return
            await caller(parts, inbound, exchange)
            if not events:
                await exchange.send(_KEEP_ALIVE)
            for event in events:
                if event.state in OVER:
                    task = await desk.query(key_id, task_id=task_id)
                    body = task_body(task, links, base_url_of(inbound.headers, links.base_url))
                    await exchange.send(_event(event.seq, body))
                    return
                await exchange.send(_event(event.seq, event_body(event)))
                seen = event.seq

    return handler


async def _unless_stopping(
    inbound: Inbound, waiting: Coroutine[Any, Any, list[TaskEvent]]
) -> list[TaskEvent] | None:
    """What comes of it; None: the server stops, and the client goes on at whichever process there is then."""
    news = asyncio.create_task(waiting)
    stopping = asyncio.create_task(inbound.until_stopping())
    try:
        await asyncio.wait((news, stopping), return_when=asyncio.FIRST_COMPLETED)
        return await news if news.done() else None
    finally:
        for each in (news, stopping):
            each.cancel()
        await asyncio.gather(news, stopping, return_exceptions=True)


def _event(seq: int, body: JSONObject) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (seq, encode(body))


def _seen(inbound: Inbound) -> int:
    """The number of the last event that the client has seen, 0: none."""
    text = inbound.headers.get(b"last-event-id", b"").decode("latin-1").strip()
    if not text:
        text = parse_qs(inbound.query.decode("latin-1")).get("last_event_id", [""])[-1]
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidRequest("Last-Event-ID is the id of an event of this stream", param="Last-Event-ID")
    return int(text)
