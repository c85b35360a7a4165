"""An HTTP proxy for tests: CONNECT tunnels and absolute-form requests, with credentials if asked, and with faults."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

_PIECE = 65536


class FaultProxy:
    """`async with FaultProxy() as proxy`, then `proxy.url`.

    `credentials` ("user:password") are demanded and answered with 407 if they are missing or wrong. `refuse`: a status
    to answer every request with. `trailing`: bytes sent right after the answer to CONNECT. `silent`: never answers.
    `targets` logs the request targets, `hosts` the Host headers.
    """

    def __init__(
        self,
        *,
        credentials: str | None = None,
        refuse: int | None = None,
        trailing: bytes = b"",
        silent: bool = False,
    ) -> None:
        self._expected = None if credentials is None else b"Basic " + base64.b64encode(credentials.encode())
        self._credentials = credentials
        self._refuse = refuse
        self._trailing = trailing
        self._silent = silent
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.targets: list[bytes] = []
        self.hosts: list[bytes] = []
        self.connections = 0

    @property
    def url(self) -> str:
        """With the credentials in it."""
        user = f"{self._credentials}@" if self._credentials else ""
        return f"http://{user}127.0.0.1:{self.port}"

    async def __aenter__(self) -> FaultProxy:
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self._server = server
        self.port = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._server is not None:
            await self._server.wait_closed()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer), name="fault proxy")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._relay(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            await _cut(writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if self._silent:
            await reader.read()
            return
        lines = head[:-4].split(b"\r\n")
        method, target, _version = lines[0].split(b" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])
        }
        self.targets.append(target)
        self.hosts.append(headers[b"host"])
        refuse = self._refuse
        if self._expected is not None and headers.get(b"proxy-authorization") != self._expected:
            refuse = 407
        if refuse is not None:
            writer.write(b"HTTP/1.1 %d No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % refuse)
            await writer.drain()
            return
        if method == b"CONNECT":
            host, _, port = target.decode().rpartition(":")
            onward_reader, onward_writer = await asyncio.open_connection(host.strip("[]"), int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n" + self._trailing)
        else:
            url = urlsplit(target.decode())
            onward_reader, onward_writer = await asyncio.open_connection(url.hostname, url.port or 80)
            path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
            kept = [line for line in lines[1:] if not line.lower().startswith(b"proxy-")]
            onward_writer.write(
                b"\r\n".join([b"%b %b HTTP/1.1" % (method, path.encode()), *kept]) + b"\r\n\r\n"
            )
        try:
            await _both_ways(reader, writer, onward_reader, onward_writer)
        finally:
            await _cut(onward_writer)


async def _cut(writer: asyncio.StreamWriter) -> None:
    """Close the socket at once and see it closed."""
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def _both_ways(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    onward_reader: asyncio.StreamReader,
    onward_writer: asyncio.StreamWriter,
) -> None:
    """Copy until either side ends. (An absolute-form client is served one origin per connection; enough for tests.)"""
    there = asyncio.create_task(_copy(reader, onward_writer))
    back = asyncio.create_task(_copy(onward_reader, writer))
    try:
        await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
    finally:
        there.cancel()
        back.cancel()
        await asyncio.gather(there, back, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()
