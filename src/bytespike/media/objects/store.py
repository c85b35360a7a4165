"""Puts what was made where it is kept, and opens it again.

An object is a row in the database and bytes in a backend. The row comes first, and says that the bytes are there only when
they are: a process that dies in between leaves a row without bytes, or bytes with a row that nobody opens, and both are
swept when their time is over. No object is found except by its id, and an id cannot be guessed; nothing lists them.

Bytes go through in pieces, and are looked at on the way (`media.probe`): content type, size and duration are what the
bytes say, whatever their sender called them.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import structlog
from msgspec import Struct, structs
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.clock import Clock
from bytespike.media.objects.backends import Backend, ObjectGone, StoreUnavailable
from bytespike.media.probe.probe import UNKNOWN_TYPE, Probe
from bytespike.store import objects
from bytespike.store.engine import reading
from bytespike.store.objects import ObjectRow

log = structlog.get_logger("bytespike.media")

#: No object is larger: what goes on and on is not what was asked for.
OBJECT_BYTES_MAX: Final = 4 * 1024 * 1024 * 1024
#: What is best put in at once.
PIECE_BYTES: Final = 1024 * 1024
_ID_BYTES: Final = 20
_MICROSECONDS: Final = 1_000_000


class NoSuchObject(Exception):
    """No object has this id, or it has expired, or it is not whole."""


class ObjectTooLarge(Exception):
    """More came than an object may have."""


class Stored(Struct, frozen=True):
    """An object that is there. `width` and `height` in pixels, 0: its bytes do not say. `duration_seconds` of a video, None: they
    do not say. `created_at`, `expires_at`: Unix microseconds."""

    id: str
    key_id: str
    task_id: str | None
    content_type: str
    bytes: int
    width: int
    height: int
    duration_seconds: float | None
    created_at: int
    expires_at: int


class ObjectStore:
    """`retention_s`: how long an object is kept unless something else is said."""

    __slots__ = ("_backend", "_clock", "_engine", "_retention_us")

    def __init__(self, engine: AsyncEngine, clock: Clock, backend: Backend, retention_s: int) -> None:
        self._engine = engine
        self._clock = clock
        self._backend = backend
        self._retention_us = retention_s * _MICROSECONDS

    async def put(
        self,
        chunks: AsyncIterator[bytes],
        *,
        key_id: str,
        task_id: str | None = None,
        expires_at: int | None = None,
        bytes_max: int = OBJECT_BYTES_MAX,
    ) -> Stored:
        """Keep what comes out of `chunks`, in pieces of any size; returns when it is whole and safe. `expires_at`: Unix
        microseconds, None: after the usual time. What `chunks` raises comes through; closing it is the caller's. Failing, it
        leaves nothing; cancelled, a row that is swept.

        Raises: StoreUnavailable, ObjectTooLarge, SQLAlchemyError, OSError.
        """
        now = self._clock.now_us()
        row = ObjectRow(
            id=_new_id(),
            key_id=key_id,
            task_id=task_id,
            content_type=UNKNOWN_TYPE,
            bytes=0,
            width=0,
            height=0,
            duration_ms=None,
            created_at=now,
            stored_at=None,
            expires_at=now + self._retention_us if expires_at is None else expires_at,
        )
        async with self._engine.begin() as connection:
            await objects.add(connection, row)
        passing = _Passing(chunks, bytes_max)
        try:
            await self._backend.write(path_of(row.id), passing.pieces())
            facts = passing.probe.facts()
            seconds = facts.duration_seconds
            row = structs.replace(
                row,
                content_type=facts.content_type,
                bytes=passing.count,
                width=facts.width,
                height=facts.height,
                duration_ms=None if seconds is None else round(seconds * 1000),
                stored_at=self._clock.now_us(),
            )
            async with self._engine.begin() as connection:
                kept = await objects.complete(connection, row)
            if not kept:
                raise StoreUnavailable("the object's time was over before it was whole")
        except Exception:
            await self._give_up(row.id)
            raise
        return _stored(row)

    async def find(self, id: str) -> Stored:
        """What is known of an object. Raises NoSuchObject, StoreUnavailable."""
        try:
            async with reading(self._engine) as connection:
                row = await objects.get(connection, id)
        except (SQLAlchemyError, OSError) as error:
            raise StoreUnavailable(type(error).__name__) from None
        if row is None or row.stored_at is None or row.expires_at <= self._clock.now_us():
            raise NoSuchObject(id)
        return _stored(row)

    async def read(self, stored: Stored, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        """Its bytes from `start` up to `end`, excluded, in pieces of at most `Backend.piece_bytes`.

        Each piece is asked for by itself, so that a slow reader holds one piece, and no connection to a bucket.

        Raises: NoSuchObject, StoreUnavailable.
        """
        end = stored.bytes if end is None else min(end, stored.bytes)
        path = path_of(stored.id)
        while start < end:
            stop = min(start + self._backend.piece_bytes, end)
            try:
                yield await self._backend.read(path, start, stop)
            except ObjectGone:
                raise NoSuchObject(stored.id) from None
            start = stop

    async def delete_of_task(self, task_id: str, key_id: str) -> int:
        """Delete what a task of that key has made; how many objects there were.

        Raises: StoreUnavailable, SQLAlchemyError, OSError.
        """
        async with reading(self._engine) as connection:
            ids = [row.id for row in await objects.of_task(connection, task_id, key_id)]
        await self.delete(ids)
        return len(ids)

    async def delete(self, ids: list[str]) -> None:
        """Bytes first: a row without bytes is swept, bytes without a row would stay for ever.

        Raises: StoreUnavailable, SQLAlchemyError, OSError.
        """
        if not ids:
            return
        await self._backend.remove(map(path_of, ids))
        async with self._engine.begin() as connection:
            await objects.remove(connection, ids)

    async def delete_expired(self, limit: int) -> int:
        """Delete up to `limit` objects whose time is over; how many there were. Several processes may do it at once.

        Raises: StoreUnavailable, SQLAlchemyError, OSError.
        """
        async with reading(self._engine) as connection:
            ids = await objects.expired(connection, self._clock.now_us(), limit)
        await self.delete(ids)
        return len(ids)

    async def _give_up(self, id: str) -> None:
        try:
            await self.delete([id])
        except (StoreUnavailable, SQLAlchemyError, OSError) as error:
            log.warning("what is left of an object stays until it is swept", error=type(error).__name__)


class _Passing:
    """Pieces on their way to the backend: counted, and looked at."""

    def __init__(self, chunks: AsyncIterator[bytes], bytes_max: int) -> None:
        self._chunks = chunks
        self._bytes_max = bytes_max
        self.count = 0
        self.probe = Probe()

    async def pieces(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            self.count += len(chunk)
            if self.count > self._bytes_max:
                raise ObjectTooLarge(f"more than {self._bytes_max} bytes came")
            self.probe.feed(chunk)
            yield chunk


def path_of(id: str) -> str:
    """Where a backend keeps an object: folders by the first two random characters, so that none grows without end."""
    return f"{id[4:6]}/{id}"


def _new_id() -> str:
    return "obj_" + base64.b32encode(secrets.token_bytes(_ID_BYTES)).decode("ascii").lower()


def _stored(row: ObjectRow) -> Stored:
    return Stored(
        id=row.id,
        key_id=row.key_id,
        task_id=row.task_id,
        content_type=row.content_type,
        bytes=row.bytes,
        width=row.width,
        height=row.height,
        duration_seconds=None if row.duration_ms is None else row.duration_ms / 1000,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
