"""From what ends a task to the settle step: each says what it will be, and lets settlement do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import to_builtins

from bytespike.errors import GatewayError
from bytespike.media.adapter import Render
from bytespike.media.tasks.channels import Way
from bytespike.media.tasks.claims import Claim
from bytespike.media.tasks.fetching import FETCH_FAILURES_MAX, FetchFailed, store_inline
from bytespike.media.tasks.pacing import retry_us
from bytespike.media.tasks.parts import TaskParts
from bytespike.media.tasks.record import Found, storable
from bytespike.media.tasks.writing import Writer

#: Of an error message that a task shows.
MESSAGE_CHARS_MAX: Final = 2000
_NOTHING_MADE: Final = "the upstream completed it and made nothing"


async def failed(writer: Writer, claim: Claim, error: GatewayError, **fields: object) -> None:
    """It fails, and costs nothing."""
    await _to_settlement(writer, claim, "failed", error.code, error.message, fields)


async def cancelled(writer: Writer, claim: Claim, *, billed: bool) -> None:
    """It ends as it was asked to. `billed`: the provider charges for it all the same."""
    await _to_settlement(writer, claim, "cancelled", "", "", {"found": to_builtins(Found(billed=billed))})


async def over(
    parts: TaskParts,
    writer: Writer,
    claim: Claim,
    way: Way,
    render: Render,
    fields: Mapping[str, object],
) -> bool:
    """Where the provider says that a render is over: write it, with the other `fields`; False: it goes on."""
    now_us = parts.clock.now_us()
    if render.state == "failed":
        code, message = render.error_code or "upstream_error", render.error_message
        await _to_settlement(writer, claim, "failed", code, message, fields)
        return True
    if render.state == "cancelled":
        found = to_builtins(Found(billed=render.billed))
        await _to_settlement(writer, claim, "cancelled", "", "", {**fields, "found": found})
        return True
    if render.state != "completed":
        return False
    if claim.state == "pending":
        fields = {**fields, "state": "running"}
    if not render.made:
        await _to_settlement(writer, claim, "failed", "upstream_error", _NOTHING_MADE, fields)
        return True
    found = Found(render.made, render.billed, render.seconds)
    if not any(made.data for made in render.made):
        fields = {**fields, "found": to_builtins(found), "step": "fetch", "due_at": now_us, "failures": 0}
        await writer.change(claim, **fields)
        return True
    # The answer has the bytes in it: they go where they belong now, and not into the row.
    try:
        output = await store_inline(parts, claim, way, found.made)
    except FetchFailed as error:
        failures = claim.failures + 1
        if error.retry and failures < FETCH_FAILURES_MAX:
            # The provider has it still: it is asked again.
            again = {"step": "poll", "due_at": retry_us(parts.pace, failures, now_us), "failures": failures}
            await writer.change(claim, **{**fields, **again})
        else:
            await _to_settlement(writer, claim, "failed", error.error.code, error.error.message, fields)
        return True
    found = Found((), render.billed, render.seconds)
    await writer.change(
        claim,
        **{
            **fields,
            "found": to_builtins(found),
            "output": to_builtins(output),
            "ending": "completed",
            "step": "settle",
            "due_at": now_us,
            "failures": 0,
        },
    )
    return True


async def _to_settlement(
    writer: Writer, claim: Claim, ending: str, code: str, message: str, fields: Mapping[str, object]
) -> None:
    await writer.change(
        claim,
        **{
            **fields,
            "ending": ending,
            "error_code": storable(code),
            "error_message": storable(message[:MESSAGE_CHARS_MAX]),
            "step": "settle",
            "due_at": writer.now_us(),
            "failures": 0,
        },
    )
