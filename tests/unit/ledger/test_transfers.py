from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, select

from bytespike.errors import GatewayError, InsufficientBalance, InvalidRequest, NotFound
from bytespike.ledger import doctor, transfers
from bytespike.ledger.amounts import AMOUNT_MAX
from bytespike.ledger.entries import EXTERNAL, PROMOTION, REVENUE, org_wallet, user_wallet
from bytespike.ledger.invalid_amount import InvalidAmount
from bytespike.ledger.statements import Entry, EntryFilter, Statement, statement
from bytespike.ledger.transfers import IdempotencyConflict, RefundTooLarge
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


async def cost(built: House, micros: int, request_id: str = "r0", wallet: str = WALLET) -> None:
    """A request that cost so much, brought into the books; the wallet has as much as before."""
    await built.fund(micros, wallet)
    record = await built.add_key(key_record(f"key_of_{request_id}", account_id=wallet))
    async with running(built) as ledger:
        built.spend(ledger, await ledger.open(record), request_id, micros)


async def history(built: House, account_id: str = WALLET, **page: int) -> Statement:
    return await statement(built.engine, EntryFilter(account_id), **page)


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
        await cost(built, 10 * USD)
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
        await cost(built, 10 * USD)
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
        await cost(built, 10 * USD)
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
        assert (await history(built)).total == 1
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
        await cost(built, 13)
        for number, kind in enumerate(("topup", "admin_credit", "admin_debit", "refund")):
            built.clock.forward(1)
            await do(built, kind, 10 + number, note=kind)
        built.clock.forward(1)
        await built.add_key(key_record())
        async with running(built) as ledger:
            built.spend(ledger, await ledger.open(key_record()), "r1", 4)
        whole = await history(built)
        entries = list(whole.items)
        assert (whole.total, whole.total_is_exact) == (7, True)
        assert [
            (entry.kind, entry.amount, entry.other, entry.request_id, entry.note) for entry in entries
        ] == [
            ("usage", -4, REVENUE, "r1", ""),
            ("refund", 13, REVENUE, None, "refund"),
            ("admin_debit", -12, PROMOTION, None, "admin_debit"),
            ("admin_credit", 11, PROMOTION, None, "admin_credit"),
            ("topup", 10, EXTERNAL, None, "topup"),
            ("usage", -13, REVENUE, "r0", ""),
            ("topup", 13, EXTERNAL, None, ""),
        ]
        assert sum(entry.amount for entry in entries) == await built.balance()
        paged: list[Entry] = []
        for offset in range(0, 8, 2):
            page = await history(built, limit=2, offset=offset)
            assert page.total == 7
            paged += page.items
        assert paged == entries

    with_house(tmp_path, body)


def test_no_more_is_refunded_than_requests_have_cost(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        await built.fund(10 * USD)
        with pytest.raises(
            RefundTooLarge, match=r"have cost this wallet \$0\.00, .* \$0\.00 can be refunded"
        ):
            await do(built, "refund", 1)
        await cost(built, 3 * USD)
        # Presents, debits and paid periods are no requests, and no other wallet's requests are this one's.
        await do(built, "admin_credit", 7 * USD)
        await do(built, "admin_debit", 5 * USD)
        await do(built, "subscription_renew", 2 * USD)
        await cost(built, 50 * USD, "r_other", user_wallet("u2"))
        await do(built, "refund", 2 * USD)
        before = await balances(built)
        told = r"have cost this wallet \$3\.00, and \$2\.00 of it was given back: \$1\.00 can be refunded"
        with pytest.raises(RefundTooLarge, match=told) as caught:
            await do(built, "refund", 1 * USD + 1)
        assert caught.value.param == "amount"
        assert await balances(built) == before
        await do(built, "refund", 1 * USD, idempotency_key="last")
        assert (await do(built, "refund", 1 * USD, idempotency_key="last")).repeated
        with pytest.raises(RefundTooLarge):
            await do(built, "refund", 1)

    with_house(tmp_path, body)


def test_refunds_at_the_same_time_share_what_is_left(tmp_path: Path) -> None:
    async def body(built: House) -> None:
        await cost(built, 10)
        done = await asyncio.gather(*(do(built, "refund", 3) for _ in range(8)), return_exceptions=True)
        assert sum(isinstance(each, transfers.Transfer) for each in done) == 3
        assert sum(isinstance(each, RefundTooLarge) for each in done) == 5
        assert await built.balance() == 9

    with_house(tmp_path, body)


@contextmanager
def statements(built: House) -> Iterator[list[tuple[str, object]]]:
    """What is asked of the table of transfers."""
    seen: list[tuple[str, object]] = []

    def note(_conn: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if "transfers" in statement:
            seen.append((statement, parameters))

    event.listen(built.engine.sync_engine, "before_cursor_execute", note)
    yield seen
    event.remove(built.engine.sync_engine, "before_cursor_execute", note)


def test_what_may_be_refunded_is_found_without_reading_receipts(tmp_path: Path) -> None:
    """A wallet that has paid for millions of requests is refunded as quickly as a new one."""

    async def body(built: House) -> None:
        await cost(built, 10)
        with statements(built) as seen:
            await do(built, "refund", 3)
        sums = [each for each in seen if "sum(" in each[0]]
        assert len(sums) == 2
        async with built.engine.connect() as connection:
            for statement, parameters in sums:
                plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                steps = [row[3] for row in plan if "transfers" in row[3]]
                assert steps
                assert all("ix_transfers_credit_account" in step for step in steps), steps

    with_house(tmp_path, body)


def test_a_page_of_history_is_read_through_indexes(tmp_path: Path) -> None:
    """Else an account with a long history would be slow, and so would every account in a large database."""

    async def body(built: House) -> None:
        with statements(built) as seen:
            await history(built)
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
        found = await history(built, REVENUE)
        assert (found.total, sorted(entry.amount for entry in found.items)) == (2, [-3, 4])

    with_house(tmp_path, body)
