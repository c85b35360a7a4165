"""GET /v1/usage and /v1/balance of a running gateway: a key's receipts as a file, and all that is held of its wallet."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bytespike.accounts.key_hash import hash_key
from bytespike.http.receipts import COLUMNS
from bytespike.ledger.account import Wallet
from bytespike.ledger.escrowed import InBooks, in_books
from bytespike.store import tables
from bytespike.store.engine import create_engine
from tests.support.gateway import GPT
from tests.support.media_gateway import MediaGateway
from tests.support.raw_http import Answer

#: So long that it is not over before it is looked at.
SLOW = "[[sim: polls=10000]] a cat"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaGateway]:
    with MediaGateway(Path(tmp_path_factory.mktemp("wallet"))) as running:
        yield running


def get(gateway: MediaGateway, path: str, key: str, **headers: str) -> Answer:
    return gateway.request("GET", path, headers={"x-api-key": key, **headers})


def lines(answer: Answer) -> list[dict[str, str]]:
    assert (answer.status, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8"), answer.body
    assert answer.headers["content-disposition"] == 'attachment; filename="usage.csv"'
    return list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))


@pytest.fixture(scope="module")
def spent(gateway: MediaGateway) -> tuple[str, list[str]]:
    """A key, and the ids of its three requests, the newest first. Another key of its user has one too."""
    user = gateway.new_user(balance=1_000_000)
    key, other = gateway.new_key(user_id=user), gateway.new_key(user_id=user)
    body = json.dumps({"model": GPT, "max_tokens": 20, "messages": [{"role": "user", "content": "hello"}]})
    made: list[str] = []
    for each in (key, key, other, key):
        answer = gateway.post("/v1/chat/completions", body.encode(), {"x-api-key": each})
        assert answer.status == 200
        if each is key:
            made.insert(0, answer.headers["request-id"])
        gateway.settled()
    return key, made


@pytest.mark.parametrize(
    ("query", "accept"),
    [
        ("?format=csv", "*/*"),
        ("?format=csv&page=2&page_size=1", "application/json"),
        ("", "text/csv"),
        ("?page_size=1", "text/csv, application/json;q=0.5"),
    ],
)
def test_a_keys_receipts_as_csv_are_all_that_match_in_the_columns_of_the_management_api(
    gateway: MediaGateway, spent: tuple[str, list[str]], query: str, accept: str
) -> None:
    key, made = spent
    rows = lines(get(gateway, f"/v1/usage{query}", key, accept=accept))
    assert [row["request_id"] for row in rows] == made
    assert tuple(rows[0]) == COLUMNS
    same = lines(get(gateway, f"/api/v1/usage?format=csv&api_key_id={rows[0]['api_key_id']}", key))
    assert rows == same


def test_csv_is_filtered_as_pages_are(gateway: MediaGateway, spent: tuple[str, list[str]]) -> None:
    key, made = spent
    assert [
        row["request_id"] for row in lines(get(gateway, f"/v1/usage?format=csv&request_id={made[1]}", key))
    ] == [made[1]]
    assert lines(get(gateway, "/v1/usage?format=csv&until=1", key)) == []


@pytest.mark.parametrize(
    ("query", "accept"), [("", "*/*"), ("?format=json", "text/csv"), ("", "application/json, text/csv;q=0.9")]
)
def test_json_is_what_whoever_does_not_ask_for_csv_gets(
    gateway: MediaGateway, spent: tuple[str, list[str]], query: str, accept: str
) -> None:
    key, made = spent
    page = json.loads(get(gateway, f"/v1/usage{query}", key, accept=accept).body)
    assert [item["request_id"] for item in page["items"]] == made


def test_a_format_that_does_not_exist_is_refused(gateway: MediaGateway, spent: tuple[str, list[str]]) -> None:
    answer = get(gateway, "/v1/usage?format=xml", spent[0])
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"], error["param"]) == (400, "invalid_param", "format")


def test_head_of_a_file_has_no_body(gateway: MediaGateway, spent: tuple[str, list[str]]) -> None:
    answer = gateway.request("HEAD", "/v1/usage?format=csv", headers={"x-api-key": spent[0]})
    assert (answer.status, answer.headers["content-type"], answer.body) == (
        200,
        "text/csv; charset=utf-8",
        b"",
    )


def test_what_a_running_task_holds_is_in_the_balances_held_until_it_is_over(gateway: MediaGateway) -> None:
    user = gateway.new_user(balance=10_000_000)
    key = gateway.new_key(user_id=user)

    def told() -> dict[str, str]:
        answer = get(gateway, "/v1/balance", key)
        assert answer.status == 200
        body = json.loads(answer.body)
        return {name: body[name] for name in ("balance", "held", "held_for_tasks", "available")}

    nothing = {"balance": "10.00", "held": "0.00", "held_for_tasks": "0.00", "available": "10.00"}
    assert told() == nothing
    task = gateway.submitted(key=key, model="sora2", prompt=SLOW, seconds=4)
    assert task["estimated_credits"] == "1.25"
    assert told() == {"balance": "8.75", "held": "1.25", "held_for_tasks": "1.25", "available": "8.75"}
    # Another key of the same wallet is told the same; another wallet is not.
    second = json.loads(get(gateway, "/v1/balance", gateway.new_key(user_id=user)).body)
    assert second["held"] == "1.25"
    assert json.loads(get(gateway, "/v1/balance", gateway.key).body)["held"] == "0.00"
    cancelled = gateway.post(f"/v1/tasks/cancel/{task['task_id']}", b"", {"x-api-key": key})
    assert cancelled.status == 200
    gateway.until(lambda: told()["held"] == "0.00")
    after = told()
    assert (after["held_for_tasks"], after["available"]) == ("0.00", after["balance"])


def test_a_request_in_flight_is_held_and_still_in_the_balance(gateway: MediaGateway) -> None:
    user = gateway.new_user(balance=1_000_000)
    key = gateway.new_key(user_id=user)
    parts = gateway.application.parts

    async def held() -> None:
        record = parts.directory.get(hash_key(key)) or await parts.directory.load(hash_key(key))
        assert record is not None
        account = await parts.ledger.open(record)
        hold = parts.ledger.hold(account, "req_in_flight", 250_000)
        try:
            answer = await asyncio.to_thread(get, gateway, "/v1/balance", key)
        finally:
            parts.ledger.void(hold)
        body = json.loads(answer.body)
        assert [body[name] for name in ("balance", "held", "held_for_tasks", "available")] == [
            "1.00",
            "0.25",
            "0.00",
            "0.75",
        ]

    gateway.run(held())


def test_a_balance_is_that_of_the_books_whoever_moved_the_money(gateway: MediaGateway) -> None:
    """Here another process: this one's memory of the wallet is not told of what happens to it."""
    user = gateway.new_user(balance=1_000_000)
    key = gateway.new_key(user_id=user)

    def told() -> tuple[str, str]:
        body = json.loads(get(gateway, "/v1/balance", key).body)
        return body["balance"], body["available"]

    assert told() == ("1.00", "1.00")

    async def spend_elsewhere() -> None:
        async with gateway.application.control.writing("test") as write:
            moved = tables.accounts.update().where(tables.accounts.c.id == f"wallet:user:{user}")
            await write.connection.execute(moved.values(balance=400_000))

    gateway.run(spend_elsewhere())
    assert told() == ("0.40", "0.40")


def test_nobody_knows_what_tasks_hold_while_the_database_fails(tmp_path: Path) -> None:
    async def asked() -> InBooks | None:
        # One without tables.
        engine = create_engine(f"sqlite:///{tmp_path / 'bytespike.db'}")
        try:
            return await in_books(engine, asyncio.Lock(), Wallet("wallet:user:ada", 5))
        finally:
            await engine.dispose()

    assert asyncio.run(asked()) is None
