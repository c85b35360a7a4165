"""Undoing a content-encoding that was not asked for.

Requests say `accept-encoding: identity`; some upstreams compress all the same. gzip and deflate are undone, piece by
piece and never more than asked for at once, so that a small body cannot become a large one in memory. Anything else is
refused, for handing on bytes that nobody can read would be worse.
"""

from __future__ import annotations

import zlib
from typing import Protocol

_GZIP = 16 + zlib.MAX_WBITS
_MEMBERS_MAX = 64


class _Stream(Protocol):
    """`zlib.decompressobj`'s, which has no public name."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Decoder(Protocol):
    """`feed` what came, `take` what it says until that is nothing, `finish` at the end of the body. Both raise ValueError
    for what is broken, after everything before it has been given."""

    def feed(self, data: bytes) -> None: ...
    def take(self, size: int) -> bytes: ...
    def finish(self) -> None: ...


class BadEncoding(ValueError):
    """The body is not what its content-encoding says, ends in the middle, or the encoding is not known."""


def inflater_for(encoding: bytes) -> Inflater | None:
    """For the value of a content-encoding header; None for identity. Raises `BadEncoding`."""
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        return None
    if name in (b"gzip", b"x-gzip"):
        return Inflater(gzip=True)
    if name == b"deflate":
        return Inflater(gzip=False)
    raise BadEncoding("the upstream used a content-encoding that was not asked for")


class Inflater:
    """`feed` encoded bytes, `take` decoded ones until it gives none, `finish` at the end of the body.

    A gzip body may consist of several members (RFC 1952 2.2). "deflate" means the zlib format (RFC 9110 8.4.1.2), but
    some servers send raw deflate, which is recognised by its lack of a zlib header.
    """

    __slots__ = ("_full", "_gzip", "_members", "_pending", "_stream")

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._pending = b""
        self._full = False  # the last output was cut at its limit: zlib may hold more without further input
        self._members = 0
        self._stream: _Stream | None = None

    def feed(self, data: bytes) -> None:
        self._pending = self._pending + data if self._pending else data

    def take(self, size: int) -> bytes:
        """At most `size` decoded bytes; b"" if it needs to be fed. Raises `BadEncoding`."""
        while self._pending or self._full:
            stream = self._stream or self._open()
            if stream is None:
                break
            try:
                data = stream.decompress(self._pending, size)
            except zlib.error:
                raise BadEncoding("the upstream's compressed body is broken") from None
            self._pending = stream.unconsumed_tail
            self._full = len(data) == size
            if stream.eof:
                self._pending = stream.unused_data
                self._full = False
                self._stream = None
                self._members += 1
            if data:
                return data
        return b""

    def finish(self) -> None:
        """The body is over. Raises `BadEncoding` if the compressed data is not."""
        if self._pending or self._stream is not None:
            raise BadEncoding("the upstream's compressed body ends in the middle")

    def _open(self) -> _Stream | None:
        """The next member's stream; None if its kind cannot be told yet."""
        if self._members >= (_MEMBERS_MAX if self._gzip else 1):
            raise BadEncoding("bytes follow the upstream's compressed body")
        if self._gzip:
            bits = _GZIP
        elif len(self._pending) < 2:
            return None
        else:
            first, second = self._pending[:2]
            bits = zlib.MAX_WBITS if first & 15 == 8 and (first << 8 | second) % 31 == 0 else -zlib.MAX_WBITS
        self._stream = zlib.decompressobj(bits)
        return self._stream
