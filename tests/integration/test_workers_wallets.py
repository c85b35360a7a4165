"""Four workers, and a wallet or a member's cap that several keys draw on: they share it to within one request."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytespike.accounts import members, users
from bytespike.ledger import transfers
from bytespike.providers.simulator.server import Simulator
from tests.support.gateway import RunningGateway
from tests.support.shared_caps import CROWD, USD, exactly, refused, spend_with

pytestmark = pytest.mark.slow

#: Of an org's member: the crowd is that of the wallet's test.
FEW = 120


def test_a_crowd_on_a_wallet_that_fifty_keys_draw_on(tmp_path: Path, database: str, many_files: None) -> None:
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            user = gateway.new_user(2 * USD, concurrency=10 * CROWD)
            keys = [gateway.new_key(user) for _ in range(50)]
        spend = spend_with(tmp_path, database, keys, {402}, CROWD, refused)
        exactly(2 * USD, spend, spend.of())
        assert spend.balances[f"wallet:user:{user}"] == 2 * USD - spend.of()


def test_a_member_of_an_org_with_two_keys(tmp_path: Path, database: str) -> None:
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            keys = gateway.run(of_a_member_with_a_dollar(gateway))
        spend = spend_with(tmp_path, database, keys, {402}, FEW)
        exactly(1 * USD, spend, spend.of())


async def of_a_member_with_a_dollar(gateway: RunningGateway) -> list[str]:
    """Two keys of an org that has more, whose owner may spend a dollar."""
    user = await gateway._new_user(0, concurrency=1000)
    control = gateway.application.control
    async with control.writing("test") as write:
        org = await users.create_org(write, "Acme")
    await transfers.topup(control.engine, f"wallet:org:{org.id}", 100 * USD, actor="test", now_us=1)
    keys = [await gateway._new_key(user, org_id=org.id) for _ in range(2)]
    async with control.writing("test") as write:
        await members.set_caps(write, org.id, user, {"lifetime": 1 * USD})
    return keys
