"""The SQLite file that connections have open is the one at its path, or they say that the database is gone.

A file may be moved, or another put in its place, while it is open. SQLite goes on with what it has open, where nobody will
look for it: rows that were committed there are missing once a copy is back. And a connection that is opened while the
file is away makes an empty one, and deletes the log (`-wal`) in which the absent one may have its newest rows.

So the first connection of an engine may make the file, and the others find it or fail. Whoever takes a connection from the pool
gets one to the file that is there now; whoever has kept one is told when a transaction begins, once it has the lock
that a careful copier would have.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection
from sqlalchemy.exc import DisconnectionError, OperationalError

_OPENED = "bytespike_file"


class DatabaseFile:
    """One engine's. `there`: it has been made; else the first connection makes it."""

    def __init__(self, path: str, *, there: bool = False) -> None:
        self._path = Path(path).absolute()
        self._there = there

    def connecting(self, arguments: list[Any], parameters: dict[str, Any]) -> None:
        """Before a connection is opened, with what the driver is given for it."""
        if self._there:
            arguments[0] = f"file:{quote(str(self._path))}?mode=rw"
            parameters["uri"] = True

    def opened(self, info: dict[Any, Any]) -> None:
        """A connection was opened, and has read something. `info`: what is remembered of it."""
        self._there = True
        info[_OPENED] = self._identity()

    def taken(self, info: dict[Any, Any]) -> None:
        """A connection is taken from the pool. Raises `DisconnectionError`, for which the pool opens another."""
        if self._moved(info):
            raise DisconnectionError("the database's file is not the one that is open")

    def begun(self, connection: Connection) -> None:
        """A transaction has begun. Raises `OperationalError`, and has ended it."""
        if self._moved(connection.info):
            connection.exec_driver_sql("ROLLBACK")
            why = sqlite3.OperationalError("the database's file was moved, or another is in its place")
            raise OperationalError("BEGIN", None, why)

    def _moved(self, info: dict[Any, Any]) -> bool:
        return info.get(_OPENED) != self._identity()

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino
