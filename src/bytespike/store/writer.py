"""One connection that writes one transaction after the other, each handed over whole.

Whoever writes many statements a second should not wait for each of them by itself. An asynchronous SQLite driver takes
every statement to its thread and back, three times over (cursor, execute, close), which for a transaction of a dozen
statements costs as much as the statements. So on SQLite a transaction is a coroutine that is run from its first line to
its last in a thread that has the connection: nothing in it waits but for the database. On PostgreSQL it is awaited.

A transaction is begun before it is run, because its owner may have to take a lock of its own in between, once the
database's is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from sqlalchemy import Connection, CursorResult, Dialect, Engine, Executable, Transaction
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncTransaction

from bytespike.store.engine import blocking

T = TypeVar("T")
#: What is done in a transaction. It may await its connection, and nothing else.
Body: TypeAlias = Callable[[AsyncConnection], Coroutine[Any, Any, T]]


class Writer(Protocol):
    """`begin`, then `run`, again and again; `close` at the end, and after anything that was raised. Nothing is opened
    before the first `begin`, nor by `close`. All raise what the database raises."""

    async def begin(self) -> None: ...
    async def run(self, body: Body[T], committing: Callable[[], None]) -> T:
        """Commit what `body` has written, and give what it gives; roll it back where it raises. `committing` is called
        right before the commit: from then on it may have been done, whatever is raised. It may be called on another thread.

        Cancelled, it ends when the transaction has."""
        ...

    async def close(self) -> None: ...


def writer(engine: AsyncEngine) -> Writer:
    """For the engine's database."""
    twin = blocking(engine)
    return _Awaited(engine) if twin is None else _Threaded(twin)


class _Awaited:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._transaction: AsyncTransaction | None = None

    async def begin(self) -> None:
        if self._connection is None:
            self._connection = await self._engine.connect()
        self._transaction = await self._connection.begin()

    async def run(self, body: Body[T], committing: Callable[[], None]) -> T:
        assert self._connection is not None
        assert self._transaction is not None
        try:
            result = await body(self._connection)
        except BaseException:
            await self._transaction.rollback()
            raise
        committing()
        await self._transaction.commit()
        return result

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class _Threaded:
    """The thread is the connection's alone: what it is given is done in order."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._executor: ThreadPoolExecutor | None = None
        self._connection: Connection | None = None
        self._transaction: Transaction | None = None

    async def begin(self) -> None:
        await self._in_thread(self._begin)

    async def run(self, body: Body[T], committing: Callable[[], None]) -> T:
        return await self._in_thread(lambda: self._run(body, committing))

    async def close(self) -> None:
        if self._executor is None:
            return
        try:
            await self._in_thread(self._close)
        finally:
            self._executor.shutdown(wait=False)
            self._executor = None

    async def _in_thread(self, call: Callable[[], T]) -> T:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "bytespike-writer")
        done = asyncio.get_running_loop().run_in_executor(self._executor, call)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            raise

    # --- in the thread ---------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._connection is None:
            self._connection = self._engine.connect()
        self._transaction = self._connection.begin()

    def _run(self, body: Body[T], committing: Callable[[], None]) -> T:
        assert self._connection is not None
        assert self._transaction is not None
        try:
            # It has all of an asynchronous connection that a transaction's body uses.
            result = _finished(body(cast("AsyncConnection", _NeverWaiting(self._connection))))
        except BaseException:
            self._transaction.rollback()
            raise
        committing()
        self._transaction.commit()
        return result

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._engine.dispose()


class _NeverWaiting:
    """A blocking connection in the shape of an asynchronous one: its coroutines are done when they are first asked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> Dialect:
        return self._connection.dialect

    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        return self._connection.execute(statement, parameters)

    async def exec_driver_sql(self, statement: str, parameters: tuple[Any, ...]) -> CursorResult[Any]:
        return self._connection.exec_driver_sql(statement, parameters)


def _finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("a transaction waited for something else than its connection")
