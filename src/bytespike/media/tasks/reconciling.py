"""What became of a submission of which nobody knows: the provider is asked, and the call is never repeated on a guess.

The worker that made it died, or got no answer. Found at the provider, the task goes on; not found once nothing can be under
way any more, it never arrived; where a provider keeps no list, the task fails and costs nothing.
"""

from __future__ import annotations

from typing import Final

from msgspec import convert, structs
from sqlalchemy import select

from bytespike.errors import UpstreamError
from bytespike.ledger.records import Attempt
from bytespike.media.adapter import Render, RenderAdapter
from bytespike.media.tasks.calling import CallFailed, asked
from bytespike.media.tasks.channels import Way, way_back
from bytespike.media.tasks.claims import Claim
from bytespike.media.tasks.endings import failed
from bytespike.media.tasks.pacing import micros, retry_us
from bytespike.media.tasks.parts import TaskParts
from bytespike.media.tasks.submission import accepted, kept, model_of
from bytespike.media.tasks.writing import Writer
from bytespike.store.engine import reading
from bytespike.store.media_tables import tasks

_OK: Final = 200


async def reconcile(parts: TaskParts, writer: Writer, claim: Claim) -> None:
    """A submission began, and nobody knows what became of it."""
    way = way_back(parts, claim.channel_id, model_of(parts, claim.model))
    adapter: RenderAdapter | None = None if way is None else parts.renderers.get(way.surface)
    call = None if adapter is None else adapter.find(claim.id)
    if way is None or adapter is None or call is None:
        await failed(
            writer,
            claim,
            UpstreamError("the provider did not confirm the submission, so it was not repeated; try again"),
        )
        return

    def found(body: bytes) -> Render | None:
        return adapter.found(body, claim.id)

    now_us = parts.clock.now_us()
    try:
        render = await asked(parts, adapter, way, call, found, parts.pace.call_timeout_s)
    except CallFailed as error:
        failures = claim.failures + 1
        writer.reschedule(claim, retry_us(parts.pace, failures, now_us, error.retry_after), failures)
        return
    if render is not None:
        attempts = await _told_after_all(parts, claim, way)
        await accepted(parts, writer, claim, way, render, attempts)
        return
    gone_at = (claim.begun_at or 0) + micros(parts.pace.reconcile_after_s)
    if now_us < gone_at:
        pause = micros(parts.pace.reconcile_pause_s)
        writer.reschedule(claim, min(gone_at, now_us + pause))
        return
    await writer.change(claim, submit_begun=False, begun_at=None, due_at=now_us, failures=0)


async def _told_after_all(parts: TaskParts, claim: Claim, way: Way) -> tuple[Attempt, ...]:
    """The attempts of a task whose last submission has arrived, as it turns out: what was written of that, if anything was,
    said that it failed. Raises SQLAlchemyError, OSError."""
    async with reading(parts.engine) as connection:
        found = await connection.execute(select(tasks.c.attempts).where(tasks.c.id == claim.id))
        attempts = convert(found.scalar_one(), tuple[Attempt, ...])
    if attempts and attempts[-1].at >= (claim.begun_at or 0):
        last = structs.replace(attempts[-1], outcome="completed", error="")
        return (*attempts[:-1], last)
    attempt = Attempt(
        request_id=claim.id,
        ordinal=len(attempts),
        at=parts.clock.now_us(),
        channel_id=way.channel.id,
        upstream_provider=way.channel.platform,
        upstream_model=claim.upstream_model,
        status=_OK,
        outcome="completed",
    )
    return kept(attempts, attempt)
