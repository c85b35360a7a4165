"""Options that several commands share, and how text on the command line becomes values."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts import users
from bytespike.errors import InvalidRequest
from bytespike.ledger.amounts import parse_usd
from bytespike.store.wallets import org_wallet, user_wallet

#: What is read from standard input or a file, at most.
SECRET_CHARS_MAX = 64 * 1024
LIMIT_MAX = 1000

Limit: TypeAlias = Annotated[
    int, typer.Option("--limit", min=1, max=LIMIT_MAX, help="How many rows, at most.")
]
Offset: TypeAlias = Annotated[int, typer.Option("--offset", min=0, help="How many rows to skip.")]
ModelArgument: TypeAlias = Annotated[str, typer.Argument(metavar="MODEL", help="Any name of the model.")]
User: TypeAlias = Annotated[
    str | None, typer.Option("--user", help="A user's id or email.", show_default=False)
]
Org: TypeAlias = Annotated[
    str | None, typer.Option("--org", help="An organisation's id or name.", show_default=False)
]


def usd(text: str | None, name: str) -> int | None:
    """Micro-dollars of an option's USD; None: not given. Raises `InvalidRequest`, naming the option."""
    if text is None:
        return None
    try:
        return parse_usd(text)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=name) from None


#: Takes away what an option had given before.
NONE = "none"


def given(texts: Iterable[str]) -> list[str]:
    """What was given of an option that the word "none" takes away again: nothing, if that is all."""
    found = list(texts)
    return [] if found == [NONE] else found


def pairs(texts: Iterable[str], name: str) -> dict[str, str]:
    """`NAME=VALUE` options as a mapping. Raises `InvalidRequest`, naming the option."""
    found: dict[str, str] = {}
    for text in texts:
        left, sign, right = text.partition("=")
        if not sign or not left.strip():
            raise InvalidRequest(f"{text[:60]!r} is not NAME=VALUE", param=name)
        if left.strip() in found:
            raise InvalidRequest(f"{left.strip()[:60]} is given twice", param=name)
        found[left.strip()] = right.strip()
    return found


def secret(env: str | None, file: Path | None, stdin: bool, name: str) -> str | None:
    """A secret from the one place that was named; None: no place was. Never from the command line, which other users
    of the machine can read.

    Raises: InvalidRequest (several places, or nothing there), OSError.
    """
    if sum((env is not None, file is not None, stdin)) > 1:
        raise InvalidRequest(f"give one of --{name}-env, --{name}-file, --{name}-stdin", param=name)
    if env is not None:
        text = os.environ.get(env, "")
        where = f"the environment variable {env}"
    elif file is not None:
        with file.open(encoding="utf-8", errors="replace") as opened:
            text = opened.read(SECRET_CHARS_MAX)
        where = str(file)
    elif stdin:
        text = sys.stdin.read(SECRET_CHARS_MAX)
        where = "standard input"
    else:
        return None
    text = text.strip()
    if not text:
        raise InvalidRequest(f"{where} is empty", param=name)
    return text


def time_us(text: str | None, name: str) -> int | None:
    """Unix microseconds of an ISO 8601 date or time (UTC where it names no zone). Raises `InvalidRequest`."""
    if text is None:
        return None
    try:
        parsed = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(
            f"{text[:40]!r} is not a date or time, such as 2026-11-21 or 2026-11-21T08:00:00Z", param=name
        ) from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=datetime.UTC)
    return int(parsed.timestamp()) * 1_000_000 + parsed.microsecond


async def wallet(connection: AsyncConnection, user: str | None, org: str | None) -> str:
    """The wallet of the one owner that was named. Raises: InvalidRequest, NotFound."""
    if (user is None) == (org is None):
        raise InvalidRequest("give either --user or --org")
    if user is not None:
        return user_wallet((await users.find(connection, user)).id)
    return org_wallet((await users.find_org(connection, org or "")).id)
