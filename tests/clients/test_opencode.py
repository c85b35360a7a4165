"""opencode, headless, on each of the four AI SDK packages that its providers are made of."""

from __future__ import annotations

import json

import pytest

from tests.clients.packages import OPENCODE
from tests.support.client_task import MODELS, TASK, UPSTREAM_PATHS, Watch, check_task
from tests.support.gateway import RunningGateway
from tests.support.headless import Desk

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(OPENCODE.absent()), reason=OPENCODE.absent()),
]

#: The AI SDK's package, and where it expects the API.
PACKAGES = {
    "@ai-sdk/anthropic": "/v1",
    "@ai-sdk/openai-compatible": "/v1",
    "@ai-sdk/openai": "/v1",
    "@ai-sdk/google": "/v1beta",
}
#: What the four of them ask for, by the gateway's endpoints.
ENDPOINTS = {
    "@ai-sdk/anthropic": "messages",
    "@ai-sdk/openai-compatible": "chat_completions",
    "@ai-sdk/openai": "responses",
    "@ai-sdk/google": "model",
}


def configuration(gateway: RunningGateway, package: str, model: str) -> str:
    provider = {
        "npm": package,
        "name": "gateway",
        "options": {"baseURL": gateway.url + PACKAGES[package], "apiKey": gateway.key},
        "models": {model: {"name": model, "tool_call": True}},
    }
    return json.dumps(
        {
            "autoupdate": False,
            "share": "disabled",
            "model": f"gateway/{model}",
            "small_model": f"gateway/{model}",
            "enabled_providers": ["gateway"],
            "provider": {"gateway": provider},
        }
    )


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("model", MODELS)
def test_it_does_a_task_through_each_provider_on_every_family(
    clients_gateway: RunningGateway, desk: Desk, package: str, model: str
):
    watch = Watch(clients_gateway)
    (desk.work / "opencode.json").write_text(configuration(clients_gateway, package, model))
    quiet = ("OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_AUTOUPDATE", "OPENCODE_DISABLE_LSP_DOWNLOAD")
    ran = desk.run([OPENCODE.path, "run", TASK], dict.fromkeys(quiet, "1"))
    check_task(desk, ran, watch, UPSTREAM_PATHS[model])
    assert "agent done: " in ran.said
    # Three turns and a title.
    assert watch.answered(ENDPOINTS[package]) >= 4
