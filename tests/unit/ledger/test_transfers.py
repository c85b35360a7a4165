from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import event, select

from bytespike.errors import GatewayError, InsufficientBalance, InvalidRequest, NotFound
from bytespike.ledger import doctor, transfers
from bytespike.ledger.amounts import AMOUNT_MAX, InvalidAmount
from bytespike.ledger.entries import EXTERNAL, PROMOTION, REVENUE, org_wallet, user_wallet
from bytespike.ledger.transfers import Entry, IdempotencyConflict
from bytespike.store import tables
from tests.support.ledger_house import USD, House, house, key_record, running

WALLET = user_wallet("u1")
KINDS = ("topup", "refund", "admin_credit", "admin_debit", "subscription_renew")


def with_house(folder: Path, body: Callable[[House], Awaitable[None]]) -> None:
    async def main() -> None:
        async with house(folder) as built:
            await body(built)
            assert (await doctor.examine(built.engine)).ok

    asyncio.run(main())


async def do(
    built: House, kind: str, amount: int, wallet: str = WALLET, **more: object
) -> transfers.Transfer:
    return await getattr(transfers, kind)(
        built.engine, wallet, amount, **{"actor": "test", "now_us": built.clock.now_us(), **more}
    )


async def balances(built: House) -> dict[str, int]:
    async with built.engine.connect() as connection:
        found = await connection.execute(select(tables.accounts.c.id, tables.accounts.c.balance))
        return {id: balance for id, balance in found if balance}


@pytest.mark.parametrize(
    ("kind", "other", "sign"),
    [
        ("topup", EXTERNAL, 1),
        ("subscription_renew", EXTERNAL, 1),
        ("refund", REVENUE, 1),
        ("admin_credit", PROMOTION, 1),
        ("admin_debit", PROMOTION, -1),
    ],
)
def test_each_kind_moves_money_between_the_wallet_and_its_other_side(
    tmp_path: Path, kind: str, other: str, sign: int
) -> None:
    async def body(built: House) -> None:
        await built.fund(10 * USD)
        before = await balances(built)
        done = await do(built, kind, 3 * USD, note="why")
        after = await balances(built)
        moved = {id: after.get(id, 0) - before.get(id, 0) for id in after | before}
        assert {id: change for id, change in moved.items() if change} == {
            WALLET: sign * 3 * USD,
            other: -sign * 3 * USD,
        }
        assert (done.kind, done.account_id, done.amount, done.note) == (kind, WALLET, 3 * USD, "why")
        assert (done.balance, done.repeated) == (10 * USD + sign * 3 * USD, False)

    with_house(tmp_path, body)


@pytest.mark.parametrize("kind", KINDS)
def test_a_transfer_tells_running_gateways_and_the_audit_log(tmp_path: Path, kind: str) -> None:
    async def body(built: House) -> None:
        await built.fund(10 * USD)
        done = await do(built, kind, 5, actor="cli", note="n", now_us=77)
        async with built.engine.connect() as connection:
            change = (
                (await connection.execute(select(tables.changes).order_by(tables.changes.c.id.desc())))
                .mappings()
                .first()
            )
            entry = (
                (await connection.execute(select(tables.audit_log).order_by(tables.audit_log.c.id.desc())))
                .mappings()
                .first()
            )
        assert change is not None
        assert entry is not None
        assert (change["kind"], change["ref"], change["at"]) == ("wallet", WALLET, 77)
        assert (entry["actor"], entry["action"], entry["target"]) == ("cli", f"wallet.{kind}", WALLET)
        assert entry["detail"] == {"transfer": done.id, "amount": 5, "note": "n"}

    with_house(tmp_path, body)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_key_and_inputs_are_one_transfer(tmp_path: Path, kind: str) -> None:
    async def body(built: House) -> None:
        await built.fund(10 * USD)
        first = await do(built, kind, 5, idempotency_key="k", note="n")
        before = await balances(built)
        second = await do(built, kind, 5, idempotency_key="k", note="n", now_us=99, actor="another")
        assert await balances(built) == before
        assert second.repeated
        assert (second.id, second.created_at, second.amount) == (first.id, first.created_at, 5)

    with_house(tmp_path, body)


@pytest.mark.parametrize(
    ("kind", "amount", "wallet", "note"),
    [
        ("topup", 6, WALLET, "n"),
        ("topup", 5, user_wallet("u2"), "n"),
        ("topup", 5, WALLET, "m"),
        ("refund", 5, WALLET, "n"),
    ],
)
def test_the_same_key_with_other_inputs_is_a_conflict(
    tmp_path: Path, kind: str, amount: int, wallet: str, note: str
) -> None:
    async def body(built: House) -> None:
        await do(built, "topup", 5, idempotency_key="k", note="n")
        before = await balances(built)
        with pytest.raises(IdempotencyConflict) as caught:
            await do(built, kind, amount, wallet, idempotency_key="k", note=note)
        assert caught.value.param == "idempotency_key"
        assert await balances(built) == before

    with_house(tmp_path, body)


def test_without_a_key_every_call_is_a_transfer(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        assert (await do(built, "topup", 5)).id != (await do(built, "topup", 5)).id
        assert await built.balance() == 10

    with_house(tmp_path, body)


def test_a_repeat_of_a_debit_is_recognised_when_the_wallet_is_empty_by_now(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        await built.fund(5)
        await do(built, "admin_debit", 5, idempotency_key="k")
        assert (await do(built, "admin_debit", 5, idempotency_key="k")).repeated

    with_house(tmp_path, body)


def test_a_chosen_key_cannot_stand_in_the_way_of_a_receipt(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        await do(built, "topup", 5 * USD, idempotency_key="usage:r1")
        await built.add_key(key_record())
        async with running(built) as ledger:
            built.spend(ledger, await ledger.open(key_record()), "r1", 7)
        assert await built.balance() == 5 * USD - 7

    with_house(tmp_path, body)


def test_concurrent_transfers_lose_nothing(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        await asyncio.gather(
            *(do(built, "topup", 5) for _ in range(10)),
            *(do(built, "topup", 7, idempotency_key="k") for _ in range(5)),
        )
        assert await built.balance() == 57

    with_house(tmp_path, body)


def test_a_debit_takes_what_is_there_and_no_more(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        await built.fund(5)
        before = await balances(built)
        with pytest.raises(InsufficientBalance, match=r"\$0\.000005.*\$0\.000006"):
            await do(built, "admin_debit", 6)
        assert await balances(built) == before
        assert len((await transfers.history(built.engine, WALLET))[0]) == 1
        assert (await do(built, "admin_debit", 5)).balance == 0

    with_house(tmp_path, body)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("amount", [0, -1, AMOUNT_MAX + 1, 1.0, True, "5"])
def test_only_positive_whole_amounts_are_moved(tmp_path: Path, kind: str, amount: object) -> None:
    async def body(built: House) -> None:
        with pytest.raises(InvalidAmount):
            await do(built, kind, amount)

    with_house(tmp_path, body)


@pytest.mark.parametrize(
    ("wallet", "more", "error"),
    [
        (user_wallet("nobody"), {}, NotFound),
        (REVENUE, {}, InvalidRequest),
        (EXTERNAL, {}, InvalidRequest),
        (WALLET, {"note": "n" * 501}, InvalidRequest),
        (WALLET, {"idempotency_key": ""}, InvalidRequest),
        (WALLET, {"idempotency_key": "k" * 201}, InvalidRequest),
    ],
)
def test_wrong_inputs_are_refused(
    tmp_path: Path, wallet: str, more: dict[str, object], error: type[GatewayError]
) -> None:
    async def body(built: House) -> None:
        with pytest.raises(error):
            await do(built, "topup", 5, wallet, **more)
        assert await balances(built) == {}

    with_house(tmp_path, body)


def test_an_account_is_made_once_and_empty(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        wallet = org_wallet("new")
        for now_us in (1, 2):
            async with built.engine.begin() as connection:
                await transfers.ensure_account(connection, wallet, now_us)
        await built.fund(5, wallet)
        async with built.engine.begin() as connection:
            await transfers.ensure_account(connection, wallet, 3)
        assert await built.balance(wallet) == 5
        with pytest.raises(NotFound):
            await transfers.balance(built.engine, org_wallet("other"))
        with pytest.raises(InvalidRequest):
            async with built.engine.begin() as connection:
                await transfers.ensure_account(connection, "cash", 1)

    with_house(tmp_path, body)


def test_history_is_newest_first_signed_and_paged(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        await built.fund(99, user_wallet("u2"))
        for number, kind in enumerate(("topup", "admin_credit", "admin_debit", "refund")):
            await do(built, kind, 10 + number, now_us=number, note=kind)
        await built.add_key(key_record())
        async with running(built) as ledger:
            built.spend(ledger, await ledger.open(key_record()), "r1", 4)
        entries, total = await transfers.history(built.engine, WALLET)
        assert total == 5
        assert [
            (entry.kind, entry.amount, entry.other, entry.request_id, entry.note) for entry in entries
        ] == [
            ("usage", -4, REVENUE, "r1", ""),
            ("refund", 13, REVENUE, None, "refund"),
            ("admin_debit", -12, PROMOTION, None, "admin_debit"),
            ("admin_credit", 11, PROMOTION, None, "admin_credit"),
            ("topup", 10, EXTERNAL, None, "topup"),
        ]
        assert sum(entry.amount for entry in entries) == await built.balance()
        paged: list[Entry] = []
        for offset in range(0, 6, 2):
            page, total = await transfers.history(built.engine, WALLET, limit=2, offset=offset)
            assert total == 5
            paged += page
        assert paged == entries

    with_house(tmp_path, body)


def test_a_page_of_history_is_read_through_indexes(tmp_path: Path) -> None:
    """Else an account with a long history would be slow, and so would every account in a large database."""

    async def body(built: House) -> None:
        seen: list[tuple[str, object]] = []

        def note(_conn: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
            if "transfers" in statement:
                seen.append((statement, parameters))

        event.listen(built.engine.sync_engine, "before_cursor_execute", note)
        await transfers.history(built.engine, WALLET)
        event.remove(built.engine.sync_engine, "before_cursor_execute", note)
        assert len(seen) == 3
        async with built.engine.connect() as connection:
            for statement, parameters in seen:
                plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                steps = [row[3] for row in plan if "transfers" in row[3]]
                assert steps
                assert all(step.startswith("SEARCH transfers USING") for step in steps), steps

    with_house(tmp_path, body)


def test_revenue_has_a_history_too(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        await built.fund(1 * USD)
        await built.add_key(key_record())
        async with running(built) as ledger:
            built.spend(ledger, await ledger.open(key_record()), "r1", 4)
        await do(built, "refund", 3)
        entries, total = await transfers.history(built.engine, REVENUE)
        assert (total, sorted(entry.amount for entry in entries)) == (2, [-3, 4])

    with_house(tmp_path, body)
