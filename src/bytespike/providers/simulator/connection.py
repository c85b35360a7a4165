"""The client's connection: uvicorn's protocol, with its transport handed to the application.

An ASGI application can neither reset a connection nor see that its client has gone without waiting for it. Both are
what the simulator is for, so the transport travels in the scope's state.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, TypeAlias

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Scope: TypeAlias = "MutableMapping[str, Any]"
Message: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Message]]"
SendMessage: TypeAlias = "Callable[[Message], Awaitable[None]]"

TRANSPORT = "simulator.transport"
DRAIN_S_MAX = 5.0
_DRAIN_STEP_S = 0.001
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol; puts its transport into `scope["state"]`."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"] = {**self.app_state, TRANSPORT: self.transport}


class Connection:
    """A `profile.Line` over one request's connection."""

    __slots__ = ("_receive", "_transport", "_waiter")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._transport: asyncio.Transport = scope["state"][TRANSPORT]
        self._receive = receive
        self._waiter: asyncio.Task[None] | None = None

    @property
    def gone(self) -> bool:
        return self._transport.is_closing()

    async def pause(self, seconds: float) -> bool:
        if self._waiter is None:
            self._waiter = asyncio.create_task(self._until_gone())
        await asyncio.wait((self._waiter,), timeout=seconds)
        return self.gone

    async def reset(self) -> None:
        await self._drain()
        raw = self._transport.get_extra_info("socket")
        if raw is not None and not self.gone:
            # A duplicate, because the loop's own wrapper may not set options; the option belongs to both.
            duplicate = socket.fromfd(raw.fileno(), raw.family, raw.type)
            with suppress(OSError):
                duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            duplicate.close()
        self._transport.abort()
        await self._settled()

    async def close(self) -> None:
        self._transport.close()
        await self._settled()

    async def release(self) -> None:
        """The answer is over: stop waiting for the client to go."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.cancel()
            with suppress(asyncio.CancelledError):
                await waiter

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _drain(self) -> None:
        for _ in range(int(DRAIN_S_MAX / _DRAIN_STEP_S)):
            if self.gone or not self._transport.get_write_buffer_size():
                return
            await asyncio.sleep(_DRAIN_STEP_S)

    async def _settled(self) -> None:
        """The protocol knows that its connection is lost: it will not complain about an unfinished answer."""
        await self.pause(DRAIN_S_MAX)
