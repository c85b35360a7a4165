"""`bytespike events`, and the threshold below which a wallet leaves one: `bytespike wallet low-balance`."""

from __future__ import annotations

from typing import Annotated

import typer

from bytespike.cli.answer import Answer, listing, record, spelled
from bytespike.cli.command import command, group
from bytespike.cli.desk import Desk
from bytespike.cli.options import Limit, Offset, Org, User, usd
from bytespike.cli.options import wallet as wallet_of
from bytespike.cli.wallet import wallet
from bytespike.core.json_types import JSONObject
from bytespike.errors import InvalidRequest
from bytespike.http.management.views import moment
from bytespike.ledger.amounts import format_usd, parse_usd
from bytespike.ledger.low_balance import set_threshold
from bytespike.store import events as stored

events = group("events", "What has happened that somebody may want to be told of.")


@command(events, "list")
async def list_events(
    desk: Desk,
    kind: Annotated[
        str | None, typer.Option(help="Only of this kind: wallet.low_balance, channel.disabled.")
    ] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> Answer:
    """List events, the newest first; what each is about in short."""
    async with desk.reading() as connection:
        rows, total = await stored.listing(connection, kind=kind, limit=limit, offset=offset)
    shown: list[JSONObject] = [
        {
            "id": row.id,
            "kind": row.kind,
            "subject": row.subject,
            "at": moment(row.at),
            "payload": {**row.payload},
        }
        for row in rows
    ]
    return listing(shown, ("at", "kind", "subject", "payload"), total=total, cells={"payload": spelled})


@command(
    wallet, "low-balance", epilog="Example: bytespike wallet low-balance --amount 10 --user ada@example.com"
)
async def low_balance(
    desk: Desk,
    user: User = None,
    org: Org = None,
    amount: Annotated[str | None, typer.Option(help="USD; 0 for none.")] = None,
    default: Annotated[bool, typer.Option("--default", help="The threshold of the settings again.")] = False,
) -> Answer:
    """Set below what a wallet counts as low. Each time that its balance falls below it leaves an event."""
    if (amount is None) != default:
        raise InvalidRequest("give either --amount or --default")
    own = usd(amount, "--amount")
    async with desk.writing() as write:
        account = await wallet_of(write.connection, user, org)
        await set_threshold(write.connection, account, own)
        await write.note("wallet.low_balance", account, None, threshold=own)
    threshold = parse_usd(desk.settings.low_balance_usd) if own is None else own
    return record({"account_id": account, "threshold": format_usd(threshold), "default": own is None})
