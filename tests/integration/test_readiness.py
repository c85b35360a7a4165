"""/readyz says whether requests should come, and why not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import text

from bytespike.accounts import channels
from bytespike.accounts.channels import ChannelChanges
from bytespike.ledger.ledger import Ledger
from bytespike.ledger.spool import Spool
from bytespike.store.engine import create_engine
from tests.support.gateway import CLAUDE, RunningGateway


def readiness(gateway: RunningGateway) -> tuple[int, dict[str, Any]]:
    answer = gateway.request("GET", "/readyz")
    return answer.status, json.loads(answer.body)


def test_a_gateway_that_can_serve_is_ready(gateway: RunningGateway):
    assert readiness(gateway) == (200, {"status": "ready", "problems": {}, "degraded": {}})
    assert gateway.request("HEAD", "/readyz").status == 200


def test_a_spool_that_takes_nothing_is_a_problem(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Spool, "available", property(lambda _: False))
    status, told = readiness(gateway)
    assert status == 503
    assert list(told["problems"]) == ["spool"]
    monkeypatch.undo()
    assert readiness(gateway)[0] == 200


def test_without_an_enabled_channel_nobody_can_be_served(tmp_path: Path):
    with RunningGateway(tmp_path) as gateway:

        async def enable(enabled: bool) -> None:
            async with gateway.application.control.writing("test") as write:
                for view in await channels.listing(write.connection):
                    await channels.update(write, view.channel.id, ChannelChanges(enabled=enabled))
            await gateway.application.parts.directory.poll()

        gateway.run(enable(False))
        status, told = readiness(gateway)
        assert status == 503
        assert list(told["problems"]) == ["channels"]
        gateway.run(enable(True))
        assert readiness(gateway)[0] == 200


def test_a_new_installation_may_be_reached_by_who_sets_it_up(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
):
    directory = gateway.application.parts.directory
    monkeypatch.setattr(directory, "routes", structs.replace(directory.routes, channels={}))
    status, told = readiness(gateway)
    assert (status, list(told["degraded"])) == (200, ["channels"])


def lose_database(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is asked of it is answered from now on."""

    def refuse(*_: object) -> None:
        raise OSError("postgresql://user:hunter2@db/bytespike does not answer")

    monkeypatch.setattr(gateway.application.engine.sync_engine.pool, "connect", refuse)


def test_a_database_that_is_gone_is_no_problem_while_it_is_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """All gateways share it: to take them all out would make an outage of it."""
    with RunningGateway(tmp_path) as gateway:
        body = json.dumps({"model": CLAUDE, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]})
        assert gateway.post("/v1/messages", body.encode()).status == 200
        lose_database(gateway, monkeypatch)
        status, told = readiness(gateway)
        assert (status, told["status"]) == (200, "degraded")
        assert list(told["degraded"]) == ["database"]
        assert "hunter2" not in json.dumps(told)
        assert gateway.post("/v1/messages", body.encode()).status == 200
        # What it had borrowed is its own no more.
        monkeypatch.setattr(Ledger, "independent", property(lambda _: False))
        status, told = readiness(gateway)
        assert status == 503
        assert list(told["problems"]) == ["database"]
        monkeypatch.undo()
        gateway.until(lambda: readiness(gateway)[0] == 200)


def test_a_database_with_an_older_schema_is_a_problem(tmp_path: Path):
    with RunningGateway(tmp_path) as gateway:
        url = f"sqlite:///{tmp_path / 'bytespike.db'}"

        async def pretend(version: str) -> str:
            engine = create_engine(url)
            try:
                async with engine.begin() as connection:
                    ours = (
                        await connection.execute(text("SELECT version_num FROM alembic_version"))
                    ).scalar()
                    await connection.execute(
                        text("UPDATE alembic_version SET version_num = :version"), {"version": version}
                    )
                    return str(ours)
            finally:
                await engine.dispose()

        ours = asyncio.run(pretend("0001"))
        status, told = readiness(gateway)
        assert status == 503
        assert "0001" in told["problems"]["database"]
        # A newer one is that of a gateway that is newer, and ours still works with it.
        asyncio.run(pretend("9999"))
        assert readiness(gateway)[0] == 200
        asyncio.run(pretend(ours))


def test_a_gateway_that_stops_says_so(tmp_path: Path):
    with RunningGateway(tmp_path) as gateway:
        gateway.application.gateway.readiness.draining = True
        status, told = readiness(gateway)
        assert status == 503
        assert list(told["problems"]) == ["draining"]
