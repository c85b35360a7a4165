"""Where the bytes of objects are: a folder of this machine, or a bucket of S3 (and what speaks like it), GCS or Azure.

Credentials of buckets are not settings of ours: they come from the variables, files and instance roles that the
providers' own programs use (`AWS_ACCESS_KEY_ID`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_NAME`, …).

What is written appears whole or not at all. A writer that is given up, by an error or because its task is cancelled, leaves
nothing in a folder; in a bucket it may leave parts of an unfinished upload, which a rule of the bucket has to clear away. A
killed process leaves them in a folder too: `remove` takes them along.
"""

from __future__ import annotations

import asyncio
import datetime
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Store

#: A bucket's parts have at least 5 MiB, but for the last. One is being written while the next one fills.
PART_BYTES: Final = 5 * 1024 * 1024
PARTS_AT_ONCE: Final = 1
#: A bucket that does not answer is asked again so often, and for so long.
RETRIES_MAX: Final = 3
RETRY_SECONDS_MAX: Final = datetime.timedelta(seconds=20)
_FOLDER_MODE: Final = 0o700


class StoreUnavailable(Exception):
    """The place where objects are kept cannot be written, or does not answer. It may later. The message is for operators."""


class ObjectGone(Exception):
    """There is nothing at that path."""


class Backend:
    """One place for objects. Paths are relative, made by us, and never a caller's. `piece_bytes`: what is best read at once."""

    piece_bytes: ClassVar[int] = 1024 * 1024

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, path: str, pieces: AsyncIterator[bytes]) -> None:
        """Put it there, whole or not at all. What `pieces` raises comes through.

        Raises: StoreUnavailable.
        """
        try:
            writer = obstore.open_writer_async(
                self._store, path, buffer_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
            )
        except (BaseError, OSError) as error:
            raise _unavailable(error) from None
        # What `pieces` raises may be an OSError too, and is not ours: it is asked outside.
        async for piece in pieces:
            try:
                await writer.write(piece)
            except (BaseError, OSError) as error:
                raise _unavailable(error) from None
        try:
            await writer.close()
        except (BaseError, OSError) as error:
            raise _unavailable(error) from None

    async def read(self, path: str, start: int, end: int) -> bytes:
        """The bytes from `start` up to `end`, excluded.

        Raises: ObjectGone, StoreUnavailable.
        """
        try:
            found = await obstore.get_range_async(self._store, path, start=start, end=end)
        except FileNotFoundError:
            raise ObjectGone from None
        except (BaseError, OSError) as error:
            raise _unavailable(error) from None
        return found.to_bytes()

    async def remove(self, paths: Iterable[str]) -> None:
        """Take them away; those that are not there are no error.

        Raises: StoreUnavailable.
        """
        for path in paths:
            try:
                await obstore.delete_async(self._store, path)
            except FileNotFoundError:
                continue
            except (BaseError, OSError) as error:
                raise _unavailable(error) from None


class Folder(Backend):
    """A folder, made where there is none. What is written is on the disk when `write` returns."""

    piece_bytes = 256 * 1024

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        super().__init__(LocalStore(root))
        self._root = root

    async def write(self, path: str, pieces: AsyncIterator[bytes]) -> None:
        await super().write(path, pieces)
        try:
            await asyncio.to_thread(_onto_disk, self._root / path)
        except OSError as error:
            raise _unavailable(error) from None

    async def remove(self, paths: Iterable[str]) -> None:
        paths = tuple(paths)
        await super().remove(paths)
        try:
            await asyncio.to_thread(_clear_away, [self._root / path for path in paths])
        except OSError as error:
            raise _unavailable(error) from None


def backend_at(url: str) -> Backend:
    """The backend of a URL. Raises StoreUnavailable where it cannot be used: what is missing is in the message."""
    parts = urlsplit(url)
    try:
        if parts.scheme == "file":
            return Folder(Path(unquote(parts.path)))
        return Backend(
            from_url(url, retry_config={"max_retries": RETRIES_MAX, "retry_timeout": RETRY_SECONDS_MAX})
        )
    except (BaseError, OSError, ValueError) as error:
        raise _unavailable(error) from None


def _onto_disk(path: Path) -> None:
    for each in (path, path.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _clear_away(paths: Iterable[Path]) -> None:
    """What unfinished writes have left beside them: `<name>#<number>`."""
    for path in paths:
        for left in path.parent.glob(f"{path.name}#*"):
            left.unlink(missing_ok=True)


def _unavailable(error: Exception) -> StoreUnavailable:
    # The first line says it; what follows is the library's own insides.
    return StoreUnavailable(str(error).partition("\n")[0])
