"""The parts of images and tasks, put together and set running for `app.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Protocol

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.accounts.directory import Directory
from bytespike.accounts.records import Channel
from bytespike.accounts.secrets import SecretBox
from bytespike.catalog.models import Model
from bytespike.catalog.resolve import Catalog
from bytespike.clock import Clock
from bytespike.ledger.escrow import Escrows
from bytespike.ledger.ledger import Ledger
from bytespike.media.adapters.registry import RENDERERS
from bytespike.media.images.attempt import DrawFailed
from bytespike.media.images.inputs import inlined
from bytespike.media.images.make import asked_on, make
from bytespike.media.images.parts import ImageLimits, ImageParts
from bytespike.media.objects.backends import Backend, backend_at
from bytespike.media.objects.store import ObjectStore
from bytespike.media.objects.sweep import sweep
from bytespike.media.objects.urls import PURPOSE, Links
from bytespike.media.order import Order
from bytespike.media.tasks.body import task_body
from bytespike.media.tasks.calling import CallFailed
from bytespike.media.tasks.desk import Desk
from bytespike.media.tasks.events import Watch
from bytespike.media.tasks.pacing import Pace
from bytespike.media.tasks.parts import Image, Limits, TaskParts
from bytespike.media.tasks.record import Task
from bytespike.media.tasks.worker import CALLBACKS_MAX, Worker
from bytespike.observe.tallies import Tallies
from bytespike.observe.tracing import Tracing
from bytespike.providers.endpoint import Endpoint
from bytespike.routing.ceilings import Ceilings
from bytespike.routing.health import HealthBoard
from bytespike.settings import Settings
from bytespike.upstream.client import Client
from bytespike.upstream.fetch import LOOKUPS_MAX, Fetcher
from bytespike.upstream.guard import GuardedResolver, Resolver
from bytespike.upstream.limits import PoolLimits, Timeouts
from bytespike.upstream.resolver import FewLookups, SystemResolver
from bytespike.upstream.tls import client_context
from bytespike.wire.address import Proxy
from bytespike.wire.json import encode

_HOUR_S = 3600
#: How long calls of users' URLs may take to end when everything else has.
_DRAIN_SECONDS = 2.0
#: Callbacks, and results at other addresses than the provider's own: connections that are not kept.
PUBLIC_LIMITS = PoolLimits(per_origin=CALLBACKS_MAX, idle_per_origin=0, idle=0, waiters_per_origin=1024)
#: More than steps can have under way.
SUBMISSIONS_MAX = 1_000_000
_SERVER_ERROR = 500
_UNAVAILABLE = 503


class CatalogNow(Protocol):
    @property
    def current(self) -> Catalog: ...


class Shared(Protocol):
    """What images and tasks have in common with the text pipeline (`pipeline.parts.Parts`)."""

    @property
    def clock(self) -> Clock: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def catalog(self) -> CatalogNow: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def health(self) -> HealthBoard: ...
    @property
    def ceilings(self) -> Ceilings: ...
    @property
    def upstream(self) -> Client: ...
    @property
    def timeouts(self) -> Timeouts: ...
    @property
    def credential_refused(self) -> Callable[[Channel, int], None]: ...
    @property
    def fetcher(self) -> Fetcher | None: ...
    @property
    def tallies(self) -> Tallies: ...
    @property
    def tracing(self) -> Tracing | None: ...


class Outside(Struct, frozen=True):
    """What of the world tests replace: how fast tasks are worked on, and how names of callbacks become addresses (None: only
    public ones are given out)."""

    pace: Pace = Pace()
    resolver: Resolver | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """What `http/` serves from."""

    store: ObjectStore
    links: Links
    images: ImageParts
    desk: Desk
    worker: Worker


@asynccontextmanager
async def media_parts(
    settings: Settings,
    engine: AsyncEngine,
    box: SecretBox,
    name: str,
    shared: Shared,
    outside: Outside | None = None,
) -> AsyncGenerator[Media]:
    """Running, until left. `name`: this process's, which goes with its spool, so that no other running one has it.

    Raises: StoreUnavailable (the folder of objects cannot be made, or the URL of the bucket lacks something),
    SQLAlchemyError, OSError.
    """
    outside = outside or Outside()
    store = ObjectStore(engine, shared.clock, backend_of(settings), settings.object_hours * _HOUR_S)
    links = Links(
        box.derived(PURPOSE), settings.public_base_url or "", f"http://{settings.host}:{settings.port}"
    )
    images = _images(settings, shared, store, links)
    async with AsyncExitStack() as stack:
        resolver = outside.resolver or GuardedResolver(
            FewLookups(SystemResolver(), LOOKUPS_MAX), allowed=settings.callback_networks
        )
        tls = client_context(None if settings.ca_file is None else str(settings.ca_file))
        public = Client(limits=PUBLIC_LIMITS, tls=tls, resolver=resolver)
        stack.push_async_callback(public.close, _DRAIN_SECONDS)
        # Nobody waits for somebody else's connection: that would be a used one.
        alone = PoolLimits(per_origin=SUBMISSIONS_MAX, idle_per_origin=0, idle=0)
        submitting = Client(limits=alone, tls=tls)
        stack.push_async_callback(submitting.close, _DRAIN_SECONDS)

        escrows = Escrows(engine, shared.ledger, shared.clock)
        stack.push_async_callback(escrows.close)

        def body(task: Task) -> bytes:
            return encode(task_body(task, links))

        tasks = TaskParts(
            name=name,
            engine=engine,
            clock=shared.clock,
            directory=shared.directory,
            catalog=shared.catalog,
            ledger=shared.ledger,
            escrows=escrows,
            health=shared.health,
            ceilings=shared.ceilings,
            upstream=shared.upstream,
            submitting=submitting,
            public=public,
            renderers=RENDERERS,
            images=_Drawn(replace(images, upstream=submitting), outside.pace.submit_timeout_s),
            store=store,
            body=body,
            credential_refused=shared.credential_refused,
            pace=outside.pace,
            limits=_limits(settings),
        )
        watch = Watch(engine)
        worker = Worker(tasks, watch)
        await stack.enter_async_context(_running(watch.run()))
        await stack.enter_async_context(_running(sweep(store)))
        await worker.start()
        stack.push_async_callback(worker.stop)
        yield Media(store, links, images, Desk(tasks, watch, resolver, worker.nudge), worker)


def _limits(settings: Settings) -> Limits:
    return Limits(
        age_s_max=settings.task_max_age_s,
        steps_max={"quick": settings.task_steps_max, "slow": settings.task_fetches_max},
        renders_per_channel_max=settings.renders_per_channel_max,
        result_bytes_max=settings.result_bytes_max,
        days=settings.task_days,
    )


def backend_of(settings: Settings) -> Backend:
    """Where objects are kept. Raises StoreUnavailable."""
    return backend_at(settings.object_store_url or (settings.data_dir / "objects").absolute().as_uri())


def _images(settings: Settings, shared: Shared, store: ObjectStore, links: Links) -> ImageParts:
    return ImageParts(
        clock=shared.clock,
        directory=shared.directory,
        catalog=shared.catalog,
        ledger=shared.ledger,
        health=shared.health,
        ceilings=shared.ceilings,
        upstream=shared.upstream,
        timeouts=shared.timeouts,
        limits=ImageLimits(
            attempts_max=settings.attempts_max,
            answer_bytes_max=settings.answer_bytes_max,
            ping_seconds=settings.stream_ping_s,
        ),
        store=store,
        links=links,
        credential_refused=shared.credential_refused,
        fetcher=shared.fetcher,
        tallies=shared.tallies,
        tracing=shared.tracing,
    )


class _Drawn:
    """`tasks.parts.ImageMaker`: what synchronous requests are drawn with draws for tasks too."""

    def __init__(self, parts: ImageParts, seconds: float) -> None:
        self._parts = parts
        self._seconds = seconds

    def surface_of(self, spoken: Collection[str], model: Model) -> str | None:
        return asked_on(spoken, model)

    async def make(self, channel: Channel, endpoint: Endpoint, model: Model, order: Order) -> Sequence[Image]:
        try:
            made = await make(self._parts, channel, endpoint, model, order, self._seconds)
        except DrawFailed as failed:
            # A server that broke down may have drawn, and charged: that is not asked for twice.
            broke = failed.status >= _SERVER_ERROR and failed.status != _UNAVAILABLE
            raise CallFailed(
                failed.error,
                about=failed.about,
                refused=failed.refused and not broke,
                status=failed.status,
                cause=failed.cause,
            ) from failed
        return [Image(each.data, each.media_type) for each in made]

    async def inlined(self, order: Order, proxy: Proxy | None) -> Order:
        return await inlined(self._parts, order, proxy)


@asynccontextmanager
async def _running(coroutine: Coroutine[None, None, None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(coroutine)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
