"""What the control plane's services allow, and what each leaves in the audit log and the change feed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from bytespike.accounts import aliases, channels, groups, keys, prices, sessions, users
from bytespike.accounts.channels import ChannelChanges
from bytespike.accounts.control import Write
from bytespike.accounts.groups import GroupChanges, NewGroup, format_multiplier, parse_multiplier
from bytespike.accounts.key_hash import hash_key
from bytespike.accounts.keys import KeyChanges, NewKey
from bytespike.accounts.passwords import hash_password
from bytespike.accounts.prices import AHEAD_US_MAX, Rates
from bytespike.accounts.users import NewUser, UserChanges
from bytespike.catalog.load import Alias
from bytespike.errors import GatewayError, InvalidKey, InvalidRequest, NotFound, PermissionDenied
from bytespike.store import audit
from bytespike.store import changes as feed
from bytespike.store import groups as store_groups
from bytespike.store import keys as store_keys
from tests.support.control_plane import Plane, plane


def with_plane(folder: Path, body: Callable[[Plane], Awaitable[None]]) -> None:
    async def run() -> None:
        async with plane(folder) as p:
            await body(p)

    asyncio.run(run())


async def refused(
    p: Plane, error: type[GatewayError], action: Callable[[Write], Awaitable[object]], word: str = ""
) -> GatewayError:
    with pytest.raises(error, match=word or None) as caught:
        async with p.control.writing("test") as write:
            await action(write)
    return caught.value


def test_a_key_is_stored_sealed_and_listed_masked(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        minted = await p.key(await p.user(), await p.group(), name="laptop")
        assert minted.plaintext.startswith("sk-byts-")
        assert minted.row.masked == f"sk-byts-…****{minted.plaintext[-4:]}"
        assert minted.plaintext not in repr(minted)
        async with p.control.reading() as connection:
            rows, total = await store_keys.listing(connection)
            row = (await connection.execute(text("SELECT * FROM keys"))).mappings().one()
        assert ([each.name for each in rows], total) == (["laptop"], 1)
        assert row["hash"] == hash_key(minted.plaintext)
        assert minted.plaintext.encode() not in row["secret"]
        assert minted.plaintext not in str(dict(row))

    with_plane(tmp_path, body)


def test_reveal_gives_the_plaintext_and_leaves_an_audit_row(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        minted = await p.key(await p.user(), await p.group())
        async with p.control.writing("user:ada") as write:
            shown = await keys.reveal(write, minted.row.id)
        assert shown.plaintext == minted.plaintext
        async with p.control.reading() as connection:
            rows, _ = await audit.listing(connection, target=minted.row.id)
        assert [(row.actor, row.action) for row in rows] == [
            ("user:ada", "keys.reveal"),
            ("test", "keys.create"),
        ]
        assert minted.plaintext not in str(rows)

    with_plane(tmp_path, body)


def test_rotation_keeps_the_key_and_changes_its_plaintext(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        minted = await p.key(await p.user(), await p.group(), quota=7)
        async with p.control.writing("test") as write:
            rotated = await keys.rotate(write, minted.row.id)
            assert (await keys.reveal(write, minted.row.id)).plaintext == rotated.plaintext
        assert rotated.plaintext != minted.plaintext
        assert (rotated.row.id, rotated.row.quota) == (minted.row.id, 7)
        assert rotated.row.masked.endswith(rotated.plaintext[-4:])

    with_plane(tmp_path, body)


def test_a_revoked_key_stays_revoked_and_is_hidden_when_asked(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        minted = await p.key(await p.user(), await p.group())
        key_id = minted.row.id
        async with p.control.writing("test") as write:
            assert (await keys.revoke(write, key_id)).status == "revoked"
            assert (await keys.revoke(write, key_id)).status == "revoked"
        await refused(
            p, InvalidRequest, lambda w: keys.update(w, key_id, KeyChanges(status="active")), "revoked"
        )
        await refused(p, InvalidRequest, lambda w: keys.rotate(w, key_id), "revoked")
        await refused(p, InvalidRequest, lambda w: keys.reveal(w, key_id), "revoked")
        async with p.control.reading() as connection:
            assert (await store_keys.listing(connection, revoked=False))[1] == 0
            assert (await store_keys.listing(connection))[1] == 1

    with_plane(tmp_path, body)


def test_another_users_key_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        minted = await p.key(await p.user(), await p.group())
        for action in (
            lambda w: keys.rotate(w, minted.row.id, user_id="usr_other"),
            lambda w: keys.revoke(w, minted.row.id, user_id="usr_other"),
            lambda w: keys.reveal(w, minted.row.id, user_id="usr_other"),
            lambda w: keys.update(w, minted.row.id, KeyChanges(name="x"), user_id="usr_other"),
        ):
            await refused(p, NotFound, action)

    with_plane(tmp_path, body)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": ""}, "name"),
        ({"quota": -1}, "quota"),
        ({"limit_5h": 10**16}, "limit_5h"),
        ({"ip_whitelist": ("nonsense",)}, "ip_whitelist"),
        ({"ip_blacklist": ("1.2.3.4/99",)}, "ip_blacklist"),
        ({"expires_in_days": 0}, "expires_in_days"),
        ({"custom_key": "sk-byts-short"}, "custom_key"),
        ({"allowed_models": tuple(str(n) for n in range(201))}, "allowed_models"),
    ],
)
def test_a_wrong_field_of_a_key_is_named_and_nothing_is_stored(
    tmp_path: Path, fields: dict[str, object], param: str
) -> None:
    async def body(p: Plane) -> None:
        user, group = await p.user(), await p.group()
        new = NewKey(**{"name": "k", "user_id": user.id, "group_id": group.id, **fields})
        error = await refused(p, InvalidRequest, lambda w: keys.create(w, new))
        assert error.param == param
        async with p.control.reading() as connection:
            assert (await store_keys.listing(connection))[1] == 0

    with_plane(tmp_path, body)


def test_a_custom_key_that_exists_cannot_be_used_again(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        user, group = await p.user(), await p.group()
        custom = "sk-byts-abcdefghijklmnopqrstuvwxyz012345"
        await p.key(user, group, custom_key=custom)
        new = NewKey(name="again", user_id=user.id, group_id=group.id, custom_key=custom)
        error = await refused(p, InvalidRequest, lambda w: keys.create(w, new))
        assert custom not in error.message

    with_plane(tmp_path, body)


def test_a_key_needs_a_group_that_is_open_to_its_user(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        user, open_group = await p.user(), await p.group()
        exclusive = await p.group("vip", exclusive=True)
        new = NewKey(name="k", user_id=user.id, group_id=exclusive.id)
        await refused(p, PermissionDenied, lambda w: keys.create(w, new), "grant")
        async with p.control.writing("test") as write:
            await groups.grant(write, exclusive.id, user.id)
            minted = await keys.create(write, new)
            await groups.withdraw(write, exclusive.id, user.id)
        await refused(p, NotFound, lambda w: groups.withdraw(w, exclusive.id, user.id))
        async with p.control.writing("test") as write:
            await groups.update(write, open_group.id, GroupChanges(status="disabled"))
        change = KeyChanges(group_id=open_group.id)
        await refused(p, PermissionDenied, lambda w: keys.update(w, minted.row.id, change), "not active")
        await refused(p, NotFound, lambda w: keys.update(w, minted.row.id, KeyChanges(group_id=99)))
        async with p.control.reading() as connection:
            assert await store_groups.open_to(connection, user.id) == []

    with_plane(tmp_path, body)


def test_an_update_sets_only_what_is_given(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        minted = await p.key(
            await p.user(),
            await p.group(),
            quota=5,
            expires_in_days=3,
            allowed_models=("gpt-5-5",),
            limit_1d=4,
        )
        async with p.control.writing("test") as write:
            same = await keys.update(write, minted.row.id, KeyChanges())
            assert same == minted.row
            changed = await keys.update(
                write,
                minted.row.id,
                KeyChanges(name="new", expires_in_days=None, allowed_models=None, ip_blacklist=("::1",)),
            )
        assert (changed.name, changed.expires_at, changed.allowed_models) == ("new", None, None)
        assert (changed.quota, changed.limit_1d, changed.ip_blacklist) == (5, 4, ("::1/128",))

    with_plane(tmp_path, body)


def test_a_failed_write_leaves_no_trace(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        async with p.control.reading() as connection:
            before = await feed.newest(connection)

        async def two(write: Write) -> None:
            await groups.create(write, NewGroup(name="made"))
            await groups.create(write, NewGroup(name="made"))

        await refused(p, InvalidRequest, two, "already")
        async with p.control.reading() as connection:
            assert await store_groups.listing(connection) == []
            assert await feed.newest(connection) == before
            assert (await audit.listing(connection))[1] == 0

    with_plane(tmp_path, body)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"platform": "Open AI"}, "platform"),
        ({"base_urls": {"openai_chat": "ftp://x"}}, "base_urls"),
        ({"base_urls": {"openai_chat": "https://user:pw@x"}}, "base_urls"),
        ({"base_urls": {"openai_chat": "https://x?key=1"}}, "base_urls"),
        ({"base_urls": {"openai_chat": "http://[::1"}}, "base_urls"),
        ({"base_urls": {"not a dialect": "https://x"}}, "base_urls"),
        ({"credential": " \n"}, "credential"),
        ({"credential": "x" * 20_000}, "credential"),
        ({"proxy": "socks5://u:hunter2@x"}, "proxy"),
        ({"proxy": "http://[u:hunter2"}, "proxy"),
        ({"weight": -1}, "weight"),
        ({"rpm": 0}, "rpm"),
        ({"tpm": -5}, "tpm"),
        ({"priority": 10**9}, "priority"),
        ({"headers": {"Authorization": "Bearer x"}}, "headers"),
        ({"headers": {"X-A": "a\r\nb: c"}}, "headers"),
        ({"headers": {"bad name": "a"}}, "headers"),
        ({"timeouts": {"connect": 0.0}}, "timeouts"),
        ({"timeouts": {"idle": float("nan")}}, "timeouts"),
        ({"timeouts": {"forever": 1.0}}, "timeouts"),
    ],
)
def test_a_wrong_field_of_a_channel_is_named_without_its_secrets(
    tmp_path: Path, fields: dict[str, object], param: str
) -> None:
    async def body(p: Plane) -> None:
        group = await p.group()
        with pytest.raises(InvalidRequest) as caught:
            await p.channel(group, **fields)
        assert caught.value.param == param
        assert "hunter2" not in caught.value.message
        assert "pw@" not in caught.value.message

    with_plane(tmp_path, body)


def test_a_channel_is_changed_field_by_field(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        one, two = await p.group("one"), await p.group("two")
        view = await p.channel(one, proxy="http://proxy.example:1", timeouts={"connect": 2})
        await p.channel(one, "other")
        channel_id = view.channel.id
        async with p.control.writing("test") as write:
            await channels.disable(write, channel_id, "402")
            assert (await channels.get(write.connection, channel_id)).channel.disabled_reason == "402"
            changed = await channels.update(
                write,
                channel_id,
                ChannelChanges(
                    name="renamed",
                    enabled=True,
                    group_ids=(one.id, two.id),
                    models={"claude-sonnet-4-6": "c", "gpt-5-5": "g"},
                    base_urls={},
                    proxy=None,
                    priority=3,
                    region="eu",
                    rpm=10,
                    tpm=None,
                    headers={"X-A": "1"},
                ),
            )
        assert changed.group_ids == (one.id, two.id)
        assert changed.models == {"claude-sonnet-4-6": "c", "gpt-5-5": "g"}
        row = changed.channel
        assert (row.name, row.disabled_reason, row.enabled, row.timeouts) == (
            "renamed",
            None,
            True,
            {"connect": 2.0},
        )
        assert (row.priority, row.region, row.rpm, row.base_urls, row.headers) == (
            3,
            "eu",
            10,
            {},
            {"x-a": "1"},
        )
        taken = ChannelChanges(name="other")
        await refused(p, InvalidRequest, lambda w: channels.update(w, channel_id, taken), "already")
        nowhere = ChannelChanges(group_ids=(99,))
        await refused(p, NotFound, lambda w: channels.update(w, channel_id, nowhere))
        assert "hunter2" not in repr(ChannelChanges(credential="hunter2", proxy="hunter2"))

    with_plane(tmp_path, body)


def test_prices_are_bounded_whole_and_never_of_the_past(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        default = p.default_prices.get

        async def at(write: Write, moment: int) -> object:
            return await prices.set_price(write, "gpt-5-5", Rates(input=1), default, effective_at=moment)

        await refused(p, InvalidRequest, lambda w: at(w, w.now_us - 1))
        await refused(p, InvalidRequest, lambda w: at(w, w.now_us + AHEAD_US_MAX + 1))
        await refused(p, InvalidRequest, lambda w: prices.set_price(w, "gpt-5-5", Rates(), default))
        await refused(p, InvalidRequest, lambda w: prices.set_price(w, "gpt-5-5", Rates(input=-1), default))
        await refused(
            p, NotFound, lambda w: prices.set_price(w, "gpt-5-5", Rates(input=1), default, channel_id="no")
        )
        async with p.control.writing("test") as write:
            price = await prices.set_price(write, "gpt-5-5", Rates(web_search=5), default)
        assert (price.web_search, price.input) == (5, p.default_prices["gpt-5-5"].input)

    with_plane(tmp_path, body)


@pytest.mark.parametrize("pattern", ["", "*", "??", "a b", "a[bc]", "ä", "x" * 201])
def test_an_alias_is_a_bounded_name_that_does_not_match_everything(tmp_path: Path, pattern: str) -> None:
    async def body(p: Plane) -> None:
        error = await refused(p, InvalidRequest, lambda w: aliases.add(w, Alias(pattern, "gpt-5-5")))
        assert error.param == "pattern"

    with_plane(tmp_path, body)


def test_users_and_orgs_are_checked(tmp_path: Path) -> None:
    async def body(p: Plane) -> None:
        user = await p.user()
        await refused(
            p, InvalidRequest, lambda w: users.create(w, NewUser(email="ADA@example.com")), "already"
        )
        await refused(p, InvalidRequest, lambda w: users.create(w, NewUser(email="x@y", role="king")), "role")
        await refused(p, InvalidRequest, lambda w: users.create(w, NewUser(email="x@y", tier="gold")), "tier")
        with pytest.raises(InvalidRequest, match="password"):
            await hash_password("short")
        await refused(p, InvalidRequest, lambda w: users.update(w, user.id, UserChanges(concurrency=0)))
        await refused(p, NotFound, lambda w: users.update(w, "usr_no", UserChanges(tier="pro")))
        async with p.control.writing("test") as write:
            org = await users.create_org(write, "Acme")
            assert (await users.find_org(write.connection, "Acme")).id == org.id
            assert (await users.find(write.connection, "Ada@Example.com")).id == user.id
        await refused(p, InvalidRequest, lambda w: users.create_org(w, "Acme"), "already")
        await refused(p, InvalidRequest, lambda w: users.set_org_status(w, org.id, "gone"))

    with_plane(tmp_path, body)


@pytest.mark.slow
def test_a_session_lasts_its_hours_and_ends_with_logout_a_new_password_or_a_disabled_user(
    tmp_path: Path,
) -> None:
    async def body(p: Plane) -> None:
        user = await p.user(password="correct horse")

        async def fresh() -> str:
            return (await sessions.login(p.control, "Ada@example.com", "correct horse", hours=2)).token

        for email, password in (("ada@example.com", "wrong horse"), ("bob@example.com", "correct horse")):
            with pytest.raises(InvalidKey, match="the email or the password is wrong"):
                await sessions.login(p.control, email, password, hours=2)
        token = await fresh()
        found = await sessions.user_of(p.control, token)
        assert found is not None
        assert found.id == user.id
        assert await sessions.user_of(p.control, token + "x") is None
        p.clock.ahead_us += 2 * 3600 * 1_000_000 + 1
        assert await sessions.user_of(p.control, token) is None
        token = await fresh()
        await sessions.logout(p.control, token)
        assert await sessions.user_of(p.control, token) is None
        token = await fresh()
        hashed = await hash_password("another horse")
        async with p.control.writing("test") as write:
            await users.set_password(write, user.id, hashed)
        assert await sessions.user_of(p.control, token) is None
        session = await sessions.login(p.control, "ada@example.com", "another horse", hours=2)
        assert session.token not in repr(session)
        async with p.control.writing("test") as write:
            await users.update(write, user.id, UserChanges(status="disabled"))
        assert await sessions.user_of(p.control, session.token) is None
        with pytest.raises(InvalidKey):
            await sessions.login(p.control, "ada@example.com", "another horse", hours=2)

    with_plane(tmp_path, body)


def test_multipliers_are_exact() -> None:
    assert [parse_multiplier(each) for each in ("1", "1.25", "0", "0.000001", "1e1")] == [
        1_000_000,
        1_250_000,
        0,
        1,
        10_000_000,
    ]
    assert [format_multiplier(each) for each in (1_000_000, 1_250_000, 0, 1, 10_000_000)] == [
        "1",
        "1.25",
        "0",
        "0.000001",
        "10",
    ]
    for text_ in ("", "x", "nan", "inf", "-1", "1001", "0.0000001"):
        with pytest.raises(InvalidRequest):
            parse_multiplier(text_)
