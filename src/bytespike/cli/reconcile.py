"""`bytespike reconcile`: what providers will charge, to be held against their invoices."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from bytespike.accounts import channels
from bytespike.cli.answer import Answer, listing
from bytespike.cli.command import command
from bytespike.cli.desk import Desk
from bytespike.cli.options import time_us
from bytespike.core.json_types import JSON
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.reconciliation import Charge, ChargeFilter, charges


class By(StrEnum):
    """What time is divided into."""

    whole = "whole"
    day = "day"
    month = "month"


def add_to(app: typer.Typer) -> None:
    """Declare the command on the program itself: it is no group."""
    command(
        app,
        "reconcile",
        epilog="Example: bytespike reconcile --provider anthropic --from 2026-11-01 --to 2026-12-01 --by month --json",
    )(reconcile)


async def reconcile(
    desk: Desk,
    begin: Annotated[str, typer.Option("--from", help="From this time on (ISO 8601, UTC).")],
    end: Annotated[
        str | None, typer.Option("--to", help="Before this time; left out, now.", show_default=False)
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help="Only this platform: anthropic, openai, gemini, …")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only this channel: its id or name.")] = None,
    by: Annotated[By, typer.Option(help="Divide the time, in UTC.")] = By.whole,
    by_channel: Annotated[
        bool, typer.Option("--by-channel", help="Each channel by itself: an invoice is one account's.")
    ] = False,
) -> Answer:
    """Add up what providers will charge: every upstream call, failed ones too, by provider and model.

    The cost is each call's tokens, images and seconds of video at its channel's price, in USD, before any group's multiplier."""
    channel_id: str | None = None
    if channel is not None:
        async with desk.reading() as connection:
            channel_id = (await channels.find(connection, channel)).channel.id
    until = time_us(end, "--to")
    wanted = ChargeFilter(
        since=time_us(begin, "--from") or 0,
        until=desk.control.clock.now_us() if until is None else until,
        provider=provider,
        channel_id=channel_id,
    )
    found = await charges(desk.engine, wanted, by=by.value, by_channel=by_channel)
    columns = (
        "provider",
        *(["period"] if by is not By.whole else []),
        "model",
        *(["channel_id"] if by_channel else []),
        "attempts",
        "failed",
        "input_tokens",
        "output_tokens",
        "images",
        "seconds",
        "cost",
    )
    cost = sum(each.cost for each in found)
    count = sum(each.attempts for each in found)
    answer = listing(
        [_shown(each) for each in found], columns, note=f"{count} attempts, ${format_usd(cost)} in all."
    )
    return Answer({**answer.value, "attempts": count, "cost": format_usd(cost)}, answer.columns, answer.note)


def _shown(charge: Charge) -> dict[str, JSON]:
    return {
        "provider": charge.provider,
        "model": charge.model,
        "channel_id": charge.channel_id,
        "period": charge.period,
        "attempts": charge.attempts,
        "completed": charge.completed,
        "client_gone": charge.client_gone,
        "failed": charge.failed,
        "input_tokens": charge.input_tokens,
        "output_tokens": charge.output_tokens,
        "images": charge.images,
        "seconds": charge.seconds,
        "cost": format_usd(charge.cost),
    }
