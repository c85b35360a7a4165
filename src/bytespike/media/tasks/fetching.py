"""Results on their way from the provider to the object store: in pieces, within bounds, never held whole."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog
from msgspec import convert, to_builtins
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from bytespike.errors import GatewayError, InternalError, UpstreamError
from bytespike.media.adapter import Made
from bytespike.media.objects.backends import StoreUnavailable
from bytespike.media.objects.store import ObjectTooLarge, Stored
from bytespike.media.tasks.calling import answered, failed_transport
from bytespike.media.tasks.channels import Way
from bytespike.media.tasks.claims import Claim
from bytespike.media.tasks.pacing import retry_us
from bytespike.media.tasks.parts import Image, TaskParts
from bytespike.media.tasks.record import Found, Piece
from bytespike.media.tasks.writing import Writer
from bytespike.store.engine import reading
from bytespike.store.media_tables import tasks
from bytespike.upstream.answer import Answer
from bytespike.upstream.errors import TransportError
from bytespike.upstream.limits import Timeouts

log = structlog.get_logger("bytespike.media")

#: A fetch that fails so often in a row fails the task.
FETCH_FAILURES_MAX: Final = 8
#: How often bytes that nobody else has are offered to the object store.
_STORE_TRIES: Final = 3
#: Base64 characters that are decoded at once: a multiple of four.
_BASE64_CHARS: Final = 1024 * 1024
_GONE: Final = frozenset({404, 410})


class FetchFailed(Exception):
    """A result that could not be kept. `error`: what the task says if that stays so. `retry`: it may go better next time."""

    def __init__(self, error: GatewayError, *, retry: bool, cause: str = "") -> None:
        super().__init__(error.message)
        self.error = error
        self.retry = retry
        self.cause = cause


async def fetch(parts: TaskParts, writer: Writer, claim: Claim, way: Way | None) -> FetchFailed | None:
    """Get what the provider has made; None: it is written, and settlement is next. `way`: the task's channel, if it is
    there still. Raises SQLAlchemyError, OSError."""
    if way is None:
        return FetchFailed(UpstreamError("the channel that made it is gone"), retry=True)
    parts.reached("fetch", claim.id)
    async with reading(parts.engine) as connection:
        row = await connection.execute(select(tasks.c.found).where(tasks.c.id == claim.id))
        found = convert(row.scalar_one(), Found)
    try:
        output = [await _fetched(parts, claim, way, made) for made in found.made]
    except FetchFailed as error:
        return error
    parts.reached("fetched", claim.id)
    await writer.change(
        claim,
        output=to_builtins(output),
        ending="completed",
        step="settle",
        due_at=parts.clock.now_us(),
        failures=0,
    )
    return None


async def fetch_again(writer: Writer, parts: TaskParts, claim: Claim, error: FetchFailed) -> bool:
    """Whether there is another try, which is then written."""
    log.warning("a result could not be fetched", task_id=claim.id, error=error.error.code, cause=error.cause)
    failures = claim.failures + 1
    if not error.retry or failures >= FETCH_FAILURES_MAX:
        return False
    writer.reschedule(claim, retry_us(parts.pace, failures, parts.clock.now_us()), failures)
    return True


async def store_inline(parts: TaskParts, claim: Claim, way: Way, made: Sequence[Made]) -> list[Piece]:
    """Keep what an answer brought along, and fetch the rest. Raises FetchFailed."""
    output: list[Piece] = []
    for each in made:
        if each.data:
            output.append(await _kept(parts, claim, _decoded(each.data)))
        else:
            output.append(await _fetched(parts, claim, way, each))
    return output


async def store_images(parts: TaskParts, claim: Claim, images: Sequence[Image]) -> list[Piece]:
    """Keep images that came with the answer of a submission: nobody else has them. Raises FetchFailed."""
    output: list[Piece] = []
    for image in images:
        for left in reversed(range(_STORE_TRIES)):
            try:
                output.append(await _kept(parts, claim, _whole(image.data)))
                break
            except FetchFailed as error:
                if not left or not error.retry:
                    raise
                await asyncio.sleep(parts.pace.retry_s_min)
    return output


async def _fetched(parts: TaskParts, claim: Claim, way: Way, made: Made) -> Piece:
    if made.call is None:
        raise FetchFailed(UpstreamError("the upstream did not say where its result is"), retry=False)
    timeouts = Timeouts(
        first_byte=parts.pace.fetch_idle_s, idle=parts.pace.fetch_idle_s, total=parts.pace.fetch_timeout_s
    )
    try:
        async with answered(parts, way, made.call, timeouts) as answer:
            if answer.status != 200:
                error = UpstreamError(f"the upstream answered {answer.status} for its result")
                raise FetchFailed(error, retry=answer.status not in _GONE)
            parts.reached("fetch_begun", claim.id)
            return await _kept(parts, claim, _pieces(answer))
    except TransportError as error:
        raise FetchFailed(failed_transport(error).error, retry=True, cause=error.message) from None
    except ValueError as error:
        raise FetchFailed(UpstreamError("the upstream's URL of its result is none"), retry=False) from error


async def _kept(parts: TaskParts, claim: Claim, chunks: AsyncIterator[bytes]) -> Piece:
    try:
        stored = await parts.store.put(
            chunks, key_id=claim.key_id, task_id=claim.id, bytes_max=parts.limits.result_bytes_max
        )
    except ObjectTooLarge:
        limit = parts.limits.result_bytes_max
        raise FetchFailed(UpstreamError(f"the result has more than {limit} bytes"), retry=False) from None
    except (StoreUnavailable, SQLAlchemyError, OSError) as error:
        cause = f"{type(error).__name__}: {str(error)[:200]}"
        raise FetchFailed(InternalError("the result could not be stored"), retry=True, cause=cause) from error
    return piece_of(stored)


def piece_of(stored: Stored) -> Piece:
    return Piece(
        id=stored.id,
        content_type=stored.content_type,
        bytes=stored.bytes,
        expires_at=stored.expires_at,
        width=stored.width,
        height=stored.height,
        duration_seconds=stored.duration_seconds,
    )


async def _pieces(answer: Answer) -> AsyncIterator[bytes]:
    while chunk := await answer.next_chunk():
        yield chunk


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _decoded(text: str) -> AsyncIterator[bytes]:
    for start in range(0, len(text), _BASE64_CHARS):
        try:
            yield base64.b64decode(text[start : start + _BASE64_CHARS], validate=True)
        except binascii.Error:
            raise FetchFailed(UpstreamError("the upstream's result is no base64"), retry=False) from None
