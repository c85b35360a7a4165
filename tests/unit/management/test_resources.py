import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bytespike.accounts import groups, prices
from bytespike.accounts.key_hash import hash_key
from bytespike.accounts.prices import Rates
from bytespike.http.management.pricing import price_list
from bytespike.ledger import transfers
from bytespike.protocols.fidelity import load_features
from bytespike.store import audit
from bytespike.store.wallets import user_wallet
from tests.support.management import Managed, managed


def with_gateway(folder: Path, body: Callable[[Managed], Awaitable[None]], **given: object) -> None:
    async def run() -> None:
        async with managed(folder, **given) as m:
            await body(m)

    asyncio.run(run())


async def made(m: Managed, **fields: object) -> dict[str, Any]:
    answer = await m.client.post(
        "/keys", json={"name": "laptop", "group_id": m.group.id, **fields}, headers=m.with_key()
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_key_from_creation_to_revocation(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        headers = m.with_key()
        key = await made(m, quota="20", rate_limit_5h=0.5, rate_limit_1d=1, ip_whitelist=["10.0.0.0/8"])
        assert key["key"].startswith("sk-byts-")
        assert (key["quota"], key["rate_limit_5h"], key["rate_limit_1d"]) == ("20.00", "0.50", "1.00")
        path = f"/keys/{key['id']}"
        shown = (await m.client.get(path, headers=headers)).json()
        assert shown == {name: value for name, value in key.items() if name != "key"}
        listed = (await m.client.get("/keys", headers=headers)).json()
        assert [each["name"] for each in listed["items"]] == ["laptop", "first"]
        assert (listed["total"], listed["page"], listed["page_size"]) == (2, 1, 50)
        assert key["key"] not in str(listed)
        assert (await m.client.post(f"{path}/reveal", headers=headers)).json()["key"] == key["key"]
        rotated = (await m.client.post(f"{path}/rotate", headers=headers)).json()
        assert rotated["key"] != key["key"]
        changed = (await m.client.patch(path, json={"name": "new", "quota": 0}, headers=headers)).json()
        assert (changed["name"], changed["quota"], changed["rate_limit_5h"]) == ("new", "0.00", "0.50")
        assert (await m.client.delete(path, headers=headers)).json()["status"] == "revoked"
        assert (await m.client.get("/keys", headers=headers)).json()["total"] == 1
        assert (await m.client.get("/keys?status=revoked", headers=headers)).json()["total"] == 1
        async with m.application.control.reading() as connection:
            rows, _ = await audit.listing(connection, target=key["id"])
        assert [row.action for row in reversed(rows)] == [
            "keys.create",
            "keys.reveal",
            "keys.rotate",
            "keys.update",
            "keys.revoke",
        ]
        assert {row.actor for row in rows} == {f"key:{m.key.row.id}"}

    with_gateway(tmp_path, body)


def test_a_rotated_or_revoked_key_stops_at_the_gateway_within_a_second(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        directory = m.application.parts.directory
        key = await made(m)
        digest = hash_key(key["key"])
        assert await directory.load(digest) is not None
        await m.client.post(f"/keys/{key['id']}/rotate", headers=m.with_key())
        until = time.monotonic() + 1
        while directory.get(digest) is not None and time.monotonic() < until:
            await asyncio.sleep(0.01)
        assert await directory.load(digest) is None

    with_gateway(tmp_path, body, change_poll_ms=200)


def test_null_means_no_end_and_every_model_and_what_is_left_out_stays(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        key = await made(m, expires_in_days=3, allowed_models=["gpt-5.5"], ip_blacklist=["::1"])
        assert key["allowed_models"] == ["gpt-5-5"]
        path = f"/keys/{key['id']}"
        same = (await m.client.patch(path, json={"status": "disabled"}, headers=m.with_key())).json()
        assert same == {**{name: value for name, value in key.items() if name != "key"}, "status": "disabled"}
        changes = {"expires_in_days": None, "allowed_models": None, "ip_blacklist": []}
        cleared = (await m.client.patch(path, json=changes, headers=m.with_key())).json()
        assert (cleared["expires_at"], cleared["allowed_models"], cleared["ip_blacklist"]) == (None, None, [])

    with_gateway(tmp_path, body)


WRONG_FIELDS = [
    ({"name": ""}, "name"),
    ({"name": 7}, "name"),
    ({"quota": "lots"}, "quota"),
    ({"quota": "0.0000001"}, "quota"),
    ({"quota": 1e-7}, "quota"),
    ({"rate_limit_7d": -1}, "rate_limit_7d"),
    ({"ip_whitelist": ["home"]}, "ip_whitelist"),
    ({"ip_whitelist": "10.0.0.0/8"}, "ip_whitelist"),
    ({"expires_in_days": 0}, "expires_in_days"),
    ({"allowed_models": ["no-such-model"]}, "model"),
    ({"custom_key": "sk-byts-hunter2"}, "custom_key"),
    ({"colour": "red"}, "colour"),
]


def test_a_wrong_field_is_named_in_the_envelope(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        for fields, param in WRONG_FIELDS:
            new = {"name": "k", "group_id": m.group.id, **fields}
            answer = await m.client.post("/keys", json=new, headers=m.with_key())
            assert answer.status_code in (400, 404), fields
            error = answer.json()["error"]
            assert error["type"] == "invalid_request_error"
            assert error["param"] == param, fields
            assert "hunter2" not in answer.text
        assert (await m.client.get("/keys", headers=m.with_key())).json()["total"] == 1

    with_gateway(tmp_path, body)


def test_nobody_sees_or_changes_anothers_keys(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        bob = await m.user("bob@example.com")
        headers = m.with_key((await m.new_key(bob)).plaintext)
        assert (await m.client.get("/keys", headers=headers)).json()["total"] == 1
        path = f"/keys/{m.key.row.id}"
        answers = [
            await m.client.get(path, headers=headers),
            await m.client.patch(path, json={"name": "x"}, headers=headers),
            await m.client.delete(path, headers=headers),
            await m.client.post(f"{path}/rotate", headers=headers),
            await m.client.post(f"{path}/reveal", headers=headers),
        ]
        assert [answer.status_code for answer in answers] == [404] * 5
        assert (await m.client.get(path, headers=m.with_key())).json()["name"] == "first"

    with_gateway(tmp_path, body)


def test_a_key_that_may_not_be_used_from_here_manages_nothing(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        key = await m.new_key(m.ada, ip_whitelist=("10.0.0.0/8",))
        answer = await m.client.get("/keys", headers=m.with_key(key.plaintext))
        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")
        # The address in the header is believed only when it comes from a proxy that is trusted.
        forwarded = {**m.with_key(key.plaintext), "x-forwarded-for": "10.1.2.3"}
        assert (await m.client.get("/keys", headers=forwarded)).status_code == 403

    with_gateway(tmp_path, body)


def test_the_account_shows_the_user_and_the_wallet(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        control = m.application.control
        wallet = user_wallet(m.ada.id)
        await transfers.topup(control.engine, wallet, 12_500_000, actor="test", now_us=control.clock.now_us())
        key = await m.new_key(m.ada, allowed_models=("gpt-5-5",))
        account = (await m.client.get("/me/account", headers=m.with_key(key.plaintext))).json()
        assert account["user"]["email"] == "ada@example.com"
        assert "password" not in str(account)
        assert (account["balance"], account["org_id"], account["allowed_models"]) == (
            "12.50",
            None,
            ["gpt-5-5"],
        )

    with_gateway(tmp_path, body)


def test_available_groups_leave_out_exclusive_ones_without_a_grant(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        async with m.application.control.writing("test") as write:
            vip = await groups.create(write, groups.NewGroup(name="vip", exclusive=True))
        listed = (await m.client.get("/groups/available", headers=m.with_key())).json()
        assert [group["name"] for group in listed["items"]] == ["default"]
        async with m.application.control.writing("test") as write:
            await groups.grant(write, vip.id, m.ada.id)
        listed = (await m.client.get("/groups/available?page=2&page_size=1", headers=m.with_key())).json()
        assert [group["name"] for group in listed["items"]] == ["vip"]
        assert (listed["total"], listed["page"], listed["page_size"]) == (2, 2, 1)

    with_gateway(tmp_path, body)


def test_available_models_say_native_or_translated(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        listed = (await m.client.get("/me/available-models", headers=m.with_key())).json()
        (model,) = listed["items"]
        assert (model["id"], model["family"], listed["total"]) == ("gpt-5-5", "gpt", 1)
        assert model["protocols"] == {
            "openai_chat": "native",
            "anthropic_messages": "translated",
            "openai_responses": "translated",
            "gemini": "translated",
        }

    with_gateway(tmp_path, body)


def test_pages_are_bounded(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        for query in ("page=0", "page_size=201", "page=x", "page_size=0"):
            answer = await m.client.get(f"/keys?{query}", headers=m.with_key())
            assert answer.status_code == 400
            assert answer.json()["error"]["param"] == query.split("=")[0]

    with_gateway(tmp_path, body)


def test_usage_of_nothing_is_an_empty_page(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        query = "model=gpt-5.5&since=2026-01-01T00:00:00Z&api_key_id=key_1&request_id=req_1"
        answer = await m.client.get(f"/usage?{query}", headers=m.with_key())
        assert answer.json() == {"items": [], "total": 0, "total_is_exact": True, "page": 1, "page_size": 50}
        assert (await m.client.get("/usage?since=yesterday", headers=m.with_key())).status_code == 400
        assert (await m.client.get("/usage?model=no-such", headers=m.with_key())).status_code == 404

    with_gateway(tmp_path, body)


def test_unknown_routes_and_methods_are_told_in_the_envelope(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        assert (await m.client.get("/nowhere")).json()["error"]["code"] == "not_found"
        answer = await m.client.put("/keys", headers=m.with_key())
        assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")

    with_gateway(tmp_path, body)


def test_the_openapi_document_describes_every_resource(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        document = (await m.client.get("/openapi.json")).json()
        assert {"/api/v1/keys", "/api/v1/keys/{key_id}/rotate", "/api/v1/usage", "/api/v1/auth/login"} <= set(
            document["paths"]
        )

    with_gateway(tmp_path, body)


def test_public_prices_are_the_channels_then_the_catalogs(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        parts = m.application.parts
        catalog = parts.catalog.current

        def entries() -> dict[str, Any]:
            shown = price_list(catalog, parts.directory.routes)
            data: Any = shown["data"]
            return {entry["id"]: entry for entry in data} | {"": shown["updated_at"]}

        found = entries()
        assert found[""] is None
        assert found["gpt-5-5"]["available"] is True
        assert found["gpt-5-5"]["per_million_tokens"]["input"] == "5.00"
        assert found["claude-sonnet-4-6"]["available"] is False
        assert found["claude-sonnet-4-6"]["per_million_tokens"]["output"] == "15.00"
        assert found["seedream-v4"]["images"][0]["price"] == "0.024"
        assert found["sora2"]["per_second"][0]["price"] == "0.30"
        assert found["sora2"]["per_submit"] == "0.05"
        assert len(found) == len(catalog.models) + 1
        async with m.application.control.writing("test") as write:
            await prices.set_price(write, "gpt-5-5", Rates(input=4_000_000), lambda _: None)
        await parts.directory.poll()
        assert entries()["gpt-5-5"]["per_million_tokens"]["input"] == "4.00"
        assert entries()[""].startswith("20")

    with_gateway(tmp_path, body)


def test_everybody_may_see_what_survives_between_dialects(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        answer = await m.client.get("/fidelity")
        assert answer.status_code == 200
        table = answer.json()
        assert table["dialects"] == ["anthropic_messages", "openai_chat", "openai_responses", "gemini"]
        rows = {row["id"]: row for row in table["features"]}
        assert len(rows) == len(load_features())
        assert rows["tools"]["pairs"]["gemini"]["openai_chat"] == "translated"
        assert {o for row in rows.values() for pairs in row["pairs"].values() for o in pairs.values()} <= set(
            table["outcomes"]
        )

    with_gateway(tmp_path, body)
