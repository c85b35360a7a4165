"""The composition root: the one module, beside the command line, that may import everything.

`assemble` puts the parts together and starts what runs in the background; `serve` does that and listens. It is as long as the
list of parts, and so is `assemble`: nothing is decided here.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

import structlog
import uvicorn
import uvloop
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike import ids, runtime
from bytespike.accounts import channels
from bytespike.accounts.control import Control
from bytespike.accounts.directory import Directory
from bytespike.accounts.master_key import open_box
from bytespike.accounts.records import Channel, Routes
from bytespike.accounts.secrets import SecretUnreadable
from bytespike.catalog.resolve import Catalog, load_catalog
from bytespike.clock import SystemClock
from bytespike.conversations.conversations import Conversations
from bytespike.core.dialect import Dialect
from bytespike.core.json_types import JSONObject
from bytespike.errors import NotFound
from bytespike.http.connection import connections
from bytespike.http.inbound.absent import absent
from bytespike.http.inbound.count import serve_count
from bytespike.http.inbound.gateway import GatewayApp, Route
from bytespike.http.inbound.generate import serve_generate
from bytespike.http.inbound.head import Addresses
from bytespike.http.inbound.health import healthz, metrics_page, readyz
from bytespike.http.inbound.images import image_routes, serve_chat
from bytespike.http.inbound.live import serve_live
from bytespike.http.inbound.media import media_routes
from bytespike.http.inbound.models import caller_dialect, get_model, list_models
from bytespike.http.inbound.pricing import pricing
from bytespike.http.inbound.probes import hello
from bytespike.http.inbound.request import Inbound
from bytespike.http.inbound.responses import cancel_response, delete_response, get_response
from bytespike.http.inbound.text import serve_text
from bytespike.http.inbound.wallet import balance, usage
from bytespike.http.management.app import create_management_app
from bytespike.http.management.pricing import price_list
from bytespike.http.readiness import Readiness
from bytespike.ledger.amounts import parse_usd
from bytespike.ledger.escrowed import in_books
from bytespike.ledger.ledger import Ledger
from bytespike.ledger.spool import Spool
from bytespike.ledger.usage_queries import every_usage, list_usage
from bytespike.media.assembly import Media, Outside, backend_of, media_parts
from bytespike.observe.logs import configure_logs
from bytespike.observe.metrics import Metrics
from bytespike.observe.pulse import pulse
from bytespike.observe.shelf import Shelf, clear
from bytespike.observe.tracing import OpenSink, Tracing
from bytespike.pipeline import life
from bytespike.pipeline.carrying import asking
from bytespike.pipeline.figures import figures_of_ledger, figures_of_pool
from bytespike.pipeline.parts import CatalogView, Limits, Parts
from bytespike.pricing.defaults import default_prices
from bytespike.protocols.registry import DIALECTS
from bytespike.providers.access_tokens import AccessTokens
from bytespike.routing.ceilings import Ceilings
from bytespike.routing.health import HealthBoard
from bytespike.settings import Settings, header_list
from bytespike.store.engine import create_engine, migrate
from bytespike.upstream.client import Client
from bytespike.upstream.fetch import FETCH_LIMITS, LOOKUPS_MAX, Fetcher
from bytespike.upstream.guard import GuardedResolver
from bytespike.upstream.limits import PoolLimits, Timeouts
from bytespike.upstream.resolver import FewLookups, SystemResolver
from bytespike.upstream.tls import client_context

log = structlog.get_logger("bytespike.app")

#: Else this module was compiled (hatch_build.py), and all that a request passes through with it.
_IS_SOURCE = str(life.__file__).endswith(".py")
#: Between two tries to write down that a channel was refused.
REFUSAL_RETRY_S = 1.0
#: How long upstream calls may take to end when everything else has.
UPSTREAM_DRAIN_SECONDS = 2.0
#: For requests that are cancelled when the process stops, to settle: so often so long.
UNWINDING_TURNS = 100
UNWINDING_TURN_S = 0.01
#: Connections that wait to be accepted.
BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Application:
    """Everything that runs, put together."""

    gateway: GatewayApp
    parts: Parts
    media: Media
    control: Control
    engine: AsyncEngine
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process stands among those that serve together. `number`: from 0; the spool goes with it. `listening`: the
    sockets that it was given; none: one of its own. `ceilings`: the memory in which they count together."""

    number: int = 0
    listening: tuple[socket.socket, ...] = ()
    ceilings: memoryview | None = None


def spool_dir(settings: Settings, number: int) -> Path:
    """The spool of a worker."""
    return settings.data_dir / (f"spool-{number}" if number else "spool")


def shelf_dir(settings: Settings) -> Path:
    """Where workers tell each other what they have counted."""
    return settings.data_dir / "metrics"


@asynccontextmanager
async def assemble(
    settings: Settings,
    worker: int = 0,
    outside: Outside | None = None,
    ceilings: memoryview | None = None,
) -> AsyncGenerator[Application]:
    """The gateway without a socket. Migrates the database, recovers the spool, and follows changes until left. `worker`:
    its number among those that share the data directory. `outside`: what tests replace. `ceilings`: the memory that it
    shares with the others.

    Raises: MasterKeyError, SpoolLocked, StoreUnavailable, SQLAlchemyError, OSError.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        engine = create_engine(settings.database_url)
        stack.push_async_callback(engine.dispose)
        await migrate(engine)
        box = await open_box(engine, settings)
        shipped = load_catalog()
        catalog = CatalogView(shipped)
        health = HealthBoard()
        directory = Directory(
            engine,
            box,
            clock,
            default_prices(shipped.models),
            shipped=shipped.models,
            keys_max=settings.key_cache_max,
            poll_s=settings.change_poll_ms / 1000,
        )
        spool = Spool(
            spool_dir(settings, worker),
            clock.monotonic_ns,
            sync_always=settings.spool_fsync_interval_ms == 0,
        )
        ledger = Ledger(
            engine,
            spool,
            clock,
            hold_age_s_max=int(settings.hold_max_age_s),
            sync_interval_ms=settings.spool_fsync_interval_ms,
            lease_term_s=settings.lease_term_s,
            low_balance=parse_usd(settings.low_balance_usd),
        )
        await ledger.start()
        stack.push_async_callback(ledger.stop)
        await directory.start()
        catalog.current = _with_own(shipped, directory.routes)
        upstream = Client(
            limits=PoolLimits(
                per_origin=settings.upstream_connections_max,
                idle_per_origin=settings.upstream_idle_max,
                idle_seconds=settings.upstream_keep_alive_s,
            ),
            tls=client_context(None if settings.ca_file is None else str(settings.ca_file)),
            turn=ledger.turn,
        )
        stack.push_async_callback(upstream.close, UPSTREAM_DRAIN_SECONDS)
        fetcher = _fetcher(settings)
        if fetcher is not None:
            stack.push_async_callback(fetcher.close, UPSTREAM_DRAIN_SECONDS)
        conversations = Conversations(engine, clock, days=settings.response_days)
        await stack.enter_async_context(_running(conversations.run()))
        refusals = _Refusals(Control(engine, box, clock), health)
        metrics = Metrics(Shelf(shelf_dir(settings), worker) if settings.workers > 1 else None)
        tracing = await stack.enter_async_context(_tracing(settings, worker))
        parts = Parts(
            tallies=metrics.tallies,
            tracing=tracing,
            credential_refused=refusals.put,
            tokens=AccessTokens(clock, asking(upstream)),
            fetcher=fetcher,
            clock=clock,
            directory=directory,
            catalog=catalog,
            ledger=ledger,
            conversations=conversations,
            health=health,
            ceilings=Ceilings(clock.monotonic_ns, ceilings, worker if ceilings is not None else 0),
            upstream=upstream,
            timeouts=Timeouts(
                connect=settings.connect_timeout_s,
                first_byte=settings.first_byte_timeout_s,
                idle=settings.idle_timeout_s,
                total=settings.total_timeout_s,
            ),
            dialects=DIALECTS,
            limits=Limits(
                attempts_max=settings.attempts_max,
                strict_protocol_matrix=settings.strict_protocol_matrix,
                body_bytes_max=settings.body_bytes_max,
                body_seconds=settings.body_timeout_s,
                answer_bytes_max=settings.answer_bytes_max,
                stream_ping_s=settings.stream_ping_s,
            ),
        )
        followers = _Followers(parts, shipped)
        directory.subscribe(followers.on_change)
        await stack.enter_async_context(_running(directory.run()))
        await stack.enter_async_context(_running(followers.run()))
        await stack.enter_async_context(_running(refusals.run()))
        control = Control(engine, box, clock)
        _observed(metrics, parts)
        await stack.enter_async_context(_running(pulse(metrics, shared=settings.workers > 1)))
        readiness = Readiness(engine, ledger, directory)
        await readiness.start()
        media = await stack.enter_async_context(media_parts(settings, engine, box, spool.id, parts, outside))
        gateway = _routes(settings, parts, media, control, metrics, engine, readiness)
        yield Application(gateway, parts, media, control, engine, metrics)


def serve(
    settings: Settings, on_ready: Callable[[str], None] | None = None, place: Place | None = None
) -> None:
    """Listen until told to stop. `on_ready` is called with the base URL once requests are answered."""
    configure_logs(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, on_ready, place or Place()))


async def prepare(settings: Settings, *, again: bool = False) -> None:
    """Make what several processes would otherwise all make at once: the data directory, the folder of objects, the
    schema, the master key. `again`: others serve here already, and go on counting.

    Raises: MasterKeyError, StoreUnavailable, SQLAlchemyError, OSError.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    backend_of(settings)
    if not again:
        # What workers of another time have counted is over.
        clear(shelf_dir(settings))
    engine = create_engine(settings.database_url)
    try:
        await migrate(engine)
        await open_box(engine, settings)
    finally:
        await engine.dispose()


async def _serve(settings: Settings, on_ready: Callable[[str], None] | None, place: Place) -> None:
    async with assemble(settings, place.number, ceilings=place.ceilings) as application:

        def announce(port: int) -> None:
            application.media.links.listening = f"http://{_reachable(settings.host)}:{port}"
            url = settings.public_base_url or application.media.links.listening
            log.info("listening", url=url, data_path="interpreted" if _IS_SOURCE else "compiled")
            if on_ready is not None:
                on_ready(url)

        runtime.settle()
        await Listener(application.gateway, settings, announce).serve(
            list(place.listening) or _bound(settings.host, settings.port)
        )


def _bound(host: str, port: int) -> list[socket.socket]:
    """What a process that serves alone listens on, one for each of the host's addresses. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    places = dict.fromkeys((family, address) for family, _, _, _, address in found)
    return [socket.create_server(address, family=family, backlog=BACKLOG) for family, address in places]


def _reachable(host: str) -> str:
    """The host part of a URL that reaches what listens on `host`: a wildcard is no address to connect to."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "[::1]" if address.version == 6 else "127.0.0.1"
    return f"[{host}]" if address.version == 6 else host


class Listener(uvicorn.Server):
    """The HTTP server. `on_listening` is called with the port once it listens."""

    def __init__(self, gateway: GatewayApp, settings: Settings, on_listening: Callable[[int], None]) -> None:
        super().__init__(
            uvicorn.Config(
                cast("Any", gateway),
                host=settings.host,
                port=settings.port,
                http=connections(gateway.turn),
                ws="none",
                loop="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_graceful_shutdown=int(settings.shutdown_grace_s),
            )
        )
        self._on_listening = on_listening
        self._readiness = gateway.readiness

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_listening(self.servers[0].sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._readiness.draining = True
        under_way = self.server_state.tasks
        log.info("stopping", under_way=len(under_way))
        await super().shutdown(sockets)
        # Told to stop at once, or past the grace: what is left settles before the loop ends.
        for each in tuple(under_way):
            each.cancel()
        for _ in range(UNWINDING_TURNS):
            if not under_way:
                break
            await asyncio.sleep(UNWINDING_TURN_S)


class _Refusals:
    """Channels whose credential an upstream refuses are disabled, with the reason, until an operator has looked. `health`
    keeps them out of this process's way in the meantime."""

    def __init__(self, control: Control, health: HealthBoard) -> None:
        self._control = control
        self._health = health
        self._found: asyncio.Queue[tuple[Channel, int]] = asyncio.Queue()

    def put(self, channel: Channel, status: int) -> None:
        log.error(
            "the upstream refuses the channel's credential",
            channel=channel.name,
            channel_id=channel.id,
            status=status,
        )
        self._found.put_nowait((channel, status))

    async def run(self) -> None:
        """Write down what was found, one after the other; a database that is away is asked again until it is back."""
        while True:
            channel, status = await self._found.get()
            while True:
                try:
                    async with self._control.writing("gateway") as write:
                        written = await channels.refused(write, channel, status)
                    break
                except SecretUnreadable:
                    written = True
                    break
                except (SQLAlchemyError, OSError, NotFound) as error:
                    log.error(
                        "a channel could not be disabled", channel=channel.name, error=type(error).__name__
                    )
                    await asyncio.sleep(REFUSAL_RETRY_S)
            if not written:
                # What was refused is not what it has now.
                self._health.reset(channel.id)


class _Followers:
    """What follows changes of the control plane besides the directory itself."""

    def __init__(self, parts: Parts, shipped: Catalog) -> None:
        self._parts = parts
        self._shipped = shipped
        self._reloads: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def on_change(self, kind: str, ref: str) -> None:
        if kind in ("wallet", "key"):
            self._reloads.put_nowait((kind, ref))
        elif kind in ("alias", "model"):
            self._parts.catalog.current = _with_own(self._shipped, self._parts.directory.routes)
        elif kind == "channel":
            known = self._parts.directory.routes.channels
            # What is held against one that is disabled holds until it is enabled; and so does what was found out since its
            # settings were asked for, of which they can know nothing.
            since_us = self._parts.directory.routes_asked_at
            if ref not in known or (known[ref].enabled and self._parts.health.of(ref).failed_at <= since_us):
                self._parts.health.reset(ref)
            there = frozenset(known)
            self._parts.health.keep(there)
            self._parts.pace.keep(there)

    async def run(self) -> None:
        """Reload what changed, one after the other; a database that is away is asked again until it is back."""
        while True:
            kind, ref = await self._reloads.get()
            while True:
                try:
                    await self._parts.ledger.reload(kind, ref)
                    break
                except (SQLAlchemyError, OSError) as error:
                    log.warning("a change could not be read", kind=kind, error=type(error).__name__)
                    await asyncio.sleep(1.0)


@asynccontextmanager
async def _running(coroutine: Coroutine[None, None, None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(coroutine)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _fetcher(settings: Settings) -> Fetcher | None:
    """What fetches users' URLs: a client of its own, confined to public addresses."""
    if not settings.fetch_urls:
        return None
    tls = client_context(None if settings.ca_file is None else str(settings.ca_file))
    resolver = GuardedResolver(FewLookups(SystemResolver(), LOOKUPS_MAX))
    return Fetcher(Client(limits=FETCH_LIMITS, tls=tls, resolver=resolver))


def _with_own(shipped: Catalog, routes: Routes) -> Catalog:
    catalog = shipped.with_overrides(routes.models, routes.aliases, routes.problems)
    for problem in catalog.problems:
        log.warning("a part of the catalog is left out", problem=problem)
    return catalog


def _observed(metrics: Metrics, parts: Parts) -> None:
    """Who has figures, and what channels are called."""

    def channel_name(channel_id: str) -> str | None:
        channel = parts.directory.routes.channels.get(channel_id)
        return None if channel is None else channel.name

    metrics.channel_name = channel_name
    metrics.add_source(partial(figures_of_ledger, parts.ledger))
    metrics.add_source(partial(figures_of_pool, parts.upstream))
    if parts.tracing is not None:
        metrics.add_source(parts.tracing.figures)


@asynccontextmanager
async def _tracing(settings: Settings, worker: int) -> AsyncGenerator[Tracing | None]:
    """None where no collector is configured. Then OpenTelemetry, which takes 16 MB, is not even imported: so it is looked
    up by name, where all else is imported at the top."""
    if settings.otlp_endpoint is None:
        yield None
        return
    open_sink = cast("OpenSink", importlib.import_module("bytespike.observe.otlp").open_sink)
    instance = f"{socket.gethostname()}/{worker}"
    sink = open_sink(settings.otlp_endpoint, header_list(settings.otlp_headers), instance)
    try:
        yield Tracing(
            sink,
            ratio=settings.trace_ratio,
            propagate=settings.trace_upstreams,
            contents=settings.trace_contents,
        )
    finally:
        await asyncio.to_thread(sink.stop)


def _routes(
    settings: Settings,
    parts: Parts,
    media: Media,
    control: Control,
    metrics: Metrics,
    engine: AsyncEngine,
    readiness: Readiness,
) -> GatewayApp:
    messages = DIALECTS["anthropic_messages"]
    chat = DIALECTS["openai_chat"]
    responses = DIALECTS["openai_responses"]
    gemini = DIALECTS["gemini"]

    def speaker(inbound: Inbound) -> Dialect:
        """A path that several dialects share: whose envelope its errors take."""
        return gemini if inbound.method == "POST" else DIALECTS[caller_dialect(inbound)]

    def prices() -> JSONObject:
        return price_list(parts.catalog.current, parts.directory.routes)

    new_id = ids.RequestIds()
    tasks = media_routes(parts, media.desk, media.store, media.links, chat)
    health = Route("health", chat, GET=healthz)
    model = Route("model", chat, speaker, GET=get_model(parts), POST=serve_generate(parts, gemini))
    return GatewayApp(
        {
            "/v1/messages": Route("messages", messages, POST=serve_text(parts, messages)),
            "/v1/messages/count_tokens": Route("count_tokens", messages, POST=serve_count(parts, messages)),
            "/v1/chat/completions": Route(
                "chat_completions", chat, POST=serve_chat(parts, media.images, chat)
            ),
            **image_routes(parts, media.images, chat),
            "/v1/responses": Route(
                "responses",
                responses,
                GET=serve_live(parts, responses, new_id, metrics),
                POST=serve_text(parts, responses),
            ),
            "/v1/models": Route("models", chat, speaker, GET=list_models(parts)),
            "/v1beta/models": Route("models", gemini, GET=list_models(parts)),
            "/v1/usage": Route(
                "usage", chat, GET=usage(parts, partial(list_usage, engine), partial(every_usage, engine))
            ),
            "/v1/balance": Route(
                "balance", chat, GET=balance(parts, partial(in_books, engine, parts.ledger.vault.books))
            ),
            "/api/pricing": Route("pricing", chat, GET=pricing(prices)),
            "/healthz": health,
            "/readyz": Route("ready", chat, GET=readyz(readiness)),
            "/metrics": Route("metrics", chat, GET=metrics_page(metrics)),
            "/": Route("hello", chat, GET=hello),
            "/api/hello": Route("hello", chat, GET=hello),
            **tasks.exact,
        },
        {
            **tasks.prefixed,
            "/v1/models/": model,
            "/v1beta/models/": model,
            "/v1alpha/models/": model,
            "/v1/responses/": Route(
                "response",
                responses,
                GET=get_response(parts),
                DELETE=delete_response(parts),
                POST=cancel_response(parts),
            ),
        },
        fallback=Route("absent", chat, GET=absent, POST=absent, PUT=absent, DELETE=absent, PATCH=absent),
        management=create_management_app(parts, control, settings),
        ledger=parts.ledger,
        addresses=Addresses(settings.trusted_proxies),
        metrics=metrics,
        limits=parts.limits,
        new_id=new_id,
        readiness=readiness,
        tracing=parts.tracing,
    )
