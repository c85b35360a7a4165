"""GET /v1/usage and /v1/balance: what this key has used, and what is left. Free."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TypeAlias
from urllib.parse import parse_qs

from bytespike.accounts.records import KeyRecord
from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import InvalidRequest
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.head import secret_of
from bytespike.http.inbound.request import Inbound
from bytespike.http.receipts import FILE, Every, Lookup, receipt_lines, refuse_too_many, usage_row
from bytespike.http.spreadsheet import CONTENT_TYPE, Format, accepted, disposition
from bytespike.ledger.account import Wallet
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.escrowed import InBooks
from bytespike.ledger.usage_queries import PAGE_MAX, UsageFilter
from bytespike.pipeline.authenticate import authenticate
from bytespike.pipeline.parts import Parts
from bytespike.wire.json import encode

PAGE_SIZE = 50
#: Pages that are looked up: beyond, narrow the time.
PAGE_NUMBER_MAX = 10_000

#: What the books say of a wallet; None: nobody can say now.
Look: TypeAlias = Callable[[Wallet], Awaitable[InBooks | None]]


def usage(parts: Parts, lookup: Lookup, every: Every) -> Handler:
    """`?page=&page_size=&model=&request_id=&since=&until=`; times are Unix seconds or ISO 8601. `?format=csv`, or an
    `Accept` that likes it better: all that match as a file, not a page."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        key = await _caller(parts, inbound, exchange)
        query = {name: values[-1] for name, values in parse_qs(inbound.query.decode("latin-1")).items()}
        page = _number(query, "page", 1, PAGE_NUMBER_MAX)
        size = _number(query, "page_size", PAGE_SIZE, PAGE_MAX)
        model = query.get("model")
        wanted = UsageFilter(
            key_id=key.id,
            user_id=key.user_id,
            model=None if model is None else parts.catalog.current.resolve(model).model.slug,
            request_id=query.get("request_id"),
            since=_moment(query, "since"),
            until=_moment(query, "until"),
        )
        if _format(query, inbound) == "csv":
            await refuse_too_many(lookup, wanted)
            await _send_file(inbound, exchange, every, wanted)
            return
        found = await lookup(wanted, limit=size, offset=(page - 1) * size)
        items: list[JSON] = [usage_row(row) for row in found.items]
        body: JSONObject = {
            "object": "list",
            "items": items,
            "total": found.total,
            "total_is_exact": found.total_is_exact,
            "page": page,
            "page_size": size,
        }
        exchange.respond(encode(body), ())

    return handler


async def _send_file(inbound: Inbound, exchange: Exchange, every: Every, wanted: UsageFilter) -> None:
    head = f"content-type: {CONTENT_TYPE}\r\ncontent-disposition: {disposition(FILE)}\r\n"
    exchange.begin_file(200, head.encode("ascii"), None)
    if inbound.method != "HEAD":
        async with aclosing(receipt_lines(every, wanted)) as pieces:
            async for piece in pieces:
                await exchange.send(piece.encode())
    exchange.finish()


def balance(parts: Parts, look: Look) -> Handler:
    """`balance` is what the wallet has in the books, or what this process last knew of them. What tasks hold has left it, what
    requests in flight hold has not: `held` is both, of requests those of this process; `available` is the balance without."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        key = await _caller(parts, inbound, exchange)
        account = parts.ledger.account(key) or await parts.ledger.open(key)
        wallet = account.wallet
        found = await look(wallet)
        left = wallet.balance - wallet.undrained if found is None else found.balance
        for_tasks = None if found is None else found.for_tasks
        standing = parts.ledger.standing(account)
        window = standing.window
        body: JSONObject = {
            "object": "balance",
            "currency": "USD",
            "balance": format_usd(left),
            "held": format_usd(wallet.held + (for_tasks or 0)),
            "held_for_tasks": None if for_tasks is None else format_usd(for_tasks),
            "available": format_usd(left - wallet.held),
            "key": {
                "id": key.id,
                "name": key.name,
                "quota": format_usd(key.quota) if key.quota else None,
                "quota_remaining": format_usd(standing.quota_remaining),
            },
            "window": None
            if window is None
            else {
                "name": window.name,
                "limit": format_usd(window.limit),
                "remaining": format_usd(window.remaining),
                "reset": window.reset,
            },
        }
        exchange.respond(encode(body), ())

    return handler


async def _caller(parts: Parts, inbound: Inbound, exchange: Exchange) -> KeyRecord:
    key, account = await authenticate(parts, secret_of(inbound.headers, inbound.query), inbound.client_ip)
    exchange.identified(account)
    return key


def _number(query: dict[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= most:
        raise InvalidRequest(f"{name}: a number from 1 to {most}", param=name)
    return int(text)


def _format(query: dict[str, str], inbound: Inbound) -> Format:
    """The parameter decides; else what `Accept` likes better. Raises InvalidRequest."""
    asked = query.get("format")
    if asked is None:
        return accepted(inbound.headers.get(b"accept", b"").decode("latin-1"))
    if asked == "json" or asked == "csv":
        return asked
    raise InvalidRequest("format: json or csv", param="format")


def _moment(query: dict[str, str], name: str) -> int | None:
    """Unix microseconds."""
    text = query.get(name)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 11:
        return int(text) * 1_000_000
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{name}: Unix seconds, or a time in ISO 8601", param=name) from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return int(parsed.timestamp()) * 1_000_000
