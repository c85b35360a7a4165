"""Ways in which a database is taken away from the gateways that use it, and given back.

Each is a context manager: inside it is away. What the gateways could still read does not matter; they can write nothing.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import TypeAlias

import asyncpg

from tests.support.postgres import Server
from tests.support.served import Served

Outage: TypeAlias = Callable[[Served], AbstractAsyncContextManager[None]]

#: How long a lock is tried for, beside gateways that write.
LOCK_S = 60.0
#: The size of a segment of PostgreSQL's log, and of its tables where the disk is full: `initdb --wal-segsize=1`.
MEGABYTE = 1 << 20
#: Rows that are written and taken back, so that a table is larger than that and its next row needs a new page.
_SWOLLEN_ROWS = 10_000


# --- SQLite ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def sqlite_locked(served: Served) -> AsyncGenerator[None]:
    """Another program writes, and does not come to an end."""

    def take() -> sqlite3.Connection:
        connection = sqlite3.connect(
            database_of(served), timeout=LOCK_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("BEGIN EXCLUSIVE")
        return connection

    with closing(await asyncio.to_thread(take)) as connection:
        yield
        connection.execute("ROLLBACK")


@asynccontextmanager
async def disk_full(served: Served) -> AsyncGenerator[None]:
    """The disk takes nothing: no database, no spool, and no log."""

    def limit(size: int) -> None:
        """From now on they make no file larger than this, bytes."""
        for pid in (served.process.pid, *served.workers()):
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    limit(0)
    yield
    limit(resource.RLIM_INFINITY)


@asynccontextmanager
async def sqlite_file_moved(served: Served) -> AsyncGenerator[None]:
    """The database's own file has another name for a while; what SQLite keeps beside it stays."""
    async with _moved([database_of(served)]):
        yield


@asynccontextmanager
async def sqlite_files_moved(served: Served) -> AsyncGenerator[None]:
    """So have all of its files."""
    path = database_of(served)
    async with _moved([path, Path(f"{path}-wal"), Path(f"{path}-shm")]):
        yield


@asynccontextmanager
async def sqlite_copied_away_and_back(served: Served) -> AsyncGenerator[None]:
    """Its file is taken to another disk and brought back: in the end it is another file with the same in it."""
    path = database_of(served)
    elsewhere = path.with_name("copied.db")
    with closing(sqlite3.connect(path, timeout=LOCK_S, isolation_level=None)) as connection:
        # Nobody writes while it is copied: what went into it then would be in one of the two alone.
        connection.execute("BEGIN IMMEDIATE")
        await asyncio.to_thread(_copied, path, elsewhere)
        path.unlink()
        connection.execute("ROLLBACK")
    for each in (Path(f"{path}-wal"), Path(f"{path}-shm")):
        each.unlink(missing_ok=True)
    yield
    elsewhere.rename(path)


def _copied(path: Path, elsewhere: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(elsewhere)) as target:
        source.backup(target)


def database_of(served: Served) -> Path:
    """Its file."""
    assert served.database_url is not None
    return Path(served.database_url.removeprefix("sqlite:///"))


@asynccontextmanager
async def _moved(paths: list[Path]) -> AsyncGenerator[None]:
    elsewhere = paths[0].parent / "elsewhere"
    elsewhere.mkdir()
    for path in paths:
        path.rename(elsewhere / path.name)
    yield
    for path in paths:
        assert not path.exists(), "somebody made an empty one in its place"
        (elsewhere / path.name).rename(path)


# --- PostgreSQL --------------------------------------------------------------------------------------------------------


def tables_locked(server: Server) -> Outage:
    """Somebody has a lock on every table, which even those who read wait for."""

    @asynccontextmanager
    async def outage(_: Served) -> AsyncGenerator[None]:
        connection = await asyncpg.connect(server.url)
        try:
            found = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            names = ", ".join(row["tablename"] for row in found)
            while True:
                # One that waits for all of them may meet a writer that has some, and one of the two is ended.
                try:
                    async with connection.transaction():
                        await connection.execute(f"SET LOCAL lock_timeout = {int(LOCK_S * 1000)}")
                        await connection.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
                        yield
                    return
                except asyncpg.DeadlockDetectedError:
                    pass
        finally:
            await connection.close()

    return outage


def server_frozen(server: Server) -> Outage:
    """Its processes are there, and do nothing: connections are accepted and nobody answers."""

    @asynccontextmanager
    async def outage(_: Served) -> AsyncGenerator[None]:
        server.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            server.signal(signal.SIGCONT)

    return outage


def server_full(server: Server) -> Outage:
    """It can make no table larger. (That it cannot write its log is more than that: it goes down, as in `server_stopped`.)
    Needs `initdb --wal-segsize=1`."""

    @asynccontextmanager
    async def outage(_: Served) -> AsyncGenerator[None]:
        await _swell(server, ("usage", "transfers"))
        server.limit_files(str(MEGABYTE))
        yield
        server.limit_files("unlimited")

    return outage


async def _swell(server: Server, tables: tuple[str, ...]) -> None:
    """Make these tables larger than `MEGABYTE` without a row more: rows that were taken back keep their place until somebody
    tidies up, which nobody does here. Each table has a row already."""
    connection = await asyncpg.connect(server.url)
    try:
        for table in tables:
            await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(
                f"INSERT INTO {table} SELECT (jsonb_populate_record(one, other)).* FROM (SELECT each AS one FROM {table} each LIMIT 1) first, "
                "LATERAL (SELECT jsonb_build_object('id', n, 'request_id', n, 'idempotency_key', n) AS other "
                f"FROM generate_series(1, {_SWOLLEN_ROWS}) n) numbered"
            )
            await transaction.rollback()
            size = await connection.fetchval("SELECT pg_relation_size($1)", table)
            assert size > MEGABYTE, f"{table} has only {size} bytes"
    finally:
        await connection.close()


def server_stopped(server: Server) -> Outage:
    """It goes down, and is started again."""

    @asynccontextmanager
    async def outage(_: Served) -> AsyncGenerator[None]:
        await asyncio.to_thread(server.stop)
        yield
        await asyncio.to_thread(server.start)

    return outage
