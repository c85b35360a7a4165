"""A whole gateway with its simulator, running on a thread of its own, for tests that talk to it over sockets."""

from __future__ import annotations

import asyncio
import http.client
import resource
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from sqlalchemy import func, select

from bytespike.accounts import channels, groups, keys, users
from bytespike.accounts.channels import NewChannel
from bytespike.accounts.groups import NewGroup
from bytespike.accounts.key_hash import hash_key
from bytespike.accounts.keys import NewKey
from bytespike.accounts.users import NewUser, UserChanges
from bytespike.app import Application, Listener, assemble
from bytespike.core.usage import Usage
from bytespike.ledger import transfers
from bytespike.ledger.amounts import parse_usd
from bytespike.media.assembly import Outside
from bytespike.pricing.cost import cost
from bytespike.providers.simulator.server import Simulator
from bytespike.settings import Settings
from bytespike.store import tables
from tests.support.raw_http import Answer

CLAUDE = "claude-sonnet-4-6"
GPT = "gpt-5-5"
#: Served by a channel that speaks Responses alone.
GPT_RESPONSES = "gpt-5-4"
GEMINI = "gemini-3-1-pro"
#: More than any test spends, micro-dollars.
FUNDS = 1_000_000_000


class RunningGateway:
    """`with RunningGateway(tmp_path) as gateway`. `key` is a key of a rich user."""

    host = "127.0.0.1"
    #: What of the world is replaced (`media.assembly.Outside`).
    outside: Outside | None = None

    def __init__(self, data_dir: Path, simulator: Simulator | None = None, **settings: Any) -> None:
        self._settings = replace(
            Settings(),
            host=self.host,
            port=0,
            data_dir=data_dir,
            master_key_file=data_dir / "master.key",
            **{"database_url": f"sqlite:///{data_dir / 'bytespike.db'}", **settings},
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._names = 0
        self._own_simulator = simulator is None
        self.sim = simulator or Simulator(observe=True)
        self.key = ""
        self.port = 0

    def __enter__(self) -> RunningGateway:
        self._thread.start()
        self._started.result(timeout=120)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=120)
        assert not self._thread.is_alive(), "the gateway does not stop"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    # --- running -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        try:
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            async with AsyncExitStack() as stack:
                if self._own_simulator:
                    await stack.enter_async_context(self.sim)
                application = await stack.enter_async_context(assemble(self._settings, outside=self.outside))
                self.application: Application = application
                await self._furnish()
                self._server = server = Listener(application.gateway, self._settings, self._listening)
                serving = asyncio.create_task(server.serve())
                await self._stop.wait()
                await self._shut(server, serving)
        except BaseException as error:
            if not self._started.done():
                self._started.set_exception(error)
            raise

    def _listening(self, port: int) -> None:
        self.port = port
        self.application.media.links.listening = self.url
        self._started.set_result(None)

    async def _shut(self, server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
        server.should_exit = True
        await serving

    async def _furnish(self) -> None:
        async with self.application.control.writing("test") as write:
            group = await groups.create(write, NewGroup(name="default"))
            self._group_id = group.id
            base = self.sim.base_url
            for name, dialect, prefix, models in (
                (
                    "simulator-anthropic",
                    "anthropic_messages",
                    "/anthropic",
                    {CLAUDE: CLAUDE, "claude-opus-4-8": "up-opus"},
                ),
                ("simulator-openai", "openai_chat", "/openai/v1", {GPT: GPT, "gpt-4o": "upstream-4o"}),
                ("simulator-responses", "openai_responses", "/openai/v1", {GPT_RESPONSES: GPT_RESPONSES}),
                ("simulator-gemini", "gemini", "/gemini", {GEMINI: "upstream-gemini-3-1-pro"}),
            ):
                await channels.create(
                    write,
                    NewChannel(
                        name=name,
                        platform="simulator",
                        credential="sim-good",
                        base_urls=self._base_urls(dialect, base + prefix),
                        models=models,
                        group_ids=(group.id,),
                    ),
                )
        self.user = await self._new_user(FUNDS, concurrency=1000)
        self.key = await self._new_key(user_id=self.user)
        # The channels must be known before the first request.
        await self.application.parts.directory.poll()

    def _base_urls(self, dialect: str, url: str) -> dict[str, str]:
        others = {"anthropic_messages", "openai_chat", "openai_responses", "gemini"} - {dialect}
        return {dialect: url, **dict.fromkeys(others, "")}

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run on the gateway's loop, from the test's thread."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=120)

    # --- furnishing ----------------------------------------------------------------------------------------------

    def new_user(self, balance: int, concurrency: int = 100) -> str:
        return self.run(self._new_user(balance, concurrency=concurrency))

    async def _new_user(self, balance: int, concurrency: int) -> str:
        self._names += 1
        control = self.application.control
        async with control.writing("test") as write:
            user = await users.create(write, NewUser(email=f"user{self._names}@example.com"))
            await users.update(write, user.id, UserChanges(concurrency=concurrency))
        if balance:
            await self._topup(user.id, balance)
        return user.id

    def topup(self, user_id: str, amount: int) -> None:
        self.run(self._topup(user_id, amount))

    async def _topup(self, user_id: str, amount: int) -> None:
        await transfers.topup(
            self.application.engine,
            f"wallet:user:{user_id}",
            amount,
            actor="test",
            now_us=self.application.parts.clock.now_us(),
        )

    def new_key(self, user_id: str = "", multiplier_ppm: int = 1_000_000, **fields: Any) -> str:
        return self.run(self._new_key(user_id=user_id or self.user, multiplier_ppm=multiplier_ppm, **fields))

    async def _new_key(self, user_id: str, multiplier_ppm: int = 1_000_000, **fields: Any) -> str:
        self._names += 1
        group_id = self._group_id
        async with self.application.control.writing("test") as write:
            if multiplier_ppm != 1_000_000:
                group = await groups.create(
                    write, NewGroup(name=f"group{self._names}", multiplier_ppm=multiplier_ppm)
                )
                group_id = group.id
                for view in await channels.listing(write.connection):
                    await channels.update(
                        write, view.channel.id, channels.ChannelChanges(group_ids=(*view.group_ids, group_id))
                    )
            minted = await keys.create(
                write, NewKey(name=f"key{self._names}", user_id=user_id, group_id=group_id, **fields)
            )
        await self.application.parts.directory.poll()
        return minted.plaintext

    def revoke(self, key: str) -> None:
        async def revoke() -> None:
            async with self.application.control.writing("test") as write:
                record = self.application.parts.directory.get(hash_key(key))
                assert record is not None
                await keys.revoke(write, record.id)

        self.run(revoke())

    # --- asking --------------------------------------------------------------------------------------------------

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> Answer:
        headers = {"x-api-key": self.key} if headers is None else headers
        return self.request("POST", path, body, {"content-type": "application/json", **headers})

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return Answer(
                answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
            )
        finally:
            connection.close()

    # --- looking -------------------------------------------------------------------------------------------------

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until `condition` holds. Fails after `seconds`."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.01)

    def answered(self) -> int:
        """Requests that are over."""
        return sum(self.application.metrics.counts().values())

    def until_answered(self, count: int) -> None:
        self.until(lambda: self.answered() >= count)

    def open_holds(self) -> int:
        return self.application.parts.ledger.stats().open_holds

    def connections(self) -> int:
        """Those of clients that are open."""
        return len(self._server.server_state.connections)

    def settled(self) -> None:
        """Every request is over, and everything is in the database."""
        self.until(lambda: self.open_holds() == 0)
        self.until(lambda: self.application.parts.ledger.stats().spool_records == 0)

    def nothing_left_over(self) -> None:
        """No hold, no connection in use, nobody waiting for one."""
        self.until(lambda: self.open_holds() == 0)
        stats = self.application.parts.upstream.stats

        self.until(lambda: (stats().in_use, stats().waiting, stats().connecting) == (0, 0, 0))

    def heal(self) -> None:
        """Forget that channels failed."""
        parts = self.application.parts
        for channel_id in parts.directory.routes.channels:
            parts.health.reset(channel_id)

    def balance(self, user_id: str = "") -> int:
        """The wallet in the database, micro-dollars."""
        self.settled()
        account = f"wallet:user:{user_id or self.user}"
        query = select(tables.accounts.c.balance).where(tables.accounts.c.id == account)
        return self.run(self._scalar(query)) or 0

    def ledger_sum(self, user_id: str) -> int:
        account = f"wallet:user:{user_id}"
        t = tables.transfers.c

        async def total() -> int:
            plus = await self._scalar(
                select(func.coalesce(func.sum(t.amount), 0)).where(t.credit_account == account)
            )
            minus = await self._scalar(
                select(func.coalesce(func.sum(t.amount), 0)).where(t.debit_account == account)
            )
            return plus - minus

        return self.run(total())

    def receipt(self, request_id: str) -> dict[str, Any]:
        """The usage row of a request."""
        self.settled()
        return self._one(select(tables.usage).where(tables.usage.c.request_id == request_id))

    def newest_receipt(self) -> dict[str, Any]:
        self.settled()
        return self._one(select(tables.usage).order_by(tables.usage.c.at.desc()).limit(1))

    def usage_rows(self) -> int:
        self.settled()
        return self.run(self._scalar(select(func.count()).select_from(tables.usage)))

    def price_of(self, model: str, multiplier_ppm: int = 1_000_000, **usage: int) -> int:
        for channel in self.application.parts.directory.routes.channels.values():
            if model in channel.models:
                return cost(Usage(**usage), channel.models[model].price, multiplier_ppm)
        raise AssertionError(f"no channel serves {model}")

    def micro(self, usd: str) -> int:
        return parse_usd(usd)

    def memory_mb(self) -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    # --- the upstream's side -------------------------------------------------------------------------------------

    def forget_upstream_requests(self) -> None:
        self.sim.reset()

    def upstream_requests(self) -> list[Any]:
        return self.sim.requests

    def newest_upstream_request(self) -> Any:
        return self.sim.requests[-1]

    # --- within --------------------------------------------------------------------------------------------------

    async def _scalar(self, query: Any) -> Any:
        async with self.application.control.reading() as connection:
            return (await connection.execute(query)).scalar()

    def _one(self, query: Any) -> dict[str, Any]:
        async def read() -> dict[str, Any]:
            async with self.application.control.reading() as connection:
                return dict((await connection.execute(query)).mappings().one())

        return self.run(read())
