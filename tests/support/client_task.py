"""The task that every command-line client gets: two tool calls, a turn after each, and what must have come of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, RunningGateway
from tests.support.headless import Desk, Ran

#: A model behind each kind of upstream: Messages, chat completions, Responses, Gemini.
MODELS = (CLAUDE, GPT, GPT_RESPONSES, GEMINI)
FAMILIES = pytest.mark.parametrize("model", MODELS)
#: Where the requests for these models go, upstream.
UPSTREAM_PATHS = {
    CLAUDE: "/anthropic/v1/messages",
    GPT: "/openai/v1/chat/completions",
    GPT_RESPONSES: "/openai/v1/responses",
    GEMINI: "/gemini/v1beta/models/upstream-gemini-3-1-pro:streamGenerateContent",
}
WRITTEN = "hello from a real client"
TASK = f'Please do this: [[agent: write hello.txt "{WRITTEN}"]] [[agent: run cat hello.txt note.txt]]'


class Watch:
    """What the gateway answers and asks upstream from now on."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self._before = Counter(gateway.application.metrics.counts())
        gateway.forget_upstream_requests()

    def refusals(self, *expected: tuple[str, int]) -> dict[tuple[str, int], int]:
        """Answers of 400 and more, by endpoint and status, but for the expected ones."""
        self._gateway.settled()
        answered = Counter(self._gateway.application.metrics.counts()) - self._before
        return {key: count for key, count in answered.items() if key[1] >= 400 and key not in set(expected)}

    def answered(self, endpoint: str) -> int:
        """Requests to an endpoint that were answered with 200."""
        return (Counter(self._gateway.application.metrics.counts()) - self._before)[endpoint, 200]

    def upstream(self) -> list[Any]:
        return self._gateway.upstream_requests()


def check_task(desk: Desk, ran: Ran, watch: Watch, upstream_path: str, turns: int = 3) -> None:
    """The file is on the disk, the answer quotes what only the tool could know, and every turn went to that upstream."""
    assert ran.code == 0, ran
    file = desk.work / "hello.txt"
    assert file.exists(), ran
    assert file.read_text().rstrip("\n") == WRITTEN
    assert desk.secret in ran.said, ran
    assert not watch.refusals(), ran
    asked = watch.upstream()
    assert [request.path for request in asked if request.path != upstream_path] == []
    assert [request.status for request in asked if request.status != 200] == []
    assert len(asked) >= turns, ran
