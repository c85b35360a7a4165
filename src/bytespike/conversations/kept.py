"""What is kept of a response."""

from __future__ import annotations

import zlib

from msgspec import Struct

from bytespike.errors import NotFound
from bytespike.store.responses import ResponseRow

_LEVEL = 1


class Kept(Struct, frozen=True):
    """A response and the input that it answered.

    `id` as the client knows it; `previous_id` is the response that its request went on from. `upstream_id`: as the
    provider behind `channel_id` knows it, None where it keeps nothing. `input`: the request's own items, a JSON array.
    `body`: the response, a JSON object. Times in Unix microseconds.
    """

    id: str
    key_id: str
    previous_id: str | None
    channel_id: str
    upstream_id: str | None
    input: bytes
    body: bytes
    created_at: int
    expires_at: int

    @property
    def size(self) -> int:
        return len(self.input) + len(self.body)


class NoSuchResponse(NotFound):
    """There is no such response, it has expired, or it is another key's."""

    def __init__(self, id: str, param: str | None = None) -> None:
        super().__init__(f"there is no response with the id {id[:80]!r}", param=param)


def to_row(kept: Kept) -> ResponseRow:
    return ResponseRow(
        kept.id,
        kept.key_id,
        kept.previous_id,
        kept.channel_id,
        kept.upstream_id,
        zlib.compress(kept.input, _LEVEL),
        zlib.compress(kept.body, _LEVEL),
        kept.created_at,
        kept.expires_at,
    )


def from_row(row: ResponseRow) -> Kept:
    return Kept(
        row.id,
        row.key_id,
        row.previous_id,
        row.channel_id,
        row.upstream_id,
        zlib.decompress(row.input),
        zlib.decompress(row.body),
        row.created_at,
        row.expires_at,
    )
