"""A client that keeps its connection as long as the server does, and makes another one when it was told to."""

from __future__ import annotations

import asyncio
import time

from tests.support.raw_http import Answer, parse_answer

#: Clients throw connections away that nobody has used for long: a server may be about to close them.
IDLE_S = 0.5


class KeptConnection:
    """One request at a time. A connection that the server announced to close (`connection: close`) is not used again, nor
    one that was idle for `IDLE_S`; one that is closed without a word fails the request that was sent on it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used_s = 0.0

    async def ask(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """One POST. Raises OSError, EOFError."""
        if time.monotonic() - self._used_s > IDLE_S:
            await self.close()
        if self._stream is None:
            self._stream = await asyncio.open_connection(*self._address)
        reader, writer = self._stream
        lines = [f"POST {path} HTTP/1.1", "host: test", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lowered = head.lower()
            if b"transfer-encoding: chunked" in lowered:
                raw = head + await self._chunks(reader)
            else:
                length = int(lowered.partition(b"content-length:")[2].split(b"\r\n")[0])
                raw = head + await reader.readexactly(length)
        except BaseException:
            await self.close()
            raise
        self._used_s = time.monotonic()
        if b"connection: close" in lowered:
            await self.close()
        return parse_answer(raw)

    async def _chunks(self, reader: asyncio.StreamReader) -> bytes:
        raw = b""
        while True:
            size = await reader.readuntil(b"\r\n")
            raw += size + await reader.readexactly(int(size, 16) + 2)
            if int(size, 16) == 0:
                return raw

    async def close(self) -> None:
        if self._stream is not None:
            writer = self._stream[1]
            self._stream = None
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                pass
