"""The ASGI application: a dict from path to handler, and the one place where errors become answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import structlog

from bytespike.core.dialect import Dialect
from bytespike.errors import GatewayError, InternalError, MethodNotAllowed
from bytespike.http.inbound.absent import absent
from bytespike.http.inbound.asgi import App, Message, Receive, Scope, Send
from bytespike.http.inbound.body import BODY_RECEIVED, ClientGone
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.head import Addresses
from bytespike.http.inbound.request import Inbound
from bytespike.ids import NewId
from bytespike.ledger.ledger import Ledger
from bytespike.observe.metrics import Metrics

Handler: TypeAlias = Callable[[Inbound, Exchange], Awaitable[None]]

log = structlog.get_logger("bytespike.http")


class Route:
    """What answers at one path, by method; and the dialect in whose envelope its errors are told: `dialect`, or
    `versioned` where there is one and the caller sends an `anthropic-version`."""

    __slots__ = ("_dialect", "_versioned", "handlers", "name")

    def __init__(
        self, name: str, dialect: Dialect, versioned: Dialect | None = None, **handlers: Handler
    ) -> None:
        self.name = name
        self._dialect = dialect
        self._versioned = versioned
        self.handlers: Mapping[str, Handler] = handlers

    def dialect_for(self, inbound: Inbound) -> Dialect:
        if self._versioned is not None and b"anthropic-version" in inbound.headers:
            return self._versioned
        return self._dialect


class GatewayApp:
    """`exact`: by path. `prefixed`: by the path up to and including its last slash, for paths that end in an id.

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
        new_id: NewId,
    ) -> None:
        self._exact: dict[str, Route] = dict(exact)
        for path, route in exact.items():
            if path.startswith("/v1/"):
                self._exact.setdefault("/v1" + path, route)
                self._exact.setdefault(path.removeprefix("/v1"), route)
        self._prefixed = dict(prefixed)
        self._fallback = fallback
        self._management = management
        self._ledger = ledger
        self._addresses = addresses
        self._metrics = metrics
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        route = self._exact.get(path)
        if route is None:
            if path.startswith("/api/v1/"):
                await self._management(scope, receive, _stamped(send, self._new_id()))
                return
            route = self._prefixed.get(path[: path.rfind("/") + 1]) or self._exact.get(path.rstrip("/"))
            if route is None:
                route = self._fallback
        await self._answer(route, scope, receive, send)

    async def _answer(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        inbound = Inbound(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"],
            headers=headers,
            client_ip=self._addresses.client_ip(scope, headers),
            receive=receive,
            body_received=BODY_RECEIVED in scope.get("extensions", ()),
        )
        exchange = Exchange(receive, send, self._ledger, self._new_id())
        try:
            handler = route.handlers.get(inbound.method)
            if handler is None:
                handler = _other_method(route)
            await handler(inbound, exchange)
        except GatewayError as error:
            if isinstance(error, InternalError):
                log.error(
                    "internal error", request_id=exchange.request_id, endpoint=route.name, exc_info=error
                )
            await exchange.fail(error, route.dialect_for(inbound))
        except ClientGone:
            pass
        except asyncio.CancelledError:
            if not exchange.gone:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        except Exception as error:
            log.error("unexpected error", request_id=exchange.request_id, endpoint=route.name, exc_info=error)
            if exchange.began:
                raise
            await exchange.fail(
                InternalError("something went wrong in the gateway; the request id helps its operator"),
                route.dialect_for(inbound),
            )
        finally:
            exchange.close()
            self._metrics.answered(route.name, exchange.status)


def _other_method(route: Route) -> Handler:
    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        allowed = ", ".join(sorted({*route.handlers, "OPTIONS"}))
        if inbound.method == "OPTIONS":
            await exchange.plain(204, b"", b"text/plain", [(b"allow", allowed.encode())])
        elif inbound.method == "HEAD" and "GET" in route.handlers:
            await route.handlers["GET"](inbound, exchange)
        elif route.name == "absent":
            await absent(inbound, exchange)
        else:
            raise MethodNotAllowed(f"{inbound.path} takes {allowed}, not {inbound.method}")

    return handler


def _stamped(send: Send, request_id: str) -> Send:
    """The management application's answers carry a request id too."""
    raw = request_id.encode()

    async def stamped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                *message.get("headers", []),
                (b"request-id", raw),
                (b"x-request-id", raw),
            ]
        await send(message)

    return stamped
