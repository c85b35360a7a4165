"""Keys of an organisation: its wallet pays, and its members' caps hold over all keys of each."""

from __future__ import annotations

import json

import pytest

from bytespike.accounts import keys as key_service
from bytespike.accounts import members, users
from bytespike.accounts.keys import NewKey
from bytespike.errors import NotFound
from bytespike.ledger import transfers
from bytespike.store import members as stored
from tests.support.gateway import CLAUDE, GPT, Answer, RunningGateway

BODY = json.dumps(
    {"model": CLAUDE, "max_tokens": 20, "messages": [{"role": "user", "content": "[[sim: tokens=5]]"}]}
).encode()


class Org:
    """An org with money, and two members: the first has two keys of it."""

    def __init__(self, gateway: RunningGateway, balance: int) -> None:
        self.gateway = gateway
        self.members = [gateway.new_user(balance=0, concurrency=100) for _ in range(2)]

        async def make() -> str:
            gateway._names += 1
            async with gateway.application.control.writing("test") as write:
                org = await users.create_org(write, f"org{gateway._names}")
            if balance:
                await transfers.topup(
                    gateway.application.engine, f"wallet:org:{org.id}", balance, actor="test", now_us=1
                )
            return org.id

        self.id = gateway.run(make())
        first, second = self.members
        self.keys = [gateway.new_key(user_id=user, org_id=self.id) for user in (first, first, second)]

    def cap(self, user: str, **amounts: int) -> None:
        spans = {"lifetime": "lifetime", "five": "5h", "day": "1d"}

        async def go() -> None:
            async with self.gateway.application.control.writing("test") as write:
                await members.set_caps(
                    write, self.id, user, {spans[name]: of for name, of in amounts.items()}
                )
            await self.gateway.application.parts.directory.poll()

        self.gateway.run(go())

    def ask(self, key: str, path: str = "/v1/messages") -> Answer:
        return self.gateway.post(path, BODY, {"x-api-key": key})


def test_the_orgs_wallet_pays_for_its_keys_and_every_answer_says_what_it_has_left(
    gateway: RunningGateway,
) -> None:
    org = Org(gateway, balance=5_000_000)
    answer = org.ask(org.keys[0])
    assert answer.status == 200
    held = gateway.micro(answer.headers["x-estimated-credits"])
    assert gateway.micro(answer.headers["x-org-quota-remaining-credits"]) >= 5_000_000 - held
    receipt = gateway.receipt(answer.headers["request-id"])
    assert receipt["account_id"] == f"wallet:org:{org.id}"
    assert (receipt["user_id"], receipt["org_id"]) == (org.members[0], org.id)
    failed = gateway.post("/v1/messages", b'{"model": "nothing"}', {"x-api-key": org.keys[2]})
    left = gateway.micro(failed.headers["x-org-quota-remaining-credits"])
    assert left == 5_000_000 - receipt["credits"]


@pytest.mark.parametrize(
    ("path", "span", "status", "said"),
    [
        ("/v1/chat/completions", "lifetime", 402, "quota_exceeded"),
        ("/v1/messages", "lifetime", 402, "billing_error"),
        ("/v1/chat/completions", "five", 429, "rate_limit_exceeded"),
        ("/v1/messages", "day", 429, "rate_limit_error"),
    ],
)
def test_a_members_cap_holds_over_all_his_keys_and_over_nobody_elses(
    gateway: RunningGateway, path: str, span: str, status: int, said: str
) -> None:
    org = Org(gateway, balance=50_000_000)
    first, second, other = org.keys
    dry = gateway.post(path, BODY, {"x-api-key": first, "x-bytespike-dry-run": "true"})
    each = gateway.micro(dry.headers["x-estimated-credits"])
    org.cap(org.members[0], **{span: each})
    answer = org.ask(first, path)
    assert answer.status == 200
    refused = org.ask(second, path)
    assert (refused.status, said.encode() in refused.body) == (status, True), refused.body
    assert b"in the organisation" in refused.body
    if status == 429:
        assert int(refused.headers["retry-after"]) >= 1
        assert int(refused.headers["x-ratelimit-reset"]) > 0
    else:
        assert gateway.micro(refused.headers["x-quota-remaining-credits"]) < each
    assert org.ask(other, path).status == 200
    # A higher one holds from the next request.
    org.cap(org.members[0], **{span: 10 * each})
    assert org.ask(second, path).status == 200


def test_an_org_that_has_nothing_left_is_402_for_all_its_members(gateway: RunningGateway) -> None:
    org = Org(gateway, balance=0)
    for key in org.keys:
        refused = org.ask(key, "/v1/chat/completions")
        assert (refused.status, json.loads(refused.body)["error"]["code"]) == (402, "insufficient_balance")


def test_whoever_has_a_key_is_a_member_and_whoever_is_removed_has_none_that_works(
    gateway: RunningGateway,
) -> None:
    org = Org(gateway, balance=5_000_000)
    own = gateway.new_key()

    async def of_org() -> list[tuple[str, str]]:
        async with gateway.application.control.reading() as connection:
            rows, _ = await stored.listing(connection, org.id)
        return [(row.user_id, row.role) for row in rows]

    assert gateway.run(of_org()) == [(user, "member") for user in org.members]

    async def remove() -> None:
        async with gateway.application.control.writing("test") as write:
            await members.add(write, org.id, org.members[1], "admin")
            await members.remove(write, org.id, org.members[0])
            with pytest.raises(NotFound):
                await members.set_caps(write, org.id, org.members[0], {"5h": 1})
        await gateway.application.parts.directory.poll()

    gateway.run(remove())
    assert gateway.run(of_org()) == [(org.members[1], "admin")]
    assert [org.ask(key).status for key in org.keys] == [401, 401, 200]
    assert org.ask(own).status == 200

    async def come_back() -> str:
        async with gateway.application.control.writing("test") as write:
            new = NewKey(name="again", user_id=org.members[0], group_id=gateway._group_id, org_id=org.id)
            return (await key_service.create(write, new)).plaintext

    assert org.ask(gateway.run(come_back())).status == 200
    assert len(gateway.run(of_org())) == 2


def test_a_stream_ends_where_a_members_cap_does(gateway: RunningGateway) -> None:
    org = Org(gateway, balance=50_000_000)
    body = json.dumps(
        {
            "model": GPT,
            "stream": True,
            "messages": [{"role": "user", "content": "[[sim: tokens=60000 piece=1000]]"}],
        }
    ).encode()
    dry = gateway.post(
        "/v1/chat/completions", body, {"x-api-key": org.keys[0], "x-bytespike-dry-run": "true"}
    )
    org.cap(org.members[0], lifetime=gateway.micro(dry.headers["x-estimated-credits"]))
    answer = gateway.post("/v1/chat/completions", body, {"x-api-key": org.keys[0]})
    assert b'"finish_reason":"length"' in answer.body
    assert gateway.receipt(answer.headers["request-id"])["end_reason"] == "out_of_funds"
