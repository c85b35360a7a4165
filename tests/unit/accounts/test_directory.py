import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts import aliases, channels, groups, keys, prices, users
from bytespike.accounts.channels import ChannelChanges
from bytespike.accounts.directory import Directory
from bytespike.accounts.groups import GroupChanges
from bytespike.accounts.key_hash import hash_key
from bytespike.accounts.keys import KeyChanges
from bytespike.accounts.prices import Rates
from bytespike.accounts.records import KeyRecord
from bytespike.accounts.users import UserChanges
from bytespike.catalog.load import Alias
from bytespike.pricing.price import Price
from bytespike.providers.platforms import DIALECTS
from bytespike.store import changes
from bytespike.store import keys as store_keys
from tests.support.control_plane import DEFAULT_PRICE, Plane, plane

SECOND_US = 1_000_000


async def eventually(condition, seconds: float = 1.0) -> bool:
    """Whether it came true within the second that is promised."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        await asyncio.sleep(0.02)
    return False


def test_a_key_is_loaded_once_and_then_found_without_io(tmp_path: Path) -> None:
    async def run() -> None:
        async with plane(tmp_path) as p:
            minted = await p.key(await p.user(), await p.group(), quota=5, ip_whitelist=("10.0.0.0/8",))
            directory = p.directory()
            await directory.start()
            digest = hash_key(minted.plaintext)
            queries: list[str] = []
            event.listen(
                p.control.engine.sync_engine,
                "before_cursor_execute",
                lambda *args: queries.append(args[2]),
            )
            assert directory.get(digest) is None
            found = await asyncio.gather(*(directory.load(digest) for _ in range(50)))
            assert len([query for query in queries if query.startswith("SELECT")]) == 2  # the key, its caps
            record = directory.get(digest)
            assert all(each is record for each in found)
            assert isinstance(record, KeyRecord)
            assert (record.id, record.quota, record.concurrency) == (minted.row.id, 5, 5)
            assert record.account_id == f"wallet:user:{minted.row.user_id}"
            assert [str(each) for each in record.ip_whitelist] == ["10.0.0.0/8"]

    asyncio.run(run())


def test_a_lookup_costs_well_under_a_microsecond(tmp_path: Path) -> None:
    async def run() -> float:
        async with plane(tmp_path) as p:
            minted = await p.key(await p.user(), await p.group())
            directory = p.directory()
            digest = hash_key(minted.plaintext)
            await directory.load(digest)
            best = 1.0
            for _ in range(5):
                started = time.perf_counter()
                for _ in range(20_000):
                    directory.get(digest)
                best = min(best, (time.perf_counter() - started) / 20_000)
            return best

    assert asyncio.run(run()) < 1e-6


def test_an_org_key_is_paid_by_the_org_and_tiers_set_concurrency(tmp_path: Path) -> None:
    async def run() -> None:
        async with plane(tmp_path) as p:
            user = await p.user(tier="pro")
            async with p.control.writing("test") as write:
                org = await users.create_org(write, "Acme")
            minted = await p.key(user, await p.group(), org_id=org.id)
            record = await p.directory().load(hash_key(minted.plaintext))
            assert record is not None
            assert (record.account_id, record.concurrency) == (f"wallet:org:{org.id}", 25)
            async with p.control.writing("test") as write:
                await users.set_org_status(write, org.id, "paused")
                await users.update(write, user.id, UserChanges(concurrency=7, rpm=60, status="disabled"))
            record = await p.directory().load(hash_key(minted.plaintext))
            assert record is not None
            assert (record.org_status, record.owner_status, record.concurrency, record.rpm) == (
                "paused",
                "disabled",
                7,
                60,
            )

    asyncio.run(run())


def test_unknown_keys_are_remembered_briefly_and_a_new_key_works_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with plane(tmp_path) as p:
            user, group = await p.user(), await p.group()
            directory = p.directory()
            await directory.start()
            custom = "sk-byts-abcdefghijklmnopqrstuvwxyz012345"
            assert await directory.load(hash_key(custom)) is None
            await p.key(user, group, custom_key=custom)
            assert await directory.load(hash_key(custom)) is None  # remembered
            await directory.poll()
            assert await directory.load(hash_key(custom)) is not None
            assert await directory.load(hash_key("other")) is None
            p.clock.ahead_us += 3 * SECOND_US
            assert await directory.load(hash_key("other")) is None

    asyncio.run(run())


def test_memory_is_bounded_and_the_longest_unused_key_goes_first(tmp_path: Path) -> None:
    async def run() -> None:
        async with plane(tmp_path) as p:
            user, group = await p.user(), await p.group()
            digests = [hash_key((await p.key(user, group)).plaintext) for _ in range(3)]
            directory = p.directory(keys_max=2)
            await directory.load(digests[0])
            await directory.load(digests[1])
            directory.get(digests[0])
            await directory.load(digests[2])
            assert [directory.get(digest) is not None for digest in digests] == [True, False, True]

    asyncio.run(run())


async def _change_status(p: Plane, record: KeyRecord, what: str) -> None:
    async with p.control.writing("test") as write:
        match what:
            case "revoke":
                await keys.revoke(write, record.id)
            case "rotate":
                await keys.rotate(write, record.id)
            case "disable":
                await keys.update(write, record.id, KeyChanges(status="disabled"))
            case "expire":
                await keys.update(write, record.id, KeyChanges(expires_in_days=1))
            case _:
                await users.update(write, record.user_id, UserChanges(status="disabled"))


@pytest.mark.parametrize("what", ["revoke", "rotate", "disable", "expire", "owner"])
def test_a_change_of_a_key_or_its_owner_arrives_within_a_second(tmp_path: Path, what: str) -> None:
    """Two directories on connections of their own, as two gateways have."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            p = await stack.enter_async_context(plane(tmp_path))
            other = await stack.enter_async_context(plane(tmp_path))
            minted = await p.key(await p.user(), await p.group())
            digest = hash_key(minted.plaintext)
            directories: list[Directory] = [p.directory(), other.directory()]
            told: list[tuple[str, str]] = []
            tasks: list[asyncio.Task[None]] = []
            for directory in directories:
                await directory.start()
                record = await directory.load(digest)
                assert record is not None
                directory.subscribe(lambda kind, ref: told.append((kind, ref)))
                tasks.append(asyncio.create_task(directory.run()))
            await _change_status(p, record, what)
            for directory in directories:
                assert await eventually(lambda directory=directory: directory.get(digest) is None)
                after = await directory.load(digest)
                match what:
                    case "rotate":
                        assert after is None
                    case "expire":
                        assert after is not None
                        assert after.expires_at is not None
                    case "owner":
                        assert after is not None
                        assert after.owner_status == "disabled"
                    case _:
                        assert after is not None
                        assert after.status == ("revoked" if what == "revoke" else "disabled")
            expected = ("user", record.user_id) if what == "owner" else ("key", record.id)
            assert told == [expected] * 2
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


def test_a_load_that_a_change_overtook_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with plane(tmp_path) as p:
            minted = await p.key(await p.user(), await p.group())
            digest = hash_key(minted.plaintext)
            directory = p.directory()
            await directory.start()
            has_read, may_go_on = asyncio.Event(), asyncio.Event()
            by_hash = store_keys.by_hash

            async def slow(connection: AsyncConnection, hash: str) -> store_keys.KeyAndOwner | None:
                row = await by_hash(connection, hash)
                has_read.set()
                await may_go_on.wait()
                return row

            monkeypatch.setattr(store_keys, "by_hash", slow)
            loading = asyncio.create_task(directory.load(digest))
            await has_read.wait()
            async with p.control.writing("test") as write:
                await keys.revoke(write, minted.row.id)
            await directory.poll()
            may_go_on.set()
            overtaken = await loading
            assert overtaken is not None
            assert overtaken.status == "active"
            assert directory.get(digest) is None
            fresh = await directory.load(digest)
            assert fresh is not None
            assert fresh.status == "revoked"

    asyncio.run(run())


def test_a_caller_that_gives_up_does_not_take_the_answer_from_the_others(tmp_path: Path) -> None:
    async def run() -> None:
        async with plane(tmp_path) as p:
            minted = await p.key(await p.user(), await p.group())
            directory = p.directory()
            first = asyncio.create_task(directory.load(hash_key(minted.plaintext)))
            second = asyncio.create_task(directory.load(hash_key(minted.plaintext)))
            await asyncio.sleep(0)
            first.cancel()
            record = await second
            assert record is not None
            assert first.cancelled()

    asyncio.run(run())


def test_routes_hold_enabled_channels_by_group_and_model_in_order(tmp_path: Path) -> None:
    async def run() -> None:
        async with plane(tmp_path) as p:
            one, two = await p.group("one"), await p.group("two", multiplier_ppm=1_500_000)
            late = await p.channel(one, "late", {"gpt-5-5": "g", "claude-sonnet-4-6": "c"}, priority=5)
            soon = await p.channel(one, "soon", {"gpt-5-5": "g2"}, priority=-1, headers={"X-A": "b"})
            await p.channel(one, "off", enabled=False)
            await p.channel(two, "unpriced", {"nobody-knows": "x"}, proxy="http://u:p@proxy.example:8080")
            directory = p.directory()
            await directory.start()
            routes = directory.routes
            assert [each.name for each in routes.by_group_model[one.id]["gpt-5-5"]] == ["soon", "late"]
            assert [each.name for each in routes.by_group_model[one.id]["claude-sonnet-4-6"]] == ["late"]
            assert two.id not in routes.by_group_model
            assert routes.groups[two.id].multiplier_ppm == 1_500_000
            channel = routes.channels[soon.channel.id]
            assert channel.credential == "upstream-secret"
            assert "secret" not in repr(channel)
            assert channel.headers == {"x-a": "b"}
            assert channel.endpoints["openai_chat"].origin.host == "api.example.com"
            assert [each for each in channel.endpoints if each in DIALECTS] == ["openai_chat"]
            assert {each.origin.host for each in channel.endpoints.values()} == {"api.example.com"}
            assert channel.models["gpt-5-5"].price == DEFAULT_PRICE
            assert channel.models["gpt-5-5"].upstream_model == "g2"
            unpriced = next(each for each in routes.channels.values() if each.name == "unpriced")
            assert unpriced.proxy == "http://u:p@proxy.example:8080"
            assert late.group_ids == (one.id,)

    asyncio.run(run())


def test_routing_changes_arrive_and_the_old_snapshot_stays_as_it_was(tmp_path: Path) -> None:
    async def run() -> None:
        async with plane(tmp_path) as p:
            group = await p.group()
            view = await p.channel(group)
            directory = p.directory()
            await directory.start()
            before = directory.routes
            async with p.control.writing("test") as write:
                await channels.update(write, view.channel.id, ChannelChanges(weight=9, credential="new"))
                await groups.update(write, group.id, GroupChanges(multiplier_ppm=2_000_000))
                await aliases.add(write, Alias("gpt-latest*", "gpt-5-5"))
            await directory.poll()
            after = directory.routes
            assert (after.channels[view.channel.id].weight, after.channels[view.channel.id].credential) == (
                9,
                "new",
            )
            assert after.groups[group.id].multiplier_ppm == 2_000_000
            assert after.aliases == (Alias("gpt-latest*", "gpt-5-5"),)
            assert (before.channels[view.channel.id].weight, before.aliases) == (1, ())
            async with p.control.writing("test") as write:
                await channels.disable(write, view.channel.id, "401 from the upstream")
            await directory.poll()
            assert directory.routes.by_group_model == {}
            async with p.control.writing("test") as write:
                await channels.remove(write, view.channel.id)
            await directory.poll()
            assert directory.routes.channels == {}

    asyncio.run(run())


def test_the_price_is_the_channels_then_the_models_then_the_catalogs(tmp_path: Path) -> None:
    async def run() -> None:
        async with plane(tmp_path) as p:
            group = await p.group()
            one = (await p.channel(group, "one")).channel.id
            two = (await p.channel(group, "two")).channel.id
            directory = p.directory()
            await directory.start()

            def price(channel_id: str) -> Price:
                return directory.routes.channels[channel_id].models["gpt-5-5"].price

            assert price(one) == price(two) == DEFAULT_PRICE
            assert directory.routes.prices_updated_at == 0
            async with p.control.writing("test") as write:
                await prices.set_price(write, "gpt-5-5", Rates(input=7), p.default_prices.get)
                await prices.set_price(
                    write, "gpt-5-5", Rates(output=8), p.default_prices.get, channel_id=one
                )
            await directory.poll()
            assert (price(one).id, price(one).input, price(one).output) == ("price_2", 7, 8)
            assert (price(two).id, price(two).input, price(two).output) == (
                "price_1",
                7,
                DEFAULT_PRICE.output,
            )
            assert directory.routes.prices_updated_at > 0
            async with p.control.writing("test") as write:
                later = write.now_us + 5 * SECOND_US
                await prices.set_price(
                    write, "gpt-5-5", Rates(input=9), p.default_prices.get, channel_id=one, effective_at=later
                )
            await directory.poll()
            assert price(one).input == 7
            p.clock.ahead_us += 5 * SECOND_US
            await directory.poll()
            assert (price(one).input, price(one).output) == (9, 8)

    asyncio.run(run())


def test_a_channel_whose_secret_does_not_open_is_left_out_alone(tmp_path: Path) -> None:
    async def run() -> None:
        async with plane(tmp_path) as p:
            group = await p.group()
            broken, whole = await p.channel(group, "broken"), await p.channel(group, "whole")
            async with p.control.engine.begin() as connection:
                await connection.exec_driver_sql(
                    "UPDATE channels SET credential = (SELECT credential FROM channels WHERE id = ?) WHERE id = ?",
                    (whole.channel.id, broken.channel.id),
                )
            directory = p.directory()
            await directory.start()
            assert list(directory.routes.channels) == [whole.channel.id]

    asyncio.run(run())


def test_a_channel_that_cannot_be_called_is_left_out_alone(tmp_path: Path) -> None:
    async def run() -> None:
        async with plane(tmp_path) as p:
            group = await p.group()
            broken, whole = await p.channel(group, "broken"), await p.channel(group, "whole")
            async with p.control.engine.begin() as connection:
                await connection.exec_driver_sql(
                    "UPDATE channels SET platform = 'gone' WHERE id = ?", (broken.channel.id,)
                )
            directory = p.directory()
            await directory.start()
            assert list(directory.routes.channels) == [whole.channel.id]

    asyncio.run(run())


def test_after_a_long_silence_everything_is_read_anew(tmp_path: Path) -> None:
    """Changes are deleted after a while: a gateway that could not read them for long must not miss any."""

    async def run() -> None:
        async with plane(tmp_path) as p:
            minted = await p.key(await p.user(), await p.group())
            directory = p.directory()
            await directory.start()
            assert await directory.load(hash_key(minted.plaintext)) is not None
            async with p.control.writing("test") as write:
                await keys.revoke(write, minted.row.id)
            async with p.control.engine.begin() as connection:
                await connection.exec_driver_sql("DELETE FROM changes")
            await directory.poll()
            assert directory.get(hash_key(minted.plaintext)) is not None
            p.clock.ahead_us += changes.KEPT_US
            await directory.poll()
            assert directory.get(hash_key(minted.plaintext)) is None

    asyncio.run(run())


def test_the_feed_goes_on_after_a_subscriber_failed(tmp_path: Path) -> None:
    async def run() -> None:
        async with plane(tmp_path) as p:
            minted = await p.key(await p.user(), await p.group())
            directory = p.directory()
            await directory.start()
            told: list[str] = []

            def fail_once(kind: str, ref: str) -> None:
                told.append(ref)
                if len(told) == 1:
                    raise RuntimeError("a mistake of its own")

            directory.subscribe(fail_once)
            task = asyncio.create_task(directory.run())
            for _ in range(2):
                async with p.control.writing("test") as write:
                    await keys.rotate(write, minted.row.id)
                seen = len(told)
                assert await eventually(lambda seen=seen: len(told) > seen, seconds=3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_the_feed_goes_on_after_the_database_was_away(tmp_path: Path) -> None:
    async def run() -> None:
        async with plane(tmp_path) as p:
            minted = await p.key(await p.user(), await p.group())
            directory = p.directory()
            await directory.start()
            digest = hash_key(minted.plaintext)
            await directory.load(digest)
            async with p.control.engine.begin() as connection:
                await connection.exec_driver_sql("ALTER TABLE changes RENAME TO away")
            task = asyncio.create_task(directory.run())
            await asyncio.sleep(0.1)
            assert not task.done()
            assert directory.get(digest) is not None
            async with p.control.engine.begin() as connection:
                await connection.exec_driver_sql("ALTER TABLE away RENAME TO changes")
            async with p.control.writing("test") as write:
                await keys.revoke(write, minted.row.id)
            assert await eventually(lambda: directory.get(digest) is None, seconds=3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
