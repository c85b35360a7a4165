"""The connection to the database, and its schema brought up to date.

SQLite here is one file in WAL mode: readers never wait, writers queue for one write lock. A transaction that starts as
a reader and turns into a writer may find that somebody wrote in between, and SQLite then fails it at once, whatever the
timeout. So every transaction of `engine.begin()` and `engine.connect()` takes the write lock when it begins
(`BEGIN IMMEDIATE`), and waits up to `BUSY_TIMEOUT_MS` for it. Code that only reads says so with `reading(engine)` and
takes no lock. That the file is still where it was is looked after by `sqlite_file.py`.

PostgreSQL needs none of this: there `reading` is a plain connection.
"""

from __future__ import annotations

import importlib
import sqlite3
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event, inspect, text
from sqlalchemy import create_engine as create_blocking_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from bytespike.store.sqlite_file import DatabaseFile

#: How long a SQLite writer waits for the write lock before it fails.
BUSY_TIMEOUT_MS = 10_000
#: How often, and after how many seconds, the switch of a new database to WAL is tried again.
WAL_ATTEMPTS = 200
WAL_PAUSE_S = 0.05
#: Of the pages of a new SQLite database. A usage row has six hundred bytes: of the usual 4,096 a third of the drain's work went into
#: splitting pages.
PAGE_BYTES = 8_192
#: Connections kept open, and how many more may be opened under load.
POOL_SIZE = 5
POOL_OVERFLOW = 10
#: How long a caller waits for a connection of the pool, seconds.
POOL_TIMEOUT_S = 10.0

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_READ_ONLY = "bytespike_read_only"
#: The last revision in `migrations/`: what `upgrade` makes.
NEWEST = "0008"
#: An arbitrary number that only migrations lock.
_MIGRATION_LOCK = 7_302_118_446


class WrongDatabaseURL(ValueError):
    """The URL cannot be read, or names a database that is not supported. The message never holds the password."""


def parse_url(url: str) -> URL:
    """`sqlite:///path`, `postgresql://user:password@host/name`, with the driver filled in. Raises `WrongDatabaseURL`."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise WrongDatabaseURL("not a database URL; expected sqlite:///path or postgresql://…") from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise WrongDatabaseURL(f"{parsed.drivername!r} is not supported; expected sqlite or postgresql")
    return parsed.set(drivername=driver)


def create_engine(url: str) -> AsyncEngine:
    """A pool of connections. Nothing is opened yet. Raises `WrongDatabaseURL`.

    Close it with `await engine.dispose()`: SQLite's connections own threads.
    """
    parsed = parse_url(url)
    if parsed.drivername == "sqlite+aiosqlite":
        in_memory = parsed.database in (None, "", ":memory:")
        # One shared connection is the whole of an in-memory database: it takes no pool sizes.
        engine = (
            create_async_engine(parsed, hide_parameters=True)
            if in_memory
            else create_async_engine(
                parsed,
                # Errors are logged, and parameters are people's: prompts that are kept, among others.
                hide_parameters=True,
                pool_size=POOL_SIZE,
                max_overflow=POOL_OVERFLOW,
                pool_timeout=POOL_TIMEOUT_S,
            )
        )
        _listen(engine.sync_engine, _file_of(parsed))
        return engine
    try:
        return create_async_engine(
            parsed,
            hide_parameters=True,
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            pool_timeout=POOL_TIMEOUT_S,
            pool_pre_ping=True,
        )
    except ModuleNotFoundError as error:
        raise WrongDatabaseURL(f"PostgreSQL needs the package {error.name}, which is not installed") from None


def blocking(engine: AsyncEngine) -> Engine | None:
    """An engine without a pool on the same SQLite file, whose calls block. None: the database is none, or in memory."""
    url = engine.url
    if engine.dialect.name != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    twin = create_blocking_engine(url.set(drivername="sqlite"), poolclass=NullPool)
    _listen(twin, _file_of(url, there=True))
    return twin


def _file_of(url: URL, *, there: bool = False) -> DatabaseFile | None:
    """None: it is in memory, or the URL itself says how it is opened."""
    name = url.database
    if name in (None, "", ":memory:") or name.startswith("file:"):
        return None
    return DatabaseFile(name, there=there)


def _listen(engine: Engine, file: DatabaseFile | None) -> None:
    """Have each connection prepared, and each transaction begun, as this module says."""
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    if file is None:
        return

    def connecting(
        _dialect: object, _entry: object, arguments: list[Any], parameters: dict[str, Any]
    ) -> None:
        file.connecting(arguments, parameters)

    def opened(_connection: object, entry: ConnectionPoolEntry) -> None:
        file.opened(entry.info)

    def taken(_connection: object, entry: ConnectionPoolEntry, _proxy: object) -> None:
        file.taken(entry.info)

    event.listen(engine, "do_connect", connecting)
    event.listen(engine, "connect", opened)
    event.listen(engine, "checkout", taken)
    event.listen(engine, "begin", file.begun)


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver must not start transactions of its own: `_begin_sqlite` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    _use_wal(cursor)
    for pragma in (
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _use_wal(cursor: DBAPICursor) -> None:
    """Switch a new database over to WAL. The switch needs the file alone and does not wait for it, whatever the busy
    timeout; two processes that make the same database meet here."""
    for attempt in range(WAL_ATTEMPTS):
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone() == ("wal",):
            return
        try:
            # Of a database that is made here; one that exists keeps its own.
            cursor.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if attempt == WAL_ATTEMPTS - 1:
                raise
            time.sleep(WAL_PAUSE_S)


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """A connection that sees one snapshot and writes nothing. On SQLite it does not wait for writers."""
    async with engine.connect() as plain:
        connection = await plain.execution_options(**{_READ_ONLY: True})
        yield connection


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema to the newest version, in one transaction; does nothing where it is there already.

    Safe to call from several processes at once: the first one migrates, the others wait and find it done.
    """
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": _MIGRATION_LOCK})
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    if inspect(connection).has_table("alembic_version"):
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
        if list(found) == [NEWEST]:
            return
    # By name, so that Alembic is imported only here (a tenth of a second of each start).
    importlib.import_module("bytespike.store.upgrade").upgrade(connection)
