"""The vendors' SDKs for Node and the AI SDK, each on a model behind every kind of upstream.

A driver (`node/*.mjs`) holds all its conversations with all models in one process; the rules below look at what it told.
"""

from __future__ import annotations

import base64
import json
import subprocess
from functools import cache
from typing import Any

import pytest

from tests.clients.packages import NODE_SDKS
from tests.support.client_task import MODELS
from tests.support.gateway import RunningGateway
from tests.support.pixels import tiny_png

pytestmark = pytest.mark.skipif(bool(NODE_SDKS.absent()), reason=NODE_SDKS.absent())

DRIVER_SECONDS_MAX = 120
QUESTION = "Who goes there?"
RESULT = "17 degrees and fog"
WRONG_MODEL = "no-such-model"
PLACE: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
TOOL: dict[str, Any] = {
    "name": "look_up_weather",
    "description": "The weather of a city",
    "schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}

#: A driver and its arguments; the package, and its own classes for 404 and 401.
SDKS: dict[str, tuple[str, str, str]] = {
    "messages.mjs": ("@anthropic-ai/sdk", "NotFoundError", "AuthenticationError"),
    "chat.mjs": ("openai", "NotFoundError", "AuthenticationError"),
    "responses.mjs": ("openai", "NotFoundError", "AuthenticationError"),
    "gemini.mjs": ("@google/genai", "ApiError", "ApiError"),
    "ai.mjs anthropic": ("ai", "APICallError", "APICallError"),
    "ai.mjs google": ("ai", "APICallError", "APICallError"),
    "ai.mjs openai": ("ai", "APICallError", "APICallError"),
    "ai.mjs openai-compatible": ("ai", "APICallError", "APICallError"),
}
EVERY_PAIR = [pytest.param((sdk, model), id=f"{sdk} {model}") for sdk in SDKS for model in MODELS]
RESPONSES_PAIRS = [pytest.param(("responses.mjs", model), id=model) for model in MODELS]


@pytest.fixture(scope="module")
def heard(clients_gateway: RunningGateway) -> Any:
    """What a driver told of a model: run once, looked at often."""

    @cache
    def run(sdk: str) -> dict[str, Any]:
        driver, *arguments = sdk.split()
        job = {
            "url": clients_gateway.url,
            "key": clients_gateway.key,
            "models": MODELS,
            "question": QUESTION,
            "tool": TOOL,
            "result": RESULT,
            "schema": PLACE,
            "image": base64.b64encode(tiny_png()).decode(),
            "wrongModel": WRONG_MODEL,
        }
        done = subprocess.run(
            ["node", driver, *arguments],
            cwd=NODE_SDKS.folder,
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=DRIVER_SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def hear(sdk: str, model: str) -> dict[str, Any]:
        return run(sdk)[model]

    return hear


def of(told: dict[str, Any], conversation: str) -> dict[str, Any]:
    said = told[conversation]
    assert "failed" not in said, said["failed"]
    return said


every_pair = pytest.mark.parametrize("pair", EVERY_PAIR)
every_responses_pair = pytest.mark.parametrize("pair", RESPONSES_PAIRS)


@every_pair
def test_a_question_is_answered_by_the_model_that_was_asked(heard: Any, pair: tuple[str, str]):
    said = of(heard(*pair), "text")
    assert f'"{QUESTION}"' in said["text"]
    assert said["model"] == pair[1]
    assert said["output"] > 0


@every_pair
def test_a_streamed_answer_comes_in_pieces_and_is_the_same(heard: Any, pair: tuple[str, str]):
    said = of(heard(*pair), "stream")
    assert said["pieces"] > 1
    assert said["text"] == of(heard(*pair), "text")["text"]
    assert said["model"] == pair[1]
    assert said["output"] == of(heard(*pair), "text")["output"]


@pytest.mark.parametrize("conversation", ["tools", "tools_streamed"])
@every_pair
def test_a_tool_is_called_and_its_result_comes_back_in_a_second_turn(
    heard: Any, pair: tuple[str, str], conversation: str
):
    tool_was_used(of(heard(*pair), conversation))


def tool_was_used(said: dict[str, Any]) -> None:
    assert said["name"] == TOOL["name"]
    assert set(said["arguments"]) == {"city"}
    assert said["stopped"]
    assert RESULT in said["text"]


@every_pair
def test_structured_output_meets_its_schema(heard: Any, pair: tuple[str, str]):
    value = of(heard(*pair), "structured")["value"]
    assert set(value) == {"city", "people"}
    assert isinstance(value["city"], str)
    assert isinstance(value["people"], int)


@every_pair
def test_an_image_arrives(heard: Any, pair: tuple[str, str]):
    assert "image/png" in of(heard(*pair), "image")["text"]


@every_pair
def test_an_unknown_model_and_an_unknown_key_are_the_sdks_own_errors(heard: Any, pair: tuple[str, str]):
    _, not_found, no_access = SDKS[pair[0]]
    error = of(heard(*pair), "error")
    assert (error["kind"], error["status"]) == (not_found, 404), error
    assert WRONG_MODEL in error["message"]
    error = of(heard(*pair), "unknown_key")
    assert error["kind"] == no_access, error
    assert error["status"] == 401, error


@every_responses_pair
def test_a_stored_response_is_gone_on_from(heard: Any, pair: tuple[str, str]):
    tool_was_used(of(heard(*pair), "stored"))


@every_responses_pair
def test_a_socket_answers_as_a_request_does(heard: Any, pair: tuple[str, str]):
    said = of(heard(*pair), "socket")
    assert said["pieces"] > 1
    assert said["text"] == of(heard(*pair), "text")["text"]
    assert said["model"] == pair[1]


@every_responses_pair
def test_a_socket_carries_a_tool_call_and_a_second_turn(heard: Any, pair: tuple[str, str]):
    tool_was_used(of(heard(*pair), "socket_tools"))
