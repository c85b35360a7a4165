"""Gemini CLI, headless: https://www.npmjs.com/package/@google/gemini-cli."""

from __future__ import annotations

import json

import pytest

from tests.clients.packages import GEMINI_CLI
from tests.support.client_task import FAMILIES, TASK, UPSTREAM_PATHS, Watch, check_task
from tests.support.gateway import RunningGateway
from tests.support.headless import Desk, Ran

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(GEMINI_CLI.absent()), reason=GEMINI_CLI.absent()),
]

_SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False},
}


def run(gateway: RunningGateway, desk: Desk, *words: str) -> Ran:
    desk.write(".gemini/settings.json", json.dumps(_SETTINGS))
    return desk.run(
        ["node", GEMINI_CLI.path, "--skip-trust", "--approval-mode", "yolo", *words],
        {"GEMINI_API_KEY": gateway.key, "GOOGLE_GEMINI_BASE_URL": gateway.url},
    )


@FAMILIES
def test_it_does_a_task_on_every_family(clients_gateway: RunningGateway, desk: Desk, model: str):
    watch = Watch(clients_gateway)
    ran = run(clients_gateway, desk, "-m", model, "-p", TASK)
    check_task(desk, ran, watch, UPSTREAM_PATHS[model])
    assert "agent done: " in ran.said
