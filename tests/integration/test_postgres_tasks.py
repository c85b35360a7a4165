"""Tasks and objects on PostgreSQL: two gateways, one database, one store."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.media_gateway import MediaGateway, Neighbour

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not postgres.installed(), reason="PostgreSQL is not installed"),
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[MediaGateway]:
    folder = Path(tmp_path_factory.mktemp("tasks"))
    with (
        postgres.postgres() as url,
        MediaGateway(
            folder, database_url=url, object_store_url=(folder / "objects").as_uri(), master_key="5c" * 32
        ) as running,
    ):
        yield running


@pytest.mark.parametrize("model", ["sora2", "veo3-1", "seedance-2", "gpt-image-2"])
def test_what_one_gateway_took_the_other_tells_and_serves(
    gateway: MediaGateway, tmp_path: Path, model: str
) -> None:
    with Neighbour(gateway, tmp_path) as other:
        id = gateway.submitted(model=model, prompt="a cat", out_task_id=model)["task_id"]
        task = gateway.ended(id)
        assert task["status"] == "completed"
        told = json.loads(other.query(gateway.key, task_id=id).body)
        assert {**told, "output": None} == {**task, "output": None}
        url = told["output"][0]["url"]
        served = [each.request("GET", other.path_of(url)) for each in (gateway, other)]
        assert [answer.status for answer in served] == [200, 200]
        assert served[0].body == served[1].body
        assert len(served[0].body) == told["output"][0]["bytes"]
        again = other.submit(gateway.key, model=model, prompt="a cat", out_task_id=model)
        assert json.loads(again.body)["task_id"] == id


def test_what_has_expired_is_swept(gateway: MediaGateway) -> None:
    task = gateway.ended(gateway.submitted(model="sora2", prompt="a cat")["task_id"])
    target = gateway.path_of(task["output"][0]["url"])
    store = gateway.application.media.store

    async def expire() -> int:
        return await store.delete_of_task(task["task_id"], await owner())

    async def owner() -> str:
        return (await store.find(target.split("/")[2].split(".")[0])).key_id

    assert gateway.run(expire()) == 1
    assert gateway.request("GET", target).status == 404
