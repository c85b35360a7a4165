"""Cutting a stream into chunks: server-sent events, or one JSON array that arrives bit by bit.

`streamGenerateContent?alt=sse` answers with events; without it the service sends `[{...}\\r\\n,\\r\\n{...}]`. What comes is
known by its first byte: an array opens with a bracket, a bare object (an error that came instead of a stream) with a
brace, and everything else is events.

The array is scanned once, byte ranges only: whole strings are skipped by pattern, braces are counted. Whether what
stands between braces is JSON, the decoder of the chunk finds out.
"""

from __future__ import annotations

import re
from typing import Final

from bytespike.wire.limits import EVENT_BYTES_MAX
from bytespike.wire.sse import EventTooLarge, SSEParser

_SPACE: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
# Possessive: a string never matches in another way, so the engine need not remember each character of it.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\]]', re.DOTALL)
_BETWEEN: Final = re.compile(rb"[\s,]*")


class ArrayCutter:
    """Bytes in, whole objects out, each with what stands before it (the bracket, commas, white space).

    `closed`: the array's last bracket was seen. `broken`: what the array holds next is no object; nothing more is read.
    Raises `EventTooLarge`.
    """

    __slots__ = ("_buffer", "_depth", "_in_string", "_opened", "_scanned", "broken", "closed")

    def __init__(self) -> None:
        self._buffer = b""
        self._scanned = 0
        self._depth = 0
        self._in_string = False
        self._opened = False
        self.closed = False
        self.broken = False

    @property
    def pending(self) -> bytes:
        """What belongs to no whole object yet."""
        return self._buffer

    def take_rest(self) -> bytes:
        """What stands behind the array's last bracket, that included; then nothing is pending."""
        rest, self._buffer = self._buffer, b""
        self._scanned = 0
        return rest

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        buffer = self._buffer + data if self._buffer else data
        if self._in_string and b'"' not in data and len(buffer) <= EVENT_BYTES_MAX:
            # More of a long string, an image perhaps: nothing to look at.
            self._buffer = buffer
            return []
        self._in_string = False
        found: list[tuple[bytes, bytes]] = []
        start = 0
        at = self._scanned
        while not self.closed and not self.broken:
            if not self._depth:
                at = self._begin(buffer, at, start)
                if at < 0:
                    at = -at - 1
                    break
            end = self._end_of_object(buffer, at)
            if end < 0:
                at = -end - 1
                break
            opening = buffer.index(b"{", start)
            found.append((buffer[start:opening], buffer[opening:end]))
            start = at = end
        self._buffer = buffer[start:]
        self._scanned = at - start
        if len(self._buffer) > EVENT_BYTES_MAX:
            raise EventTooLarge(f"a chunk of more than {EVENT_BYTES_MAX} bytes")
        return found

    def _begin(self, buffer: bytes, at: int, start: int) -> int:
        """Where the next object's content begins; else minus one minus where to go on looking."""
        between = _BETWEEN.match(buffer, at)
        at = between.end() if between else at
        if not self._opened and buffer[at : at + 1] == b"[":
            self._opened = True
            between = _BETWEEN.match(buffer, at + 1)
            at = between.end() if between else at + 1
        if at >= len(buffer):
            return -at - 1
        first = buffer[at]
        if first == 0x5D and self._opened:
            self.closed = True
            return -at - 2
        if first != 0x7B:
            self.broken = True
            return -at - 1
        self._depth = 1
        return at + 1

    def _end_of_object(self, buffer: bytes, at: int) -> int:
        """Where the open object ends; else minus one minus where to go on looking."""
        depth = self._depth
        for token in _TOKEN.finditer(buffer, at):
            text = token.group()
            first = text[0]
            if first == 0x22:
                if len(text) == 1:
                    # A string whose end has not come: it is looked at again from its start.
                    self._depth = depth
                    self._in_string = True
                    return -token.start() - 1
                continue
            depth += 1 if first in b"{[" else -1
            if not depth:
                self._depth = 0
                return token.end()
        self._depth = depth
        return -len(buffer) - 1


class ChunkParser:
    """Either framing. `feed` bytes, get the JSON text of the chunks that they complete. `broken` as in `ArrayCutter`.

    Raises `EventTooLarge`.
    """

    __slots__ = ("_cutter", "_head", "_sse")

    def __init__(self) -> None:
        self._head = b""
        self._sse: SSEParser | None = None
        self._cutter: ArrayCutter | None = None

    @property
    def broken(self) -> bool:
        return self._cutter is not None and self._cutter.broken

    def feed(self, data: bytes) -> list[bytes]:
        if self._sse is not None:
            return [event.data for event in self._sse.feed(data)]
        if self._cutter is not None:
            return [chunk for _, chunk in self._cutter.feed(data)]
        head = self._head + data
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._head = head
            return []
        self._head = b""
        stripped = head.removeprefix(_BOM).lstrip(_SPACE)
        if not stripped:
            return []
        if stripped[0] in b"[{":
            self._cutter = ArrayCutter()
            return self.feed(stripped)
        self._sse = SSEParser()
        return self.feed(head)
