"""A house with tasks in it: money, a channel that leads to a `RenderUpstream`, a desk, and workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from pathlib import Path

import msgspec
from msgspec import structs

from bytespike.accounts.records import Channel, ChannelModel, Group, KeyRecord, Routes
from bytespike.catalog.models import VideoRate
from bytespike.catalog.resolve import Catalog, load_catalog
from bytespike.clock import SystemClock
from bytespike.ledger.doctor import examine
from bytespike.ledger.escrow import Escrows
from bytespike.ledger.ledger import Ledger
from bytespike.ledger.spool import Spool
from bytespike.media.adapter import RenderAdapter
from bytespike.media.assembly import PUBLIC_LIMITS
from bytespike.media.objects.backends import backend_at
from bytespike.media.objects.store import ObjectStore
from bytespike.media.order import Order
from bytespike.media.tasks.desk import Desk, Submission, Submitted
from bytespike.media.tasks.events import Watch
from bytespike.media.tasks.pacing import Pace
from bytespike.media.tasks.parts import ImageMaker, Limits, Reached, TaskParts
from bytespike.media.tasks.record import Task
from bytespike.media.tasks.worker import Worker
from bytespike.pricing.price import Price
from bytespike.providers.endpoint import endpoints
from bytespike.routing.ceilings import Ceilings
from bytespike.routing.health import HealthBoard
from bytespike.upstream.client import Client
from bytespike.upstream.guard import GuardedResolver, Network, Resolver
from bytespike.upstream.resolver import SystemResolver
from tests.support.ledger_house import USD, House, key_record
from tests.support.render_upstream import FakeRenders, RenderUpstream

#: Everything soon, but what keeps a slow machine from being taken for a dead one.
HURRY = Pace(
    lease_s=30.0,
    submit_timeout_s=20.0,
    call_timeout_s=20.0,
    reconcile_after_s=0.3,
    reconcile_pause_s=0.05,
    poll_s_min=0.02,
    poll_s_max=0.05,
    retry_s_min=0.02,
    retry_s_max=0.2,
    full_s=0.05,
    gather_s=0.005,
    idle_s=0.1,
    fetch_idle_s=20.0,
    fetch_timeout_s=60.0,
    grace_s=10.0,
    callback_timeout_s=10.0,
    callback_after_s=(0.1, 0.2),
)
MODEL = "sora2"
#: Micro-dollars for a second, and for a task.
PER_SECOND = 100_000
FEE = 50_000
PRICE = Price(submit_fee=FEE, seconds=(VideoRate(PER_SECOND),))
LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.1/32"),)
PATIENCE_S = 60.0


class StandingRoutes:
    """Routes that tests change."""

    def __init__(self, routes: Routes) -> None:
        self.routes = routes


class StandingCatalog:
    def __init__(self, current: Catalog) -> None:
        self.current = current


CATALOG = load_catalog()


def channel(url: str, id: str = "ch_1", priority: int = 0, models: tuple[str, ...] = (MODEL,)) -> Channel:
    bare = Channel(
        id=id,
        name=id,
        platform="openai",
        base_urls={"openai_videos": url, "openai_images": url},
        credential="secret-credential",
        models={slug: ChannelModel(slug, f"upstream-{slug}", PRICE) for slug in models},
        group_ids=frozenset({1}),
        priority=priority,
    )
    return structs.replace(bare, endpoints=endpoints(bare))


def routes_of(*channels: Channel) -> Routes:
    serving: dict[str, tuple[Channel, ...]] = {}
    for each in sorted(channels, key=lambda found: found.priority):
        for slug in each.models:
            serving[slug] = (*serving.get(slug, ()), each)
    return Routes(
        groups={1: Group(1, "default")},
        channels={each.id: each for each in channels},
        by_group_model={1: serving},
    )


def body_of(task: Task) -> bytes:
    """What callbacks send here."""
    return msgspec.json.encode({"task_id": task.id, "status": task.state})


class Process:
    """What one serving process has: a ledger, a desk, a worker that may be started."""

    def __init__(self, parts: TaskParts, watch: Watch, worker: Worker, desk: Desk, key: KeyRecord) -> None:
        self.parts = parts
        self.watch = watch
        self.worker = worker
        self.desk = desk
        self.key = key

    async def submit(
        self,
        prompt: str = "a cat",
        *,
        seconds: int = 4,
        out_task_id: str | None = None,
        callback_url: str | None = None,
        model: str = MODEL,
        n: int = 1,
    ) -> Submitted:
        found = self.desk.model_for(self.key, model)
        order = (
            Order(kind="image", prompt=prompt, n=n)
            if found.kind == "image"
            else Order(kind="video", prompt=prompt, seconds=seconds)
        )
        account = await self.parts.ledger.open(self.key)
        submission = Submission(found, model, order, out_task_id=out_task_id, callback_url=callback_url)
        return await self.desk.submit(self.key, account, submission)

    async def task(self, id: str) -> Task:
        return await self.desk.query(self.key.id, task_id=id)

    async def over(self, *ids: str) -> list[Task]:
        """The tasks, once they are over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = [await self.task(id) for id in ids]
                if all(task.over for task in found):
                    return found
                await asyncio.sleep(0.02)

    async def until(self, said: Callable[[], bool]) -> None:
        """Until it is so. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_S):
            while not said():
                await asyncio.sleep(0.01)


async def build(
    folder: Path, url: str | None = None, dollars: int = 1000, key: KeyRecord | None = None
) -> tuple[House, KeyRecord]:
    """A house with a key and money in it."""
    house = House(folder, url)
    house.clock = SystemClock()
    await house.build()
    found = await house.add_key(key or key_record())
    await house.fund(dollars * USD)
    return house, found


@asynccontextmanager
async def process(
    house: House,
    key: KeyRecord,
    *channels: Channel,
    name: str = "one",
    adapter: RenderAdapter | None = None,
    pace: Pace = HURRY,
    limits: Limits | None = None,
    reached: Reached | None = None,
    allowed: tuple[Network, ...] = LOOPBACK,
    images: ImageMaker | None = None,
    names: Resolver | None = None,
    working: bool = True,
) -> AsyncIterator[Process]:
    """One process on the house's database. `working`: its worker runs. `allowed`: private networks that callbacks may lead to;
    `names`: how hosts become addresses, before those that are not public are left out."""
    clock = SystemClock()
    ledger = Ledger(house.engine, Spool(house.folder / f"spool-{name}", clock.monotonic_ns), clock)
    await ledger.start()
    upstream = Client()
    resolver = GuardedResolver(names or SystemResolver(), allowed=allowed)
    public = Client(limits=PUBLIC_LIMITS, resolver=resolver)
    submitting = Client(limits=PUBLIC_LIMITS)
    escrows = Escrows(house.engine, ledger, clock)
    options = {} if reached is None else {"reached": reached}
    parts = TaskParts(
        name=name,
        engine=house.engine,
        clock=clock,
        directory=StandingRoutes(routes_of(*channels)),
        catalog=StandingCatalog(CATALOG),
        ledger=ledger,
        escrows=escrows,
        health=HealthBoard(),
        ceilings=Ceilings(clock.monotonic_ns),
        upstream=upstream,
        submitting=submitting,
        public=public,
        renderers={"openai_videos": adapter or FakeRenders()},
        images=images,
        store=ObjectStore(
            house.engine, clock, backend_at((house.folder / "objects").absolute().as_uri()), 86_400
        ),
        body=body_of,
        credential_refused=lambda channel, status: None,
        pace=pace,
        limits=limits or Limits(),
        **options,
    )
    watch = Watch(house.engine)
    worker = Worker(parts, watch)
    desk = Desk(parts, watch, resolver, worker.nudge)
    watching = asyncio.create_task(watch.run())
    try:
        if working:
            await worker.start()
        try:
            yield Process(parts, watch, worker, desk, key)
        finally:
            if working:
                await worker.stop()
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        await upstream.close(1.0)
        await submitting.close(1.0)
        await public.close(1.0)
        await escrows.close()
        await ledger.stop()


Life = Callable[[House, Process, RenderUpstream], Awaitable[None]]


def live(folder: Path, life: Life, upstream: RenderUpstream | None = None, **options: object) -> None:
    """One process, one channel, and a provider; the books are looked at in the end."""

    async def run() -> None:
        house, key = await build(folder)
        try:
            with upstream or RenderUpstream() as provider:
                async with process(house, key, channel(provider.url), **options) as one:
                    await life(house, one, provider)
                    assert one.parts.ledger.stats().open_holds == 0
            assert not (await examine(house.engine)).findings
        finally:
            await house.engine.dispose()

    asyncio.run(run())
