"""Responses over a WebSocket: GET /v1/responses, upgraded (Codex and the newest SDKs).

A `response.create` message is a request as POST /v1/responses takes it, but always streamed; its events come back as
messages. Each is authenticated, held for, attempted and billed like any other request. What is particular:

- The socket remembers its own responses, those with `store: false` too, so that the next turn can go on from them. They
  are gone with the socket.
- `generate: false` prepares a turn: its input is remembered, nothing is asked of a model, and nothing is billed.
- `stream_id` names a lane. Lanes run beside each other, the turns of one lane one after the other.

Errors are `error` events with the HTTP status that the request would have had; the socket stays open. Source: OpenAI,
"WebSocket mode"; openai SDK, ResponsesClientEvent and ResponsesServerEvent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import structlog

from bytespike.conversations.kept import Kept
from bytespike.conversations.local import LocalConversations
from bytespike.core.dialect import Dialect
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.notices import Notice
from bytespike.errors import (
    ConcurrencyLimited,
    GatewayError,
    InternalError,
    InvalidRequest,
    NoAvailableChannel,
)
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.head import secret_of
from bytespike.http.inbound.probes import websocket_wanted
from bytespike.http.inbound.request import Inbound
from bytespike.http.statuses import STATUS
from bytespike.http.websocket import SocketClosed, WebSocket
from bytespike.ids import NewId
from bytespike.ledger.account import KeyAccount
from bytespike.observe import counting
from bytespike.observe.metrics import Metrics
from bytespike.pipeline.authenticate import authenticate
from bytespike.pipeline.call import Arrival
from bytespike.pipeline.life import serve
from bytespike.pipeline.parts import Parts
from bytespike.protocols.openai_responses import stored
from bytespike.protocols.openai_responses.warm import warm_events
from bytespike.wire.json import NotJSON, decode_object, encode
from bytespike.wire.sse import SSEParser

log = structlog.get_logger("bytespike.http")

#: Turns under way on one socket, and turns that wait in one lane.
LANES_MAX = 16
WAITING_MAX = 16
#: OpenAI closes a socket after an hour; clients count on it.
SOCKET_SECONDS_MAX = 3600.0
PING_SECONDS = 30.0
#: What a message has besides the body of a request.
_ENVELOPE = ("type", "stream_id", "generate", "background", "stream")


def serve_live(parts: Parts, dialect: Dialect, new_id: NewId, metrics: Metrics) -> Handler:
    """`dialect`: Responses."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        if not websocket_wanted(inbound):
            raise InvalidRequest("GET /v1/responses is a WebSocket; to create a response, POST to it")
        secret = secret_of(inbound.headers, inbound.query)
        _, account = await authenticate(parts, secret, inbound.client_ip)
        exchange.identified(account)
        socket = exchange.upgrade()
        live = Live(replace(parts, conversations=LocalConversations(parts.conversations)), dialect, metrics)
        await live.run(socket, inbound, secret, new_id)

    return handler


class Live:
    """One socket's session."""

    def __init__(self, parts: Parts, dialect: Dialect, metrics: Metrics) -> None:
        self._parts = parts
        self._dialect = dialect
        self._metrics = metrics
        self._lanes: dict[str, asyncio.Queue[JSONObject]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self, socket: WebSocket, inbound: Inbound, secret: str, new_id: NewId) -> None:
        """Until the socket is closed or its time is over; then every turn is cancelled."""
        pings = asyncio.create_task(_keep_alive(socket))
        try:
            async with asyncio.timeout(SOCKET_SECONDS_MAX):
                while True:
                    message = await socket.receive()
                    await self._take(message, socket, inbound, secret, new_id)
        except TimeoutError:
            limit = "Responses websocket connection limit reached (60 minutes). Create a new one to continue."
            error: JSONObject = {
                "type": "invalid_request_error",
                "code": "websocket_connection_limit_reached",
                "message": limit,
                "param": None,
            }
            await _tell(socket, {"type": "error", "status": 400, "error": error}, "")
        except SocketClosed:
            pass
        finally:
            pings.cancel()
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            if not socket.closed:
                socket.close()

    async def _take(
        self, message: str, socket: WebSocket, inbound: Inbound, secret: str, new_id: NewId
    ) -> None:
        lane = ""
        try:
            event = decode_object(message)
            given = event.get("stream_id")
            if given is not None and (not isinstance(given, str) or len(given) > 64):
                raise InvalidRequest(
                    "'stream_id' must be a string of at most 64 characters.", param="stream_id"
                )
            lane = given or ""
            if event.get("type") != "response.create":
                raise InvalidRequest(f"unknown event {str(event.get('type'))[:60]!r}; send response.create")
            if socket.stopping:
                raise NoAvailableChannel("the gateway is restarting; connect again", retry_after=1)
            queue = self._lanes.get(lane)
            if queue is None:
                if len(self._lanes) >= LANES_MAX:
                    raise ConcurrencyLimited(
                        f"a socket has at most {LANES_MAX} turns under way", retry_after=1
                    )
                queue = self._lanes[lane] = asyncio.Queue(WAITING_MAX)
                turns = self._turns(lane, queue, socket, inbound, secret, new_id)
                self._tasks[lane] = asyncio.create_task(turns)
                socket.busy += 1
            queue.put_nowait(event)
        except asyncio.QueueFull:
            full = ConcurrencyLimited(f"at most {WAITING_MAX} turns wait in a lane", retry_after=1)
            await _tell(socket, self._error(full), lane)
        except NotJSON as error:
            await _tell(
                socket, self._error(InvalidRequest(f"a message must be a JSON object: {error}")), lane
            )
        except GatewayError as error:
            await _tell(socket, self._error(error), lane)

    async def _turns(
        self,
        lane: str,
        queue: asyncio.Queue[JSONObject],
        socket: WebSocket,
        inbound: Inbound,
        secret: str,
        new_id: NewId,
    ) -> None:
        """One lane's turns, in order, until none waits."""
        try:
            while not queue.empty():
                event = queue.get_nowait()
                request_id = new_id()
                turn = Turn(event, socket, lane)
                status = 200
                tracing = self._parts.tracing
                began_ns = time.time_ns()
                if tracing is not None:
                    tracing.begin(request_id, inbound.headers)
                try:
                    if event.get("generate") is False:
                        await self._warm(turn, secret, inbound, request_id)
                    else:
                        arrival = Arrival(
                            self._dialect,
                            request_id,
                            secret,
                            inbound.client_ip,
                            inbound.headers,
                            dry_run=False,
                            started_ns=self._parts.clock.monotonic_ns(),
                        )
                        await serve(self._parts, arrival, turn)
                    await turn.flushed()
                except GatewayError as error:
                    status = STATUS[error.code]
                    error.with_traceback(None).__context__ = None
                    await _tell(socket, self._error(error), lane)
                except ConnectionError:
                    return
                except Exception as error:
                    status = 500
                    log.error("unexpected error", request_id=request_id, exc_info=error)
                    await _tell(
                        socket, self._error(InternalError(f"something went wrong; {request_id}")), lane
                    )
                finally:
                    counting.end(self._metrics.tallies, "responses_socket", status)
                    if tracing is not None:
                        tracing.end(request_id, "responses_socket", status, began_ns)
        finally:
            del self._lanes[lane]
            del self._tasks[lane]
            socket.busy -= 1
            socket.let_go()

    async def _warm(self, turn: Turn, secret: str, inbound: Inbound, request_id: str) -> None:
        """Remember the input; ask nobody."""
        key, _ = await authenticate(self._parts, secret, inbound.client_ip)
        body = await turn.body()
        peek = self._dialect.peek(body)
        self._parts.catalog.current.resolve(peek.model)
        if peek.previous_id is not None:
            await self._parts.conversations.get(key.id, peek.previous_id)
        now_us = self._parts.clock.now_us()
        response_id = "resp_" + request_id.removeprefix("req_")
        events = warm_events(body, response_id, peek.model, now_us // 1_000_000)
        response = events[-1]["response"]
        await self._parts.conversations.keep(
            Kept(
                id=response_id,
                key_id=key.id,
                previous_id=peek.previous_id,
                channel_id="",
                upstream_id=None,
                input=encode(stored.input_items(body, response_id)),
                body=encode(response),
                created_at=now_us,
                expires_at=self._parts.conversations.expiry(now_us),
            ),
            durable=False,
        )
        for event in events:
            await turn.tell(event)

    def _error(self, error: GatewayError) -> JSONObject:
        status = STATUS[error.code]
        told = decode_object(self._dialect.write_error(error, status, ""))
        return {"type": "error", "status": status, "error": told.get("error")}


class Turn:
    """One turn on a socket, as `pipeline.call.Client`: frames of the stream become messages."""

    __slots__ = ("_event", "_lane", "_last", "_parser", "_socket")

    def __init__(self, event: JSONObject, socket: WebSocket, lane: str) -> None:
        self._event = event
        self._socket = socket
        self._lane = lane
        self._parser = SSEParser()
        self._last = b""

    @property
    def gone(self) -> bool:
        return self._socket.closed

    @property
    def stalled_seconds(self) -> float:
        return 0.0

    def identified(self, account: KeyAccount) -> None:
        """A message has no headers."""

    def held(self, credits: int) -> None:
        """A message has no headers."""

    async def body(self) -> bytes:
        body: JSONObject = {key: value for key, value in self._event.items() if key not in _ENVELOPE}
        return encode({**body, "stream": True})

    def respond(self, body: bytes, notices: Sequence[Notice]) -> None:
        raise InternalError("a turn on a socket is always streamed")

    def begin(self, notices: Sequence[Notice], *, array: bool = False) -> None:
        """A message has no headers."""

    async def send(self, data: bytes) -> None:
        for event in self._parser.feed(data):
            if event.data != b"[DONE]":
                await self._socket.send(_with_lane(event.data.decode("utf-8", "replace"), self._lane))

    def finish(self, data: bytes = b"") -> None:
        # Sent by `flushed`: what ends a stream is settled by now, and may wait for the client.
        self._last = data

    async def flushed(self) -> None:
        """The end of the stream has been sent."""
        data, self._last = self._last, b""
        await self.send(data)

    async def tell(self, event: JSONObject) -> None:
        await self._socket.send(_with_lane(encode(event).decode(), self._lane))

    def abort(self) -> None:
        self._socket.close(1011, "the client does not read")


async def _keep_alive(socket: WebSocket) -> None:
    try:
        while True:
            await asyncio.sleep(PING_SECONDS)
            socket.ping()
    except SocketClosed:
        pass


async def _tell(socket: WebSocket, event: JSONObject, lane: str) -> None:
    try:
        await socket.send(_with_lane(encode(event).decode(), lane))
    except SocketClosed:
        pass


def _with_lane(text: str, lane: str) -> str:
    """The event with its lane, where the client named one."""
    if not lane:
        return text
    named: JSON = lane
    return f'{{"stream_id":{encode(named).decode()},{text.lstrip()[1:]}'
