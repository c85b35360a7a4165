"""The simulator's HTTP server: a bare ASGI application on uvicorn's protocol, in a process of its own or in a test."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

import msgspec
import uvicorn
from uvicorn.server import ServerState

from bytespike.providers.simulator import (
    anthropic,
    ark_api,
    gemini,
    media_routes,
    openai_api,
    openai_chat,
    openai_responses,
)
from bytespike.providers.simulator.connection import (
    Connection,
    Message,
    Protocol,
    Receive,
    Scope,
    SendMessage,
)
from bytespike.providers.simulator.directives import Defaults
from bytespike.providers.simulator.exchange import (
    JSON_TYPE,
    MODELS_PATH,
    Dialect,
    Fault,
    Handler,
    Incoming,
    Reply,
    World,
)
from bytespike.providers.simulator.prefix_cache import PrefixCache
from bytespike.providers.simulator.profile import Delivery, Ending
from bytespike.providers.simulator.recorder import Recorder, Sighting
from bytespike.wire.limits import BODY_BYTES_MAX

KEEP_ALIVE_S = 75
BACKLOG = 2048
#: How long a closing server waits for its requests to notice.
CLOSING_S_MAX = 5.0

#: By the dialect's name and the path without its prefix (Gemini: what is asked of the model): the method, and the handler.
ROUTES: dict[tuple[str, str], tuple[str, Handler]] = {
    ("anthropic", "/v1/messages"): ("POST", anthropic.messages),
    ("anthropic", "/v1/messages/count_tokens"): ("POST", anthropic.count_tokens),
    ("anthropic", MODELS_PATH): ("GET", anthropic.models),
    ("openai", "/v1/chat/completions"): ("POST", openai_chat.completions),
    ("openai", "/v1/responses"): ("POST", openai_responses.responses),
    ("openai", MODELS_PATH): ("GET", openai_api.models),
    ("gemini", ":generateContent"): ("POST", gemini.generate),
    ("gemini", ":streamGenerateContent"): ("POST", gemini.stream),
    ("gemini", ":countTokens"): ("POST", gemini.count_tokens),
    ("gemini", gemini.MODELS_PATH): ("GET", gemini.models),
}


#: How often an answer that is held looks whether it may go.
_HOLDING_SECONDS = 0.01


class Application:
    """The ASGI application. `recorder` None: nothing is kept, and /_sim/ is not there."""

    def __init__(self, seed: int = 0, profile: str = "", *, observe: bool = False) -> None:
        """Raises `directives.BadDirective` for a profile with a wrong option."""
        self._world = World(str(seed).encode(), Defaults.of(profile), PrefixCache(time.monotonic))
        self._ordinal = 0
        self.recorder = Recorder() if observe else None
        #: No answer is begun while this is set.
        self.holding = False

    async def __call__(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path: str = scope["path"]
        if path.startswith("/_sim/") and self.recorder is not None:
            await _answer(send, *self._observe(self.recorder, scope["method"], path))
            return
        query: str = scope["query_string"].decode("latin-1")
        sighting = Sighting(scope["method"], path, query, headers) if self.recorder is not None else None
        if self.recorder is not None and sighting is not None:
            self.recorder.add(sighting)
        dialect = _dialect(path, headers)
        try:
            body = await _body(receive)
        except _Gone:
            if sighting is not None:
                sighting.state = "aborted"
            return
        if sighting is not None:
            sighting.keep_body(body or b"")
        self._ordinal += 1
        incoming = Incoming(scope["method"], path, query, headers, body or b"", self._ordinal)
        reply, extra = self._reply(dialect, incoming, too_large=body is None)
        await self._deliver(reply, extra, scope, receive, send, sighting)

    def _observe(self, recorder: Recorder, method: str, path: str) -> tuple[int, bytes]:
        """Status and body of an answer to a test that asks what was seen."""
        if (method, path) == ("POST", "/_sim/reset"):
            self.reset()
        elif (method, path) != ("GET", "/_sim/requests"):
            return 404, b'{"error":"there is GET /_sim/requests and POST /_sim/reset"}'
        return 200, msgspec.json.encode({"requests": [seen.as_json() for seen in recorder]})

    def reset(self) -> None:
        """Forget the requests seen, the prompts cached, the responses stored and the videos that are being made."""
        self._world.cache.clear()
        self._world.responses.clear()
        self._world.renders.clear()
        if self.recorder is not None:
            self.recorder.clear()

    def _reply(
        self, dialect: Dialect, incoming: Incoming, *, too_large: bool
    ) -> tuple[Reply, tuple[tuple[bytes, bytes], ...]]:
        """The answer, and the headers that go with it besides those that every answer has."""
        request_id = f"req_sim{incoming.ordinal:012d}"
        named = ((dialect.id_header.encode(), request_id.encode()),) if dialect.id_header else ()
        try:
            if too_large:
                raise Fault(413, f"Request exceeds the maximum size of {BODY_BYTES_MAX} bytes")
            handler = _route(dialect, incoming)
            try:
                return handler(incoming, self._world), named
            except RecursionError:
                raise Fault(400, "The request body nests too deeply") from None
        except Fault as fault:
            envelope = dialect.error_body(fault, request_id)
            reply = Reply(envelope, status=fault.status, delivery=fault.delivery)
            if fault.retry_after is None or not dialect.tells_retry:
                return reply, named
            return reply, (*named, (b"retry-after", str(fault.retry_after).encode()))

    async def _deliver(
        self,
        reply: Reply,
        extra: tuple[tuple[bytes, bytes], ...],
        scope: Scope,
        receive: Receive,
        send: SendMessage,
        sighting: Sighting | None,
    ) -> None:
        async def start(length: int | None) -> None:
            kind = JSON_TYPE if reply.frames is None else reply.stream_type
            fields = [(b"content-type", kind.encode()), *extra]
            fields.append(
                (b"cache-control", b"no-cache") if length is None else (b"content-length", b"%d" % length)
            )
            if sighting is not None:
                sighting.status = reply.status
            await send({"type": "http.response.start", "status": reply.status, "headers": fields})

        async def write(data: bytes, more: bool) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": more})

        def note(ending: Ending, events: int) -> None:
            if sighting is not None:
                sighting.events = events
                sighting.took_ms = (time.monotonic_ns() - began) // 1_000_000
                sighting.state = ending

        began = time.monotonic_ns()
        connection = Connection(scope, receive)
        try:
            while self.holding and not await connection.pause(_HOLDING_SECONDS):
                pass
            await Delivery(reply.delivery, connection, write, note).run(reply, start)
        finally:
            await connection.release()


class _Gone(Exception):
    """The client went before its body had come."""


async def _body(receive: Receive) -> bytes | None:
    """The request's body; None if it is too large. Raises `_Gone`."""
    message: Message = await receive()
    if message["type"] == "http.disconnect":
        raise _Gone
    if not message.get("more_body"):
        return message.get("body", b"")
    parts: list[bytes] = [message.get("body", b"")]
    size = len(parts[0])
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        size += len(message.get("body", b""))
        if size > BODY_BYTES_MAX:
            return None
        parts.append(message.get("body", b""))
    return b"".join(parts)


def _dialect(path: str, headers: dict[str, str]) -> Dialect:
    """Whose envelope an answer on this path has."""
    if path.startswith(("/ark/", "/tos-files/", ark_api.PREFIX + "/")):
        return ark_api.DIALECT
    if path.startswith(("/gemini/", "/v1beta/")) or gemini.ACTION.fullmatch(path):
        return gemini.DIALECT
    if path.startswith("/anthropic/") or path.startswith("/v1/messages"):
        return anthropic.DIALECT
    if path.startswith(MODELS_PATH) and "anthropic-version" in headers:
        return anthropic.DIALECT
    return openai_api.DIALECT


def _route(dialect: Dialect, incoming: Incoming) -> Handler:
    """Raises `Fault`."""
    plain = incoming.path.removeprefix(f"/{dialect.name}")
    if dialect is gemini.DIALECT:
        plain = gemini.route(plain)
    elif plain.startswith(MODELS_PATH + "/"):
        plain = MODELS_PATH
    media = media_routes.handlers(dialect.name, plain)
    if media is not None:
        if incoming.method not in media:
            raise Fault(405, f"{incoming.path} takes {' and '.join(media)}, not {incoming.method}")
        return media[incoming.method]
    found = ROUTES.get((dialect.name, plain))
    if found is None:
        raise Fault(404, f"The simulator does not serve {incoming.path}")
    method, handler = found
    if incoming.method != method:
        raise Fault(405, f"{incoming.path} takes {method}, not {incoming.method}")
    return handler


async def _answer(send: SendMessage, status: int, body: bytes) -> None:
    fields = [(b"content-type", JSON_TYPE.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body, "more_body": False})


class Simulator:
    """A running simulator: `async with Simulator() as sim` in the loop at hand, `with Simulator() as sim` on a thread of
    its own. `port` 0 takes a free one; `base_url` has no slash at its end.
    """

    def __init__(
        self,
        port: int = 0,
        seed: int = 0,
        profile: str = "",
        *,
        host: str = "127.0.0.1",
        observe: bool = False,
    ) -> None:
        """Raises `directives.BadDirective`."""
        self.application = Application(seed, profile, observe=observe)
        self._address = (host, port)
        self._state = ServerState()
        self._state.default_headers = [(b"server", b"bytespike-simulator")]
        self._listener: asyncio.Server | None = None
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] | None = None
        self.base_url = ""

    @property
    def requests(self) -> list[Sighting]:
        """What was seen, oldest first. Empty unless it observes."""
        return list(self.application.recorder or ())

    def reset(self) -> None:
        """Forget the requests seen, the prompts cached, the responses stored and the videos that are being made."""
        self.application.reset()

    def hold(self) -> None:
        """Take requests and begin no answer until `release`."""
        self.application.holding = True

    def release(self) -> None:
        """Answer again, first of all what has been waiting."""
        self.application.holding = False

    async def __aenter__(self) -> Simulator:
        config = uvicorn.Config(
            self.application,
            http=Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        config.load()
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: Protocol(config, self._state, {}), *self._address, backlog=BACKLOG
        )
        self._listener = listener
        bound: socket.socket = listener.sockets[0]
        host, port = bound.getsockname()[:2]
        self.base_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            self._listener.close()
        # Whoever is in the middle of an answer is cut off: a stalled stream would never end by itself.
        for connection in tuple(self._state.connections):
            connection.transport.abort()
        if self._state.tasks:
            await asyncio.wait(tuple(self._state.tasks), timeout=CLOSING_S_MAX)

    def __enter__(self) -> Simulator:
        ready = threading.Event()
        failure: list[BaseException] = []

        async def serve() -> None:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            async with self:
                self._stop = lambda: loop.call_soon_threadsafe(stop.set)
                ready.set()
                await stop.wait()

        def body() -> None:
            try:
                asyncio.run(serve())
            except BaseException as error:  # the thread's boundary: whoever waits for it is told
                failure.append(error)
                ready.set()

        self._thread = threading.Thread(target=body, name="simulator", daemon=True)
        self._thread.start()
        ready.wait()
        if failure:
            raise failure[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stop is not None:
            self._stop()
        if self._thread is not None:
            self._thread.join(2 * CLOSING_S_MAX)


def _ignore(base_url: str) -> None:
    """Tells nobody."""


def run(
    host: str = "127.0.0.1",
    port: int = 8099,
    seed: int = 0,
    *,
    profile: str = "",
    observe: bool = False,
    announce: Callable[[str], object] = _ignore,
) -> None:
    """Serve until SIGINT or SIGTERM. `announce` is told the base URL once it listens.

    Raises `directives.BadDirective` for a wrong profile, `OSError` if the port cannot be had.
    """

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with Simulator(port, seed, profile, host=host, observe=observe) as simulator:
            announce(simulator.base_url)
            await stop.wait()

    # uvloop where there is one.
    factory = uvicorn.Config(_ignore, log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve())
