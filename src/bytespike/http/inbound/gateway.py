"""The application: a dict from path to handler, and the one place where errors become answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import structlog

from bytespike.core.dialect import Dialect
from bytespike.errors import GatewayError, InternalError, MethodNotAllowed, NoAvailableChannel
from bytespike.http.inbound.absent import absent
from bytespike.http.inbound.asgi import App
from bytespike.http.inbound.bridge import serve_asgi
from bytespike.http.inbound.exchange import Exchange, Line
from bytespike.http.inbound.head import Addresses
from bytespike.http.inbound.request import ClientGone, Inbound
from bytespike.http.readiness import Readiness
from bytespike.ids import NewId
from bytespike.ledger.ledger import Ledger
from bytespike.observe import counting
from bytespike.observe.metrics import Metrics
from bytespike.observe.tracing import Tracing
from bytespike.pipeline.parts import Limits

Handler: TypeAlias = Callable[[Inbound, Exchange], Awaitable[None]]

log = structlog.get_logger("bytespike.http")

#: Routes whose POSTs ask a model: those that are traced.
_TRACED = frozenset(
    {"messages", "chat_completions", "responses", "model", "image_generations", "image_edits"}
)


class Route:
    """What answers at one path, by method; and the dialect in whose envelope its errors are told: `dialect`, or what
    `chosen` makes of a request where one path serves several."""

    __slots__ = ("_chosen", "_dialect", "handlers", "name")

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        chosen: Callable[[Inbound], Dialect] | None = None,
        **handlers: Handler,
    ) -> None:
        self.name = name
        self._dialect = dialect
        self._chosen = chosen
        self.handlers: Mapping[str, Handler] = handlers

    def dialect_for(self, inbound: Inbound) -> Dialect:
        return self._dialect if self._chosen is None else self._chosen(inbound)


class GatewayApp:
    """`exact`: by path. `prefixed`: by what a path begins with, for paths that end in an id (which may have slashes).

    Clients put the version into the base URL, into the path, into both or into neither; `/v1/v1/...` and paths
    without `/v1` reach the same handlers.
    """

    def __init__(
        self,
        exact: Mapping[str, Route],
        prefixed: Mapping[str, Route],
        *,
        fallback: Route,
        management: App,
        ledger: Ledger,
        addresses: Addresses,
        metrics: Metrics,
        limits: Limits,
        new_id: NewId,
        readiness: Readiness,
        tracing: Tracing | None = None,
    ) -> None:
        self._exact: dict[str, Route] = dict(exact)
        for path, route in exact.items():
            if path.startswith("/v1/"):
                self._exact.setdefault("/v1" + path, route)
                self._exact.setdefault(path.removeprefix("/v1"), route)
        self._prefixed = tuple(
            (spelling, route)
            for path, route in prefixed.items()
            for spelling in (
                (path, "/v1" + path, path.removeprefix("/v1")) if path.startswith("/v1/") else (path,)
            )
        )
        self._fallback = fallback
        self._management = management
        self._ledger = ledger
        #: At whose end whole answers leave.
        self.turn = ledger.turn
        self._addresses = addresses
        self._metrics = metrics
        self._tracing = tracing
        #: What /readyz says; whoever stops the process tells it.
        self.readiness = readiness
        self._limits = limits
        self._new_id = new_id

    async def __call__(self, inbound: Inbound, line: Line) -> None:
        request_id = self._new_id()
        path = inbound.path
        route = self._exact.get(path)
        try:
            if route is None:
                if path.startswith("/api/v1/"):
                    await serve_asgi(self._management, inbound, line, request_id)
                    return
                route = self._found(path)
            await self._answer(route, inbound, line, request_id)
        except ClientGone:
            pass
        except asyncio.CancelledError:
            if not inbound.gone:
                raise
        except Exception as error:
            if _is_clients_end(error, inbound):
                return
            log.error("unexpected error", request_id=request_id, exc_info=error)
            line.abort()

    def _found(self, path: str) -> Route:
        """For a path that is not listed as it stands."""
        route = self._exact.get(path.rstrip("/"))
        if route is not None:
            return route
        for prefix, prefixed in self._prefixed:
            if path.startswith(prefix):
                return prefixed
        return self._fallback

    async def _answer(self, route: Route, inbound: Inbound, line: Line, request_id: str) -> None:
        inbound.client_ip = self._addresses.client_ip(inbound.peer, inbound.headers)
        exchange = Exchange(inbound, line, self._ledger, self._limits, request_id)
        tracing = self._tracing
        began_ns = 0
        if tracing is not None and inbound.method == "POST" and route.name in _TRACED:
            began_ns = time.time_ns()
            tracing.begin(request_id, inbound.headers)
        try:
            handler = route.handlers.get(inbound.method)
            if handler is None:
                handler = _other_method(route)
            await handler(inbound, exchange)
        except GatewayError as error:
            if isinstance(error, InternalError):
                log.error("internal error", request_id=request_id, endpoint=route.name, exc_info=error)
            exchange.fail(error, route.dialect_for(inbound))
            error.with_traceback(None).__context__ = None
        except ClientGone:
            pass
        except asyncio.CancelledError:
            if not inbound.gone and not exchange.began:
                # The gateway stops, and the time for what was under way is over.
                stopping = NoAvailableChannel("the gateway is stopping; try again", retry_after=1)
                exchange.fail(stopping, route.dialect_for(inbound))
            raise
        except Exception as error:
            if _is_clients_end(error, inbound):
                return
            log.error("unexpected error", request_id=request_id, endpoint=route.name, exc_info=error)
            if exchange.began:
                line.abort()
                return
            exchange.fail(
                InternalError("something went wrong in the gateway; the request id helps its operator"),
                route.dialect_for(inbound),
            )
        finally:
            counting.end(self._metrics.tallies, route.name, exchange.status)
            if began_ns and tracing is not None:
                tracing.end(request_id, route.name, exchange.status, began_ns)


def _is_clients_end(error: Exception, inbound: Inbound) -> bool:
    """A connection that broke is the client's only if the client has gone: a database's breaks too."""
    return isinstance(error, ConnectionError) and inbound.gone


def _other_method(route: Route) -> Handler:
    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        allowed = ", ".join(sorted({*route.handlers, "OPTIONS"}))
        if inbound.method == "OPTIONS":
            exchange.plain(204, b"", b"text/plain", b"allow: %b\r\n" % allowed.encode())
        elif inbound.method == "HEAD" and "GET" in route.handlers:
            await route.handlers["GET"](inbound, exchange)
        elif route.name == "absent":
            await absent(inbound, exchange)
        else:
            error = MethodNotAllowed(f"{inbound.path} takes {allowed}, not {inbound.method}")
            exchange.fail(error, route.dialect_for(inbound), b"allow: %b\r\n" % allowed.encode())

    return handler
