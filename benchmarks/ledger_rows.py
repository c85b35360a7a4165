"""`python -m benchmarks.ledger_rows`: how long pages of usage take when there are millions of receipts.

The generator makes the rows; the real management API answers, in this process, to a key whose account has half of them.
What is timed is the whole request: the key is authenticated, the database is asked, the answer is written as JSON. Each
question is asked many times over; the figure is the median, and the slowest is told beside it, as is the first, and the
CPU that each took: on a busy machine that is the truer one.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message

from benchmarks import report
from benchmarks.figures import Figure, told
from benchmarks.generated_rows import DAYS, KEYS, RARE_MODEL, generate
from benchmarks.processes import NotMeasured
from benchmarks.stage import WORK
from bytespike.accounts import channels, groups, keys, users
from bytespike.accounts.channels import NewChannel
from bytespike.accounts.groups import NewGroup
from bytespike.accounts.keys import NewKey
from bytespike.accounts.users import NewUser
from bytespike.app import Application, assemble
from bytespike.http.management.app import create_management_app
from bytespike.settings import load

#: What `make bench` makes, and what the issue asks for.
ROWS = 1_000_000
ROWS_WHOLE = 10_000_000
BUDGET_MS = 100.0
#: How often each question is asked.
TIMES = 21
#: The last page that may be asked for has this number.
_DEEP_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Question:
    """A request. `budget`: judged by `BUDGET_MS`, not only told. `items`: how many the answer must have at least."""

    case: str
    path: str
    items: int
    budget: bool = True


def questions(since: str, key_id: str) -> list[Question]:
    """What is asked. The first two are the issue's own."""
    usage = "/api/v1/usage?page_size=50"
    sums = f"/api/v1/me/usage?since={since}"
    return [
        Question("me-usage by day and model, 90 days", f"{sums}&group_by=day,model", DAYS * 11),
        Question("usage, first page", usage, 50),
        Question("me-usage by model and key, 90 days", f"{sums}&group_by=model,api_key", 11 * KEYS),
        Question("me-usage in one sum, 90 days", sums, 1),
        Question("usage of a key, first page", f"{usage}&api_key_id={key_id}", 50),
        Question(f"usage, page {_DEEP_PAGE:,}", f"{usage}&page={_DEEP_PAGE}", 50, budget=False),
        Question("usage of a rare model, first page", f"{usage}&model={RARE_MODEL}", 50, budget=False),
        Question("me-usage by hour, 90 days", f"{sums}&group_by=hour", DAYS * 24, budget=False),
    ]


def measure(rows: int, *, keep: bool = False) -> tuple[Figure, ...]:
    """Generate so many rows in a folder of the benchmark's own, and ask. The folder goes, unless it is to be kept.

    Raises `NotMeasured`: an answer is not what it should be.
    """
    folder = WORK / f"rows-{rows}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        return asyncio.run(_measure(folder, rows))
    finally:
        if not keep:
            shutil.rmtree(folder)


async def _measure(folder: Path, rows: int) -> tuple[Figure, ...]:
    settings = load({"data_dir": folder})
    async with assemble(settings) as application:
        user_id, secret, key_ids = await _furnish(application)
    began = time.monotonic()
    now_us = application.parts.clock.now_us()
    await asyncio.to_thread(generate, folder / "bytespike.db", rows, user_id, key_ids, now_us)
    size = (folder / "bytespike.db").stat().st_size / 1e9
    print(
        f"rows: {rows:,} receipts and their rollups made in {time.monotonic() - began:.0f} s, {size:.1f} GB"
    )
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=DAYS)
    async with assemble(settings) as application:
        app = create_management_app(application.parts, application.control, settings)
        return tuple(
            [
                await _asked(app, question, secret, rows)
                for question in questions(f"{since:%Y-%m-%dT%H:00:00Z}", key_ids[0])
            ]
        )


async def _furnish(application: Application) -> tuple[str, str, list[str]]:
    """A user with keys: his id, the plaintext of one key, the ids of all."""
    async with application.control.writing("benchmark") as write:
        user = await users.create(write, NewUser(email="ada@example.com"))
        group = await groups.create(write, NewGroup(name="default"))
        await channels.create(
            write,
            NewChannel(
                name="main",
                platform="simulator",
                credential="none",
                base_urls={"openai_chat": "http://127.0.0.1:9/v1"},
                models={"gpt-5-5": "gpt-5.5"},
                group_ids=(group.id,),
            ),
        )
        made = [
            await keys.create(write, NewKey(name=f"key {number}", user_id=user.id, group_id=group.id))
            for number in range(KEYS)
        ]
    return user.id, made[0].plaintext, [each.row.id for each in made]


async def _asked(app: ASGIApp, question: Question, secret: str, rows: int) -> Figure:
    taken: list[float] = []
    worked_s = time.process_time()
    for _ in range(TIMES):
        began = time.perf_counter()
        status, body = await _get(app, question.path, secret)
        taken.append((time.perf_counter() - began) * 1e3)
        items = body.count(b'"credits"')
        if status != 200 or items < question.items:
            raise NotMeasured(f"{question.case}: {status}, {items} items: {body[:300]!r}")
    cpu_ms = (time.process_time() - worked_s) * 1e3 / TIMES
    first, *rest = taken
    return Figure(
        case=f"rows-{_short(rows)}/{question.case}",
        value=statistics.median(rest),
        unit="ms",
        budget=BUDGET_MS if question.budget else None,
        cost=told(cpu_ms, "ms"),
        rate=f"first {first:.0f}, slowest {max(rest):.0f} ms",
        detail={"rows": rows, "times": TIMES, "first_ms": first, "slowest_ms": max(rest), "cpu_ms": cpu_ms},
    )


def _short(rows: int) -> str:
    return f"{rows // 1_000_000}M" if rows % 1_000_000 == 0 else str(rows)


async def _get(app: ASGIApp, path: str, secret: str) -> tuple[int, bytes]:
    """One GET, straight into the application."""
    path, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", b"gateway"), (b"x-api-key", secret.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("gateway", 80),
    }
    status = 0
    body = b""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, body
        status = message.get("status", status)
        body += message.get("body", b"")

    await app(scope, receive, send)
    return status, body


def main(words: Sequence[str] | None = None) -> int:
    """0: all within the budget; 1: not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger_rows", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS_WHOLE, help="receipts (default: ten million)")
    parser.add_argument("--keep", action="store_true", help="keep the database in .bench")
    options = parser.parse_args(words)
    figures = measure(options.rows, keep=options.keep)
    print(report.table(figures))
    return int(any(figure.within is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
