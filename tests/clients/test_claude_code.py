"""Claude Code, headless: https://www.npmjs.com/package/@anthropic-ai/claude-code."""

from __future__ import annotations

import json

import pytest

from tests.clients.packages import CLAUDE_CODE
from tests.support.client_task import FAMILIES, TASK, UPSTREAM_PATHS, Watch, check_task
from tests.support.gateway import CLAUDE, RunningGateway
from tests.support.headless import Desk, Ran

pytestmark = pytest.mark.skipif(bool(CLAUDE_CODE.absent()), reason=CLAUDE_CODE.absent())


def run(gateway: RunningGateway, desk: Desk, *words: str, **environment: str) -> Ran:
    command = [CLAUDE_CODE.path, "-p", TASK, "--permission-mode", "acceptEdits"]
    command += ["--allowedTools", "Bash", "Write", "Read", "Edit", "--output-format", "json"]
    return desk.run([*command, *words], environment_of(gateway, gateway.key) | environment)


def environment_of(gateway: RunningGateway, key: str) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": gateway.url,
        "ANTHROPIC_API_KEY": key,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


@FAMILIES
def test_it_does_a_task_on_every_family(clients_gateway: RunningGateway, desk: Desk, model: str):
    watch = Watch(clients_gateway)
    ran = run(clients_gateway, desk, "--model", model)
    check_task(desk, ran, watch, UPSTREAM_PATHS[model])
    told = json.loads(ran.said)
    assert told["subtype"] == "success"
    assert told["result"].startswith("agent done: ")
    assert desk.secret in told["result"]
    # It waits, retries and goes on without a word when a connection hangs.
    assert told["duration_api_ms"] < 20_000, ran


def test_its_default_model_works_by_an_alias(clients_gateway: RunningGateway, desk: Desk):
    watch = Watch(clients_gateway)
    ran = run(clients_gateway, desk)
    check_task(desk, ran, watch, UPSTREAM_PATHS[CLAUDE])
    asked_for = json.loads(ran.said)["modelUsage"]
    assert any(name.startswith("claude-opus-5") for name in asked_for), ran
    assert {request.body["model"] for request in watch.upstream()} == {"up-opus"}
    assert clients_gateway.newest_receipt()["model"] == "claude-opus-4-8"


def test_it_may_ask_for_the_gateways_models(clients_gateway: RunningGateway, desk: Desk):
    watch = Watch(clients_gateway)
    ran = run(clients_gateway, desk, "--model", CLAUDE, CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY="1")
    check_task(desk, ran, watch, UPSTREAM_PATHS[CLAUDE])
    assert watch.answered("models") == 1


@pytest.mark.parametrize(
    ("prompt", "model", "known", "status", "said"),
    [
        ("[[sim: text=hi]]", CLAUDE, False, 401, "unknown API key"),
        ("[[sim: text=hi]]", "claude-no-such", True, 404, "claude-no-such"),
        ('[[sim: error=400 error_text="no such thing"]]', CLAUDE, True, 400, "no such thing"),
    ],
    ids=["an unknown key", "an unknown model", "a wrong request"],
)
def test_an_error_is_told_as_what_it_is(
    clients_gateway: RunningGateway, desk: Desk, prompt: str, model: str, known: bool, status: int, said: str
):
    key = clients_gateway.key if known else "sk-byts-unknown"
    environment = environment_of(clients_gateway, key) | {"CLAUDE_CODE_MAX_RETRIES": "0"}
    ran = desk.run([CLAUDE_CODE.path, "-p", prompt, "--model", model, "--output-format", "json"], environment)
    told = json.loads(ran.said)
    assert told["is_error"], ran
    assert told["api_error_status"] == status, ran
    assert said in told["result"], ran
