"""Asking a provider how a render is doing, and telling it that nobody wants it any more."""

from __future__ import annotations

from typing import Final

import structlog

from bytespike.errors import UpstreamError, UpstreamTimeout
from bytespike.media.tasks.calling import CallFailed, asked
from bytespike.media.tasks.channels import Way
from bytespike.media.tasks.claims import Claim
from bytespike.media.tasks.endings import cancelled, failed, over
from bytespike.media.tasks.pacing import micros, next_poll_us, retry_us
from bytespike.media.tasks.parts import TaskParts
from bytespike.media.tasks.writing import Writer

log = structlog.get_logger("bytespike.media")

#: So many times in a row a provider says that it does not know a render, until that is believed.
UNKNOWN_MAX: Final = 3
#: So many times in a row the channel is not there, until it is believed that it stays away.
GONE_MAX: Final = 5
_UNKNOWN: Final = frozenset({404, 410})


async def poll(parts: TaskParts, writer: Writer, claim: Claim, way: Way | None) -> None:
    """One poll, or one cancellation. `way`: the task's channel, if it is there still."""
    if way is None or claim.upstream_id is None:
        await _gone(parts, writer, claim)
        return
    adapter = parts.renderers[way.surface]
    parts.reached("poll", claim.id)
    try:
        call = adapter.poll(claim.upstream_id)
        render = await asked(parts, adapter, way, call, adapter.polled, parts.pace.call_timeout_s)
    except CallFailed as error:
        await _failed(parts, writer, claim, way, error)
        return
    parts.reached("poll_answered", claim.id)
    fields: dict[str, object] = {}
    if render.progress is not None and render.progress > claim.progress:
        fields["progress"] = render.progress
    if await over(parts, writer, claim, way, render, fields):
        return
    if claim.cancel_asked:
        # Only now: of what is over already some providers would forget the result, and have charged for it.
        await _cancel(parts, writer, claim, way, claim.upstream_id)
        return
    now_us = parts.clock.now_us()
    started_at = claim.started_at or claim.created_at
    due_at = next_poll_us(
        parts.pace, claim.id, claim.estimated_seconds, started_at, now_us, render.retry_after
    )
    if claim.state == "pending" and render.state == "running":
        await writer.change(claim, state="running", due_at=due_at, failures=0, **fields)
    elif fields:
        writer.progress(claim, max(render.progress or 0, claim.progress), due_at)
    else:
        writer.reschedule(claim, due_at)


async def _gone(parts: TaskParts, writer: Writer, claim: Claim) -> None:
    """Its channel was removed, or its model was: nobody can ask for it any more, so it costs its owner nothing. A model may
    be on its way back, and this process behind with the news."""
    if claim.cancel_asked:
        await cancelled(writer, claim, billed=False)
        return
    failures = claim.failures + 1
    if failures >= GONE_MAX:
        log.error("the channel of a render was removed", task_id=claim.id, channel_id=claim.channel_id)
        await failed(writer, claim, UpstreamError("the channel that it was submitted to has been removed"))
        return
    writer.reschedule(claim, retry_us(parts.pace, failures, parts.clock.now_us()), failures)


async def _failed(parts: TaskParts, writer: Writer, claim: Claim, way: Way, error: CallFailed) -> None:
    """A poll that came to nothing is repeated: the render goes on meanwhile."""
    now_us = parts.clock.now_us()
    if parts.health.note_failure(way.channel.id, error.about, error.status, error.retry_after, now_us):
        parts.credential_refused(way.channel, error.status)
    failures = claim.failures + 1
    if error.status in _UNKNOWN and failures >= UNKNOWN_MAX:
        await failed(writer, claim, UpstreamError("the provider does not know the render any more"))
        return
    log.warning(
        "a render could not be asked for",
        task_id=claim.id,
        channel=way.channel.name,
        status=error.status,
        error=error.error.code,
        cause=error.cause,
    )
    writer.reschedule(claim, retry_us(parts.pace, failures, now_us, error.retry_after), failures)


async def _cancel(parts: TaskParts, writer: Writer, claim: Claim, way: Way, upstream_id: str) -> None:
    """Of a render that goes on."""
    adapter = parts.renderers[way.surface]
    call = adapter.cancel(upstream_id)
    if call is None:
        # It goes on there, and will be charged for.
        await cancelled(writer, claim, billed=True)
        return
    now_us = parts.clock.now_us()
    try:
        render = await asked(parts, adapter, way, call, adapter.cancelled, parts.pace.call_timeout_s)
    except CallFailed as error:
        failures = claim.failures + 1
        if error.refused and error.about == "request":
            # Too late, or not while it runs: it is delivered then.
            await writer.change(claim, cancel_asked=False, due_at=now_us, failures=0)
        else:
            writer.reschedule(claim, retry_us(parts.pace, failures, now_us, error.retry_after), failures)
        return
    parts.reached("cancelled", claim.id)
    if render.state == "failed":
        await cancelled(writer, claim, billed=False)
    elif not await over(parts, writer, claim, way, render, {}):
        # It will end in a moment.
        writer.reschedule(claim, now_us + micros(parts.pace.poll_s_min))


async def expire(parts: TaskParts, writer: Writer, claim: Claim, way: Way | None) -> None:
    """Its time is over. The provider is told, but not waited for."""
    if way is not None and claim.upstream_id is not None:
        adapter = parts.renderers.get(way.surface)
        call = None if adapter is None else adapter.cancel(claim.upstream_id)
        if adapter is not None and call is not None:
            try:
                await asked(parts, adapter, way, call, adapter.cancelled, parts.pace.call_timeout_s)
            except CallFailed as error:
                log.info("an expired render could not be cancelled", task_id=claim.id, error=error.error.code)
    await failed(writer, claim, UpstreamTimeout("it was not finished in time"))
