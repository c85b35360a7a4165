"""`bytespike usage attempts`: which channels a request was sent to, why, and what came of it."""

from __future__ import annotations

from typing import Annotated

import typer

from bytespike.cli.answer import Answer, listing
from bytespike.cli.command import command
from bytespike.cli.desk import Desk
from bytespike.cli.usage import usage
from bytespike.core.json_types import JSONObject
from bytespike.errors import NotFound
from bytespike.http.moments import moment
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.usage_queries import AttemptRow, attempts_of, is_known
from bytespike.store import channels as stored

COLUMNS = ("ordinal", "channel", "reason", "status", "outcome", "error", "latency_ms", "passed_over")


@command(usage, "attempts", epilog="Example: bytespike usage attempts req_01M7ZBQ3NVXT1828QJ9AH8E2SP")
async def list_attempts(
    desk: Desk,
    request_id: Annotated[
        str, typer.Argument(metavar="REQUEST", help="The id in the answer's `request-id` header.")
    ],
) -> Answer:
    """List the upstream calls of one request, in order: why each channel was asked, who was passed over, what came of it. Those of a task
    are listed once it is over."""
    async with desk.reading() as connection:
        names = {row.id: row.name for row in await stored.listing(connection)}
    rows = await attempts_of(desk.engine, request_id)
    if not rows and not await is_known(desk.engine, request_id):
        raise NotFound(
            f"there is no request {request_id[:60]!r} in the books. One that was refused before an upstream was asked leaves nothing, "
            "and one that ended within the last second may not be there yet"
        )
    return listing([_shown(row, names) for row in rows], COLUMNS)


def _shown(row: AttemptRow, names: dict[str, str]) -> JSONObject:
    passed = [each.rpartition(":") for each in row.passed_over.split()]
    return {
        "request_id": row.request_id,
        "ordinal": row.ordinal,
        "at": moment(row.at),
        "channel_id": row.channel_id,
        "channel": names.get(row.channel_id, row.channel_id),
        "upstream_provider": row.upstream_provider,
        "upstream_model": row.upstream_model,
        "reason": row.reason,
        "passed_over": [f"{names.get(channel_id, channel_id)}: {why}" for channel_id, _, why in passed],
        "status": row.status,
        "outcome": row.outcome,
        "error": row.error,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost": format_usd(row.cost),
        "latency_ms": row.latency_ms,
        "first_token_ms": row.first_token_ms,
    }
