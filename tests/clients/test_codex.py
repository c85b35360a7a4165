"""Codex, headless: over HTTP as a provider of its configuration, and over a WebSocket as its built-in OpenAI provider."""

from __future__ import annotations

import pytest

from tests.clients.packages import CODEX
from tests.support.client_task import FAMILIES, TASK, UPSTREAM_PATHS, Watch, check_task
from tests.support.gateway import GPT_RESPONSES, RunningGateway
from tests.support.headless import Desk, Ran

pytestmark = pytest.mark.skipif(bool(CODEX.absent()), reason=CODEX.absent())

_COMMON = 'model = "{model}"\napproval_policy = "never"\nsandbox_mode = "danger-full-access"\n'
_OVER_HTTP = (
    _COMMON
    + 'model_provider = "gateway"\n'
    + '[model_providers.gateway]\nname = "gateway"\nbase_url = "{url}/v1"\nwire_api = "responses"\nenv_key = "GATEWAY_KEY"\n'
)
_OVER_WEBSOCKET = _COMMON + 'openai_base_url = "{url}/v1"\n'


def run(gateway: RunningGateway, desk: Desk, configuration: str, model: str, prompt: str = TASK) -> Ran:
    desk.write(".codex/config.toml", configuration.format(model=model, url=gateway.url))
    keys = dict.fromkeys(("GATEWAY_KEY", "OPENAI_API_KEY", "CODEX_API_KEY"), gateway.key)
    return desk.run([CODEX.path, "exec", "--skip-git-repo-check", prompt], keys)


@FAMILIES
def test_it_does_a_task_over_http_on_every_family(clients_gateway: RunningGateway, desk: Desk, model: str):
    watch = Watch(clients_gateway)
    ran = run(clients_gateway, desk, _OVER_HTTP, model)
    check_task(desk, ran, watch, UPSTREAM_PATHS[model])
    assert "agent done: " in ran.said
    assert watch.answered("responses") >= 3


@FAMILIES
def test_it_does_a_task_over_a_websocket_on_every_family(
    clients_gateway: RunningGateway, desk: Desk, model: str
):
    watch = Watch(clients_gateway)
    ran = run(clients_gateway, desk, _OVER_WEBSOCKET, model)
    check_task(desk, ran, watch, UPSTREAM_PATHS[model])
    assert "agent done: " in ran.said
    # Where a socket fails it falls back to requests, and does the task all the same.
    assert watch.answered("responses_socket") >= 3, ran
    assert watch.answered("responses") == 0, ran


def test_it_says_what_was_wrong_with_a_request(clients_gateway: RunningGateway, desk: Desk):
    ran = run(
        clients_gateway,
        desk,
        _OVER_HTTP,
        GPT_RESPONSES,
        prompt='[[sim: error=400 error_text="no such thing"]] hello',
    )
    clients_gateway.heal()
    assert ran.code != 0
    assert "no such thing" in ran.complained, ran
