"""Millions of receipts in SQLite, made in bulk: a quarter of a year of a hundred accounts, of which one has half of all.

SQLite makes the rows itself, from a counter and a multiplication that scatters it: the same rows each time. They go in
in the order of the primary key, without the indexes, which are built afterwards; the rollups are then what the rows add
up to. The gateway would have come to the same tables, by one request after the other.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.dialects import sqlite

from bytespike.ledger.rollups import DAY_US, of_rows
from bytespike.ledger.windows import HOUR_US
from bytespike.store.tables import rollups, usage

DAYS = 90
#: Accounts besides the first. Each has a key, two models, and a protocol.
OTHERS = 99
#: Keys of the first.
KEYS = 10
#: What is asked for: one model in fifty requests, so that a page of a single one is no page of the newest.
MODELS = (
    *("claude-opus-4-8", "claude-sonnet-4-6", "claude-haiku-4-5", "gpt-5-5", "gpt-5-4", "gpt-5-mini"),
    *("gemini-3-1-pro", "gemini-3-5-flash", "deepseek-v4-pro", "kimi-k2-6"),
)
RARE_MODEL = "glm-5-1"
PROTOCOLS = ("anthropic_messages", "openai_chat", "openai_responses", "gemini")
_RARE_EVERY = 50
#: Of a batch; a transaction each.
_ROWS_AT_ONCE = 1_000_000
_PRICE = (
    '{"id":"catalog","input":5000000,"output":30000000,"cache_read":500000,"cache_write_5m":5000000,'
    '"cache_write_1h":5000000,"web_search":10000000,"submit_fee":0}'
)
#: Knuth's multiplicative hash: neighbours land far apart.
_SCATTER = 2_654_435_761

_SCATTERED = f"""
WITH RECURSIVE counter(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM counter WHERE n + 1 < :last),
scattered AS (SELECT n, (n * {_SCATTER}) & 4294967295 AS r FROM counter)
"""


def generate(database: Path, rows: int, owner: str, keys: list[str], until_us: int) -> None:
    """Fill `usage` and `rollups` of a database whose schema is there: `owner`, with `keys`, gets half of the rows. The
    last one is of `until_us`. Nobody else may have the database open."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        for pragma in (
            "journal_mode = OFF",
            "synchronous = OFF",
            "cache_size = -1000000",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")
        with _without_indexes(connection):
            _insert(connection, rows, owner, keys, until_us)
        _roll_up(connection, rows, until_us)


def _roll_up(connection: sqlite3.Connection, rows: int, until_us: int) -> None:
    """By hour as the migration does it, but a day at a time and by the primary key, whose order is that of time; days are
    made of hours."""
    names = ", ".join(column.name for column in rollups.columns)
    step_us = DAYS * DAY_US // rows
    before_us = until_us - rows * step_us
    id = usage.c.request_id
    last = until_us // DAY_US * DAY_US
    for start in range(last - DAYS * DAY_US, last + DAY_US, DAY_US):
        first, end = (max(0, -((before_us - us) // step_us) - 1) for us in (start, start + DAY_US))
        query = of_rows(HOUR_US).where(id >= _request_id(first), id < _request_id(end))
        text = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        connection.execute(f"INSERT INTO rollups ({names}) {text}")
    sums = [column.name for column in rollups.columns if not column.primary_key]
    connection.execute(
        f"INSERT INTO rollups ({names}) SELECT user_id, {DAY_US}, start / {DAY_US} * {DAY_US}, model, key_id, "
        f"protocol, {', '.join(f'SUM({name})' for name in sums)} FROM rollups WHERE span_us = {HOUR_US} "
        f"GROUP BY user_id, start / {DAY_US}, model, key_id, protocol"
    )
    connection.commit()


def _insert(connection: sqlite3.Connection, rows: int, owner: str, keys: list[str], until_us: int) -> None:
    connection.execute("CREATE TEMP TABLE owned (n INTEGER PRIMARY KEY, id TEXT)")
    connection.executemany("INSERT INTO owned VALUES (?, ?)", enumerate(keys))
    step_us = DAYS * DAY_US // rows
    first_us = until_us - rows * step_us
    columns = _columns(len(keys))
    assert list(columns) == [column.name for column in usage.columns], "a column of usage is not generated"
    text = f"{_SCATTERED} INSERT INTO usage SELECT {', '.join(columns.values())} FROM scattered"
    for start in range(0, rows, _ROWS_AT_ONCE):
        connection.execute(
            text,
            {
                "first": start,
                "last": min(rows, start + _ROWS_AT_ONCE),
                "owner": owner,
                "first_us": first_us,
                "step_us": step_us,
            },
        )
        connection.commit()


def _request_id(number: int) -> str:
    return f"req_01{number:024X}"


def _columns(keys: int) -> dict[str, str]:
    """Each column of `usage`, as an expression of `n` and `r`."""
    user = f"CASE WHEN r % 2 = 0 THEN :owner ELSE 'user_' || (r / 2 % {OTHERS}) END"
    key = (
        f"CASE WHEN r % 2 = 0 THEN (SELECT id FROM owned WHERE owned.n = r / 64 % {keys}) "
        f"ELSE 'key_' || (r / 2 % {OTHERS}) END"
    )
    model = (
        f"CASE WHEN n % {_RARE_EVERY} = 0 THEN '{RARE_MODEL}' "
        f"WHEN r % 2 = 0 THEN {_one_of(MODELS, 'r / 1024')} ELSE {_one_of(MODELS[:2], 'r / 1024')} END"
    )
    protocol = f"CASE WHEN r % 2 = 0 THEN {_one_of(PROTOCOLS, 'r / 16384')} ELSE '{PROTOCOLS[1]}' END"
    return {
        "request_id": "printf('req_01%024X', n)",
        "at": ":first_us + (n + 1) * :step_us",
        "key_id": key,
        "user_id": user,
        "org_id": "NULL",
        "account_id": f"'wallet:user:' || {user}",
        "group_id": "1",
        "channel_id": "'ch_main'",
        "upstream_provider": "'simulator'",
        "model": model,
        "requested_model": model,
        "upstream_model": model,
        "protocol": protocol,
        "upstream_protocol": "'openai_chat'",
        "stream": "r / 2 % 2",
        "input_tokens": "r % 5000",
        "cache_read_tokens": "r % 20000",
        "cache_write_5m_tokens": "r % 700",
        "cache_write_1h_tokens": "0",
        "output_tokens": "r % 900",
        "reasoning_tokens": "r % 300",
        "web_searches": "0",
        "credits": "r % 90000",
        "held": "90000 + r % 90000",
        "price": f"'{_PRICE}'",
        "multiplier_ppm": "1000000",
        "estimated": "r % 97 = 0",
        "end_reason": "CASE WHEN r % 61 = 0 THEN 'client_gone' ELSE 'completed' END",
        "notices": "'[]'",
        "latency_ms": "r % 9000",
        "first_token_ms": "r % 800",
        "images": "0",
        "seconds": "0",
    }


def _one_of(names: tuple[str, ...], number: str) -> str:
    cases = " ".join(f"WHEN {place} THEN '{name}'" for place, name in enumerate(names))
    return f"CASE {number} % {len(names)} {cases} END"


@contextlib.contextmanager
def _without_indexes(connection: sqlite3.Connection) -> Iterator[None]:
    """Drop the indexes of `usage`, and build them again afterwards, each in one go."""
    found = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'usage' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}")
    yield
    for _, text in found:
        connection.execute(text)
        connection.commit()
