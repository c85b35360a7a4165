"""GET /me/usage, /me/billing/transactions and /usage over receipts that were really posted."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from bytespike.accounts import caps, members, users
from bytespike.accounts.key_hash import hash_key
from bytespike.accounts.keys import MintedKey
from bytespike.catalog.models import ImageRate, TokenTier, VideoRate
from bytespike.core.usage import Usage
from bytespike.http import receipts
from bytespike.http.management import billing
from bytespike.http.management.money_views import ReceiptsView, RollupView, TransactionsView
from bytespike.ledger import statements, transfers, usage_queries
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.ledger import Ledger
from bytespike.pricing.price import Price
from bytespike.store.wallets import org_wallet, user_wallet
from tests.support.ledger_house import attempt_for, receipt_for
from tests.support.management import Managed, managed

MODELS = ("gpt-5-5", "claude-sonnet-4-6")
PRICE = Price(id="price_7", input=1_000_000, output=2_000_000, submit_fee=5)


async def spend(
    m: Managed, key: MintedKey, number: int, price: Price = PRICE, usage: Usage | None = None
) -> None:
    """A request of `number` micro-dollars, brought into the books."""
    ledger: Ledger = m.application.parts.ledger
    record = await m.application.parts.directory.load(hash_key(key.plaintext))
    assert record is not None
    account = await ledger.open(record)
    hold = ledger.hold(account, f"req_{key.row.id}_{number:03d}", 1000)
    at = m.application.control.clock.now_us()
    receipt = receipt_for(
        hold,
        at,
        number,
        model=MODELS[number % 2],
        usage=usage or Usage(number, 1, 2, 3, 4, 5, 6),
        price=price,
        notices=("top_k: dropped", "seed: dropped"),
    )
    ledger.post(hold, receipt, (attempt_for(hold, at),))


def with_usage(folder: Path, body: Callable[[Managed], Awaitable[None]]) -> None:
    """Ada has 12 receipts of 1 to 12 micro-dollars on one key and of 101 on another; bob has one of 500."""

    async def run() -> None:
        async with managed(folder) as m:
            control = m.application.control
            bob = await m.user("bob@example.com")
            for user in (m.ada, bob):
                await transfers.topup(
                    control.engine,
                    user_wallet(user.id),
                    1_000_000,
                    actor="test",
                    now_us=control.clock.now_us(),
                    note="=cmd|' /C calc'!A0",
                )
            for number in range(1, 13):
                await spend(m, m.key, number)
            await spend(m, await m.new_key(m.ada, name="second"), 101)
            await spend(m, await m.new_key(bob), 500)
            await m.application.parts.ledger.flush()
            await body(m)

    asyncio.run(run())


async def got(m: Managed, path: str, **headers: str) -> Any:
    answer = await m.client.get(path, headers={**m.with_key(), **headers})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def lines(m: Managed, path: str, **headers: str) -> list[dict[str, str]]:
    answer = await m.client.get(path, headers={**m.with_key(), **headers})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def micros(text: str) -> int:
    amount = Decimal(text).scaleb(6)
    assert amount == int(amount)
    return int(amount)


def test_sums_by_day_and_model_are_the_callers_own(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        found = await got(m, "/me/usage?group_by=day&group_by=model")
        assert found["group_by"] == ["day", "model"]
        assert (found["time_zone"], found["currency"], found["total"]) == ("UTC", "USD", 2)
        assert [(row["model"], row["requests"], row["credits"]) for row in found["items"]] == [
            ("claude-sonnet-4-6", 7, format_usd(1 + 3 + 5 + 7 + 9 + 11 + 101)),
            ("gpt-5-5", 6, format_usd(2 + 4 + 6 + 8 + 10 + 12)),
        ]
        assert all(len(row["day"]) == 10 for row in found["items"])
        assert (found["sum"]["requests"], found["sum"]["credits"]) == (13, format_usd(78 + 101))
        assert set(found["items"][0]) == {"day", "model", *found["sum"]}

    with_usage(tmp_path, body)


def test_groupings_combine_and_may_be_written_with_commas(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        by_key = (await got(m, "/me/usage?group_by=api_key"))["items"]
        assert sorted((row["requests"], row["credits"]) for row in by_key) == [
            (1, format_usd(101)),
            (12, format_usd(78)),
        ]
        same = await got(m, "/me/usage?group_by=model,hour,protocol")
        assert same["group_by"] == ["hour", "model", "protocol"]
        assert {row["protocol"] for row in same["items"]} == {"openai_chat"}
        assert all(row["hour"].endswith(":00:00.000Z") for row in same["items"])
        whole = await got(m, "/me/usage")
        assert whole["items"] == [whole["sum"]]
        only = await got(m, f"/me/usage?model=gpt-5.5&api_key_id={m.key.row.id}&protocol=openai_chat")
        assert only["sum"]["requests"] == 6

    with_usage(tmp_path, body)


def test_the_time_is_rounded_outwards_to_full_hours_and_said(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        found = await got(m, "/me/usage?since=2026-01-01T05:10:00Z&until=2026-01-02T07:00:01%2B02:00")
        assert (found["since"], found["until"]) == ("2026-01-01T05:00:00.000Z", "2026-01-02T06:00:00.000Z")
        assert (found["items"], found["sum"]["requests"], found["sum"]["credits"]) == ([], 0, "0.00")

    with_usage(tmp_path, body)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("group_by=colour", "group_by"),
        ("group_by=day,hour", "group_by"),
        ("since=2026-01-02&until=2026-01-01", "until"),
        ("since=2026-01-01&until=2026-05-01", "since"),
        ("since=yesterday", "since"),
        ("format=xml", "format"),
    ],
)
def test_a_wrong_question_is_refused_by_name(tmp_path: Path, query: str, param: str) -> None:
    async def body(m: Managed) -> None:
        answer = await m.client.get(f"/me/usage?{query}", headers=m.with_key())
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)

    with_usage(tmp_path, body)


def test_transactions_are_paged_filtered_and_add_up_to_the_balance(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        first = await got(m, "/me/billing/transactions?page_size=10")
        second = await got(m, "/me/billing/transactions?page_size=10&page=2")
        assert (first["total"], first["total_is_exact"], first["page_size"], second["page"]) == (
            14,
            True,
            10,
            2,
        )
        entries = first["items"] + second["items"]
        assert len(entries) == 14
        assert sum(micros(entry["amount"]) for entry in entries) == 1_000_000 - 78 - 101
        assert (entries[-1]["kind"], entries[-1]["amount"]) == ("topup", "1.00")
        assert [entry["created_at"] for entry in entries] == sorted(
            (entry["created_at"] for entry in entries), reverse=True
        )
        assert [e["kind"] for e in (await got(m, "/me/billing/transactions?kind=topup"))["items"]] == [
            "topup"
        ]
        assert (await got(m, "/me/billing/transactions?kind=usage"))["total"] == 13
        both = await got(m, "/me/billing/transactions?kind=usage&kind=topup")
        assert both["items"] == entries
        assert (await got(m, "/me/billing/transactions?kind=admin_debit"))["items"] == []
        assert (await got(m, "/me/billing/transactions?until=2026-01-01"))["items"] == []
        wrong = await m.client.get("/me/billing/transactions?kind=gift", headers=m.with_key())
        assert wrong.status_code == 400

    with_usage(tmp_path, body)


def test_the_sum_of_rows_is_the_ledgers_to_the_credit(tmp_path: Path) -> None:
    """Rows as JSON, as CSV, rolled up, and the wallet's transactions: one figure."""

    async def body(m: Managed) -> None:
        rows = (await got(m, "/usage"))["items"]
        flat = await lines(m, "/usage?format=csv")
        moved = (await got(m, "/me/billing/transactions?kind=usage"))["items"]
        rolled = await got(m, "/me/usage?group_by=hour,model,api_key,protocol")
        account = await got(m, "/me/account")
        spent = 1_000_000 - micros(account["balance"])
        assert spent == 78 + 101
        assert sum(micros(row["credits"]) for row in rows) == spent
        assert sum(micros(row["credits"]) for row in flat) == spent
        assert -sum(micros(entry["amount"]) for entry in moved) == spent
        assert (
            sum(micros(row["credits"]) for row in rolled["items"])
            == spent
            == micros(rolled["sum"]["credits"])
        )
        assert {row["request_id"] for row in rows} == {entry["request_id"] for entry in moved}

    with_usage(tmp_path, body)


def test_a_receipt_says_everything_that_made_its_price(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        request_id = f"req_{m.key.row.id}_004"
        (row,) = (await got(m, f"/usage?request_id={request_id}"))["items"]
        assert row["price_per_million"] == {
            "id": "price_7",
            "input": "1.00",
            "output": "2.00",
            "cache_read": "0.00",
            "cache_write_5m": "0.00",
            "cache_write_1h": "0.00",
            "web_search": "0.00",
            "submit_fee": "0.000005",
            "tiers": [],
            "images": [],
            "seconds": [],
        }
        assert (row["credits"], row["multiplier_ppm"], row["estimated"]) == ("0.000004", 1_000_000, False)
        assert (row["upstream_provider"], row["protocol"], row["upstream_protocol"]) == (
            "simulator",
            "openai_chat",
            "anthropic_messages",
        )
        assert (row["end_reason"], row["latency_ms"], row["notices"]) == (
            "completed",
            120,
            ["top_k: dropped", "seed: dropped"],
        )

    with_usage(tmp_path, body)


def test_answers_are_of_the_shapes_that_the_openapi_document_tells(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        document = (await m.client.get("/openapi.json")).json()
        for path, shape in (
            ("/usage", ReceiptsView),
            ("/me/usage", RollupView),
            ("/me/billing/transactions", TransactionsView),
        ):
            told = document["paths"][f"/api/v1{path}"]["get"]["responses"]["200"]["content"]
            assert set(told) == {"application/json", "text/csv"}
            assert told["application/json"]["schema"]["$ref"].endswith(f"/{shape.__name__}")
            assert shape.model_validate(await got(m, path)).items
        RollupView.model_validate(await got(m, "/me/usage?group_by=hour,model,api_key,protocol"))
        RollupView.model_validate(await got(m, "/me/usage?group_by=day"))

    with_usage(tmp_path, body)


def test_a_receipt_of_a_long_prompt_says_its_tiers(tmp_path: Path) -> None:
    tier = TokenTier(200_000, 2_500_000, 15_000_000, 250_000, 2_500_000, 2_500_000)

    async def body(m: Managed) -> None:
        await spend(m, m.key, 77, structs.replace(PRICE, tiers=(tier,)))
        await m.application.parts.ledger.flush()
        page = await got(m, f"/usage?request_id=req_{m.key.row.id}_077")
        ReceiptsView.model_validate(page)
        (told,) = page["items"][0]["price_per_million"]["tiers"]
        assert (told["above"], told["input"], told["output"]) == (200_000, "2.50", "15.00")
        (row,) = await lines(m, f"/usage?request_id=req_{m.key.row.id}_077&format=csv")
        assert json.loads(row["price_tiers"]) == [told]

    with_usage(tmp_path, body)


def test_a_receipt_of_a_video_says_its_seconds_and_what_one_costs(tmp_path: Path) -> None:
    price = structs.replace(
        PRICE,
        images=(ImageRate(30_000), ImageRate(80_000, "high", 1_048_576)),
        seconds=(VideoRate(300_000, "720p"),),
    )

    async def body(m: Managed) -> None:
        await spend(m, m.key, 78, price, usage=Usage(images=2, seconds=8))
        await m.application.parts.ledger.flush()
        page = await got(m, f"/usage?request_id=req_{m.key.row.id}_078")
        ReceiptsView.model_validate(page)
        (item,) = page["items"]
        assert (item["images"], item["seconds"]) == (2, 8)
        told = item["price_per_million"]
        assert told["images"] == [
            {"price": "0.03", "quality": None, "pixels_min": 0, "per": "image"},
            {"price": "0.08", "quality": "high", "pixels_min": 1_048_576, "per": "image"},
        ]
        assert told["seconds"] == [{"price": "0.30", "resolution": "720p"}]
        (row,) = await lines(m, f"/usage?request_id=req_{m.key.row.id}_078&format=csv")
        assert (row["images"], row["seconds"]) == ("2", "8")
        assert json.loads(row["price_images"]) == told["images"]
        assert json.loads(row["price_seconds"]) == told["seconds"]
        sums = (await got(m, "/me/usage?group_by=day"))["sum"]
        assert (sums["images"], sums["seconds"]) == (2, 8)

    with_usage(tmp_path, body)


def test_csv_is_asked_for_by_parameter_or_header(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        by_header = await lines(m, "/usage", accept="text/csv")
        assert by_header == await lines(m, "/usage?format=csv&page_size=1&page=3")
        assert len(by_header) == 13
        row = by_header[0]
        assert tuple(row) == receipts.COLUMNS
        assert (row["price_id"], row["price_input"], row["notices"]) == (
            "price_7",
            "1.00",
            "top_k: dropped; seed: dropped",
        )
        answer = await got(m, "/usage?format=json", accept="text/csv")
        assert answer["total"] == 13
        sums = await lines(m, "/me/usage?group_by=model", accept="text/csv")
        assert [(each["model"], each["requests"]) for each in sums] == [
            ("claude-sonnet-4-6", "7"),
            ("gpt-5-5", "6"),
        ]
        entries = await lines(m, "/me/billing/transactions?format=csv")
        assert (len(entries), tuple(entries[0])) == (14, billing.COLUMNS)
        assert entries[-1]["note"] == "'=cmd|' /C calc'!A0"
        assert entries[0]["amount"].startswith("-0.")

    with_usage(tmp_path, body)


def test_csv_has_every_row_however_many_pieces_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(m: Managed) -> None:
        whole = (await lines(m, "/usage?format=csv"), await lines(m, "/me/billing/transactions?format=csv"))
        for size in (1, 5, 13, 14):
            monkeypatch.setattr(usage_queries, "PIECE_ROWS", size)
            monkeypatch.setattr(statements, "PIECE_ENTRIES", size)
            again = (
                await lines(m, "/usage?format=csv"),
                await lines(m, "/me/billing/transactions?format=csv"),
            )
            assert again == whole

    with_usage(tmp_path, body)


def test_more_rows_than_are_counted_are_not_cut_off_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(m: Managed) -> None:
        monkeypatch.setattr(usage_queries, "COUNT_MAX", 5)
        monkeypatch.setattr(statements, "COUNT_MAX", 5)
        for path in ("/usage", "/me/billing/transactions"):
            answer = await m.client.get(f"{path}?format=csv", headers=m.with_key())
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "since")
        page = await got(m, "/me/billing/transactions")
        assert (page["total"], page["total_is_exact"], len(page["items"])) == (5, False, 14)

    with_usage(tmp_path, body)


def test_nobody_reads_anothers_sums_or_transactions(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        carol = await m.user("carol@example.com")
        headers = m.with_key((await m.new_key(carol)).plaintext)
        for path in (
            "/me/usage",
            f"/me/usage?api_key_id={m.key.row.id}",
            "/me/billing/transactions",
            "/usage",
        ):
            assert (await m.client.get(path, headers=headers)).json()["items"] == [], path
            assert (await m.client.get(path)).status_code == 401, path

    with_usage(tmp_path, body)


def test_the_account_shows_the_keys_caps_on_models(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        async with m.application.control.writing("test") as write:
            await caps.set_caps(write, m.key.row.id, "gpt-5-5", {"1d": 5_000_000, "lifetime": 9})
        await m.application.parts.directory.poll()
        account = await got(m, "/me/account")
        assert account["model_caps"] == [
            {"model": "gpt-5-5", "span": "1d", "limit": "5.00"},
            {"model": "gpt-5-5", "span": "lifetime", "limit": "0.000009"},
        ]
        assert account["org"] is None

    with_usage(tmp_path, body)


def test_the_account_of_an_organisations_key_is_the_organisations_and_names_the_role(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        control = m.application.control
        async with control.writing("test") as write:
            org = await users.create_org(write, "Acme")
            await members.add(write, org.id, m.ada.id, "admin")
        await transfers.topup(
            control.engine, org_wallet(org.id), 9_000_000, actor="test", now_us=control.clock.now_us()
        )
        key = await m.new_key(m.ada, org_id=org.id)
        account = await got(m, "/me/account", **m.with_key(key.plaintext))
        assert (account["balance"], account["org"]["name"], account["role"]) == ("9.00", "Acme", "admin")
        # What moved on the organisation's wallet is not every member's to read.
        moved = await got(m, "/me/billing/transactions", **m.with_key(key.plaintext))
        assert moved["total"] == 14

    with_usage(tmp_path, body)


def test_an_entry_is_shown_with_its_amount_in_dollars() -> None:
    entry = statements.Entry("tr_1", "usage", -1, "system:revenue", "req_1", "", 0)
    assert billing.shown(entry) == {
        **{name: value for name, value in structs.asdict(entry).items() if name != "other"},
        "amount": "-0.000001",
        "created_at": "1970-01-01T00:00:00.000Z",
    }
