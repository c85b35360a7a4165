"""Submitting a task to its provider, once.

    claimed ── begin ──► submit_begun ── call ──► accepted: poll
       ▲                      │            ├────► refused for good: settle
       │                      │            ├────► surely not taken: submit_begun goes, later or elsewhere again
       └──────────────────────┼────────────┘
                              └── nobody knows ──► look for it (`find`) ──► it is there: poll
                                                                      └──► it never came: later again
                                                                      └──► cannot be looked for: settle, as failed

`begin` is a transaction for all submissions of a batch, because it is also where a channel's room is counted: exactly, in
all processes, for on PostgreSQL it is done by one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
from msgspec import Struct, convert, to_builtins
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.catalog.models import Model
from bytespike.core.usage import NO_USAGE
from bytespike.errors import (
    GatewayError,
    InvalidRequest,
    NoAvailableChannel,
    UnsupportedFeature,
    UpstreamError,
)
from bytespike.ledger.records import Attempt
from bytespike.media.adapter import Render, RenderAdapter, UpstreamCall
from bytespike.media.order import Order
from bytespike.media.tasks import claims
from bytespike.media.tasks.calling import CallFailed, asked
from bytespike.media.tasks.channels import Way, resting, ways
from bytespike.media.tasks.claims import Claim
from bytespike.media.tasks.endings import cancelled, failed, over
from bytespike.media.tasks.fetching import FetchFailed, store_images
from bytespike.media.tasks.pacing import micros, next_poll_us, retry_us
from bytespike.media.tasks.parts import TaskParts
from bytespike.media.tasks.writing import Writer, changed_row
from bytespike.routing.ceilings import NO_ROOM
from bytespike.store.media_tables import task_pictures, tasks
from bytespike.upstream.failures import noted

log = structlog.get_logger("bytespike.media")

#: A submission that fails so often in a row, other than by 429, fails the task.
FAILURES_MAX: Final = 20
#: Attempts that are kept of one task.
ATTEMPTS_MAX: Final = 50
_RATE_LIMITED: Final = 429
_OK: Final = 200
#: An arbitrary number that only beginnings of submissions lock.
_TURN: Final = 7_302_118_451


class Begun(Struct, frozen=True):
    """A submission that may be sent now."""

    claim: Claim
    way: Way
    model: Model
    order: Order
    attempts: tuple[Attempt, ...]


async def begin(parts: TaskParts, writer: Writer, claimed: Sequence[Claim]) -> list[Begun]:
    """Choose channels with room, and commit that submissions begin. Those for which there is none look again later; those
    whose model nobody makes any more fail. Raises SQLAlchemyError, OSError."""
    chosen: list[tuple[Claim, Model, list[Way]]] = []
    for claim in claimed:
        model = model_of(parts, claim.model)
        found = [] if model is None else ways(parts, claim.group_id, model)
        if model is not None and found:
            chosen.append((claim, model, found))
        elif model is not None and (rest := resting(parts, claim.group_id, model)):
            # They rest. Nothing has failed yet.
            now_us = parts.clock.now_us()
            seconds = parts.health.retry_after_s((way.channel.id for way in rest), now_us)
            writer.reschedule(claim, retry_us(parts.pace, 1, now_us, seconds), claim.failures)
        elif claim.failures >= FAILURES_MAX:
            await failed(writer, claim, NoAvailableChannel("no channel could make it"))
        else:
            failures = claim.failures + 1
            writer.reschedule(claim, retry_us(parts.pace, failures, parts.clock.now_us()), failures)
    if not chosen:
        return []
    begun: list[Begun] = []
    for claim, _, _ in chosen:
        parts.reached("submit", claim.id)
    async with parts.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": _TURN})
        taken = await claims.under_way(connection)
        orders = await _orders(connection, [claim.id for claim, _, _ in chosen])
        for claim, model, found in chosen:
            begun_one = await _begin_one(parts, connection, claim, model, found, taken, orders)
            if begun_one is not None:
                begun.append(begun_one)
    held = {each.claim.id for each in begun}
    for claim, _, _ in chosen:
        if claim.id not in held:
            writer.reschedule(claim, parts.clock.now_us() + micros(parts.pace.full_s), claim.failures)
    return begun


async def _begin_one(
    parts: TaskParts,
    connection: AsyncConnection,
    claim: Claim,
    model: Model,
    found: list[Way],
    taken: dict[str, int],
    orders: dict[str, tuple[Order, tuple[Attempt, ...]]],
) -> Begun | None:
    if claim.id not in orders:
        return None
    way = next((each for each in found if _has_room(parts, each, taken)), None)
    if way is None:
        return None
    now_us = parts.clock.now_us()
    fields = {
        "submit_begun": True,
        "begun_at": now_us,
        "channel_id": way.channel.id,
        "upstream_provider": way.channel.platform,
        "upstream_model": way.channel.models[model.slug].upstream_model,
    }
    if not await changed_row(connection, claim, now_us, fields):
        return None
    taken[way.channel.id] = taken.get(way.channel.id, 0) + 1
    order, attempts = orders[claim.id]
    return Begun(claim, way, model, order, attempts)


def _has_room(parts: TaskParts, way: Way, taken: dict[str, int]) -> bool:
    """Among the renders under way, and, as the last question, in the requests a minute that its account allows: they count
    one more then."""
    channel = way.channel
    if taken.get(channel.id, 0) >= parts.limits.renders_per_channel_max:
        return False
    return channel.rpm is None or parts.ceilings.claim(channel, 0) != NO_ROOM


async def submit(parts: TaskParts, writer: Writer, begun: Begun) -> None:
    """Make the call, and write what came of it."""
    claim, way = begun.claim, begun.way
    parts.reached("submit_begun", claim.id)
    started_ns = parts.clock.monotonic_ns()
    probing = parts.health.begin(way.channel.id, way.channel.weight) and parts.health.probe(
        way.channel.id, parts.clock.now_us()
    )
    try:
        if begun.model.kind == "image":
            await _make_images(parts, writer, begun, started_ns)
        else:
            render = await _call(parts, begun)
            parts.reached("submit_answered", claim.id)
            parts.health.note_success(way.channel.id)
            attempt = attempt_of(parts, begun, started_ns, 200, "completed")
            await accepted(parts, writer, claim, way, render, kept(begun.attempts, attempt))
            parts.reached("submit_written", claim.id)
    except CallFailed as error:
        await _failed(parts, writer, begun, error, started_ns)
    except FetchFailed as error:
        # Images that nobody else has, and that could not be kept.
        await failed(writer, claim, error.error)
    finally:
        parts.health.end(way.channel.id, probe=probing)


async def _call(parts: TaskParts, begun: Begun) -> Render:
    adapter = parts.renderers[begun.way.surface]
    upstream_model = begun.way.channel.models[begun.model.slug].upstream_model
    try:
        call = await _written(parts, adapter, begun, upstream_model)
    except GatewayError as error:
        raise CallFailed(error, about="request", refused=True) from error
    return await asked(
        parts,
        adapter,
        begun.way,
        call,
        adapter.submitted,
        parts.pace.submit_timeout_s,
        once=True,
    )


async def _written(
    parts: TaskParts, adapter: RenderAdapter, begun: Begun, upstream_model: str
) -> UpstreamCall:
    """The submission. A provider that takes pictures inline only gets those that were given by URL so. Raises GatewayError."""
    try:
        return adapter.submit(begun.order, upstream_model, begun.claim.id)
    except UnsupportedFeature as error:
        if error.by_url != "image" or parts.images is None:
            raise
    order = await parts.images.inlined(begun.order, begun.way.endpoint.proxy)
    return adapter.submit(order, upstream_model, begun.claim.id)


async def _make_images(parts: TaskParts, writer: Writer, begun: Begun, started_ns: int) -> None:
    assert parts.images is not None, "an image task began that nobody can make"
    made = await parts.images.make(begun.way.channel, begun.way.endpoint, begun.model, begun.order)
    parts.reached("submit_answered", begun.claim.id)
    parts.health.note_success(begun.way.channel.id)
    if not made:
        raise CallFailed(
            UpstreamError("the upstream made no image"), about="upstream", refused=False, status=200
        )
    output = await store_images(parts, begun.claim, made)
    attempt = attempt_of(parts, begun, started_ns, 200, "completed")
    now_us = parts.clock.now_us()
    await writer.change(
        begun.claim,
        state="running",
        step="settle",
        ending="completed",
        output=to_builtins(output),
        attempts=to_builtins(kept(begun.attempts, attempt)),
        started_at=begun.claim.begun_at or begun.claim.created_at,
        due_at=now_us,
        failures=0,
    )


async def accepted(
    parts: TaskParts,
    writer: Writer,
    claim: Claim,
    way: Way,
    render: Render,
    attempts: tuple[Attempt, ...] | None = None,
) -> None:
    """The provider has it, and calls it `render.upstream_id`."""
    now_us = parts.clock.now_us()
    fields: dict[str, object] = {
        "upstream_id": render.upstream_id or None,
        "state": "pending" if render.state == "queued" else "running",
        "started_at": now_us,
        "failures": 0,
    }
    if render.progress is not None:
        fields["progress"] = render.progress
    if attempts is not None:
        fields["attempts"] = to_builtins(attempts)
    if await over(parts, writer, claim, way, render, fields):
        return
    due_at = next_poll_us(parts.pace, claim.id, claim.estimated_seconds, now_us, now_us, render.retry_after)
    if fields["state"] == claim.state:
        del fields["state"]
    await writer.change(claim, step="poll", due_at=due_at, **fields)


async def _failed(parts: TaskParts, writer: Writer, begun: Begun, error: CallFailed, started_ns: int) -> None:
    claim, channel = begun.claim, begun.way.channel
    now_us = parts.clock.now_us()
    name = noted(error.error, error.about, error.status)
    log.warning(
        "a render could not be submitted",
        task_id=claim.id,
        channel=channel.name,
        status=error.status,
        error=name,
        cause=error.cause,
    )
    if error.about != "request" and parts.health.note_failure(
        channel.id, error.about, error.status, error.retry_after, now_us
    ):
        parts.credential_refused(channel, error.status)
    attempt = attempt_of(parts, begun, started_ns, error.status, "failed", name)
    attempts = to_builtins(kept(begun.attempts, attempt))
    if not error.refused:
        # Nobody knows whether it arrived. It is looked for, if that can be done, and never sent again on a guess.
        due_at = now_us + micros(parts.pace.reconcile_pause_s)
        if not _searchable(parts, begun.way, claim.id):
            due_at = now_us
        await writer.change(claim, attempts=attempts, due_at=due_at, failures=0)
        return
    failures = claim.failures + 1
    if error.about == "request" or (failures >= FAILURES_MAX and error.status != _RATE_LIMITED):
        await failed(writer, claim, error.error, attempts=attempts)
        return
    # Another channel can be asked at once; this one rests.
    elsewhere = any(way.channel.id != channel.id for way in ways(parts, claim.group_id, begun.model))
    due_at = now_us if elsewhere else retry_us(parts.pace, failures, now_us, error.retry_after)
    await writer.change(
        claim, submit_begun=False, begun_at=None, attempts=attempts, due_at=due_at, failures=failures
    )


async def unsubmitted(parts: TaskParts, writer: Writer, claim: Claim) -> bool:
    """Whether it ends before it was submitted: somebody asked for that, or its time is over."""
    if claim.cancel_asked and not claim.submit_begun:
        await cancelled(writer, claim, billed=False)
        return True
    return False


def _searchable(parts: TaskParts, way: Way, task_id: str) -> bool:
    adapter = parts.renderers.get(way.surface)
    return adapter is not None and adapter.find(task_id) is not None


def model_of(parts: TaskParts, slug: str) -> Model | None:
    """None: the operator has taken it away since."""
    try:
        return parts.catalog.current.resolve(slug).model
    except InvalidRequest:
        return None
    except GatewayError:
        return None


def attempt_of(
    parts: TaskParts, begun: Begun, started_ns: int, status: int, outcome: str, error: str = ""
) -> Attempt:
    """A submission, for the books. What it costs is known when the task is over."""
    entry = begun.way.channel.models[begun.model.slug]
    return Attempt(
        request_id=begun.claim.id,
        ordinal=len(begun.attempts),
        at=parts.clock.now_us(),
        channel_id=begun.way.channel.id,
        upstream_provider=begun.way.channel.platform,
        upstream_model=entry.upstream_model,
        status=status,
        outcome=outcome,
        error=error,
        input_tokens=NO_USAGE.input,
        output_tokens=NO_USAGE.output,
        latency_ms=(parts.clock.monotonic_ns() - started_ns) // 1_000_000,
    )


def kept(attempts: tuple[Attempt, ...], attempt: Attempt) -> tuple[Attempt, ...]:
    """With one more. Of very many the first and the newest are kept."""
    return (*attempts[: ATTEMPTS_MAX - 1], attempt)


async def _orders(
    connection: AsyncConnection, ids: list[str]
) -> dict[str, tuple[Order, tuple[Attempt, ...]]]:
    """Each with its pictures, and the attempts so far."""
    query = (
        select(tasks.c.id, tasks.c.order, task_pictures.c.pictures, tasks.c.attempts)
        .outerjoin(task_pictures, task_pictures.c.task_id == tasks.c.id)
        .where(tasks.c.id.in_(ids))
    )
    return {
        id: (
            convert({**order, "pictures": pictures or ()}, Order),
            convert(attempts, tuple[Attempt, ...]),
        )
        for id, order, pictures, attempts in await connection.execute(query)
    }
