"""aider, headless, on its three kinds of provider. It offers no tools: edits come in words, and what a command of its own
(`--test-cmd`) said goes back in a second turn."""

from __future__ import annotations

import pytest

from tests.clients.packages import AIDER
from tests.support.client_task import MODELS, UPSTREAM_PATHS, WRITTEN, Watch, check_task
from tests.support.gateway import GEMINI, RunningGateway
from tests.support.headless import Desk

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(AIDER.absent()), reason=AIDER.absent())]

#: Fails the first time, so that the model gets to see what it wrote.
CHECK = "cat hello.txt note.txt; test -e checked || { touch checked; false; }"
TASK = f'Please do this: [[agent: write hello.txt "{WRITTEN}"]]'
WORDS = (
    "--no-check-update", "--no-show-release-notes", "--no-analytics", "--no-git", "--map-tokens", "0",
    "--no-show-model-warnings", "--yes-always", "--no-pretty", "--no-fancy-input", "--auto-test",
)  # fmt: skip
ENDPOINTS = {"anthropic": "messages", "openai": "chat_completions", "gemini": "model"}


@pytest.mark.parametrize("provider", ENDPOINTS)
@pytest.mark.parametrize("model", MODELS)
def test_it_does_a_task_through_each_provider_on_every_family(
    clients_gateway: RunningGateway, desk: Desk, provider: str, model: str
):
    watch = Watch(clients_gateway)
    key, url = clients_gateway.key, clients_gateway.url
    ran = desk.run(
        [AIDER.path, *WORDS, "--test-cmd", CHECK, "--model", f"{provider}/{model}", "--message", TASK],
        {
            "ANTHROPIC_API_BASE": url,
            "ANTHROPIC_API_KEY": key,
            "OPENAI_API_BASE": f"{url}/v1",
            "OPENAI_API_KEY": key,
            "GEMINI_API_BASE": f"{url}/v1beta",
            "GEMINI_API_KEY": key,
            # Its price list, from its own package.
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
    )
    check_task(desk, ran, watch, UPSTREAM_PATHS[model], turns=2)
    answers = ran.said.split("You said: ")
    assert len(answers) >= 2, ran
    assert desk.secret in answers[1], ran
    assert watch.answered(ENDPOINTS[provider]) >= 2
    if provider == "gemini" and model == GEMINI:
        assert {request.query for request in watch.upstream()} == {"alt=sse"}
