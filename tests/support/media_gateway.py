"""A running gateway that makes images and videos, with the simulator's vendors behind it, and in a hurry."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from bytespike.accounts import channels
from bytespike.accounts.channels import NewChannel
from bytespike.catalog.load import load_models
from bytespike.cli.demo_channels import CHANNELS, base_urls, served
from bytespike.media.assembly import Outside
from bytespike.media.tasks.pacing import Pace
from bytespike.settings import Settings
from tests.support.gateway import RunningGateway
from tests.support.raw_http import Answer

#: Nothing waits for longer than it must.
HASTE = Pace(
    poll_s_min=0.05,
    poll_s_max=0.2,
    retry_s_min=0.05,
    retry_s_max=0.5,
    reconcile_after_s=0.5,
    reconcile_pause_s=0.1,
    full_s=0.1,
    gather_s=0.005,
    idle_s=0.2,
    grace_s=5.0,
    callback_after_s=(0.2, 0.4),
)
#: How long a task may take on a busy machine before a test gives up.
PATIENCE_S = 60.0


class MediaGateway(RunningGateway):
    """`with MediaGateway(tmp_path) as gateway`."""

    outside = Outside(pace=HASTE)

    @property
    def settings(self) -> Settings:
        return self._settings

    async def _furnish(self) -> None:
        await super()._furnish()
        models = self.application.parts.catalog.current.models
        async with self.application.control.writing("test") as write:
            for name, channel in CHANNELS.items():
                found = served(name, models.values())
                if channel.families is None or all(models[slug].kind == "text" for slug in found):
                    continue
                await channels.create(
                    write,
                    NewChannel(
                        name=name,
                        platform="simulator",
                        credential="sim-good",
                        base_urls=base_urls(name, self.sim.base_url),
                        models=found,
                        group_ids=(self._group_id,),
                    ),
                )
        await self.application.parts.directory.poll()

    # --- asking --------------------------------------------------------------------------------------------------

    def submit(self, key: str = "", **body: Any) -> Answer:
        return self.post("/v1/tasks/submit", json.dumps(body).encode(), {"x-api-key": key or self.key})

    def submitted(self, **body: Any) -> dict[str, Any]:
        answer = self.submit(**body)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def query(self, key: str = "", **named: str) -> Answer:
        return self.post("/v1/tasks/query", json.dumps(named).encode(), {"x-api-key": key or self.key})

    def ended(self, task_id: str) -> dict[str, Any]:
        """The task once it is over."""
        end = time.monotonic() + PATIENCE_S
        while True:
            answer = self.query(task_id=task_id)
            assert answer.status == 200, answer.body
            body = json.loads(answer.body)
            if body["status"] in ("completed", "failed", "cancelled"):
                return body
            assert time.monotonic() < end, body
            time.sleep(0.02)

    def path_of(self, url: str) -> str:
        """A URL of this gateway, without what it begins with."""
        assert url.startswith(self.url + "/"), url
        return url.removeprefix(self.url)


class Neighbour(MediaGateway):
    """Another gateway of the same installation, whose master key and store of objects are given by settings."""

    def __init__(self, gateway: MediaGateway, data_dir: Path) -> None:
        super().__init__(
            data_dir,
            gateway.sim,
            database_url=gateway.settings.database_url,
            object_store_url=gateway.settings.object_store_url,
            master_key=gateway.settings.master_key,
        )

    async def _furnish(self) -> None:
        """Everything is there."""
        await self.application.parts.directory.poll()


def models_of(kind: str) -> list[str]:
    """The catalog's image or video models, all of them."""
    return [model.slug for model in load_models() if model.kind == kind]
