"""A simulator on a thread of its own, and the vendors' SDKs as its clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic
from google import genai
from google.genai import types as gemini_types
from openai import OpenAI

from bytespike.providers.simulator.server import Simulator
from tests.support.simulator_http import Answer, Post, poster


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    with Simulator(seed=7, observe=True) as simulator:
        yield simulator


@pytest.fixture
def sim(running: Simulator) -> Simulator:
    running.reset()
    return running


@pytest.fixture(scope="session")
def anthropic_client(running: Simulator) -> Iterator[Anthropic]:
    with Anthropic(base_url=f"{running.base_url}/anthropic", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def openai_client(running: Simulator) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{running.base_url}/openai/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(sim: Simulator, anthropic_client: Anthropic) -> Anthropic:
    return anthropic_client


@pytest.fixture
def gpt(sim: Simulator, openai_client: OpenAI) -> OpenAI:
    return openai_client


@pytest.fixture
def google(sim: Simulator) -> genai.Client:
    return genai.Client(
        api_key="any", http_options=gemini_types.HttpOptions(base_url=f"{sim.base_url}/gemini")
    )


@pytest.fixture
def call(sim: Simulator) -> Post:
    return poster(sim.base_url)


@pytest.fixture
def messages(call: Post) -> Post:
    """POST /anthropic/v1/messages with these fields over a small valid request."""

    def send(headers: dict[str, str] | None = None, **fields: Any) -> Answer:
        body: dict[str, Any] = {
            "model": "m",
            "max_tokens": 1000,
            "messages": [{"role": "user", "content": "Hello"}],
            **fields,
        }
        body = {name: value for name, value in body.items() if value is not ...}
        known = {"x-api-key": "any", "anthropic-version": "2023-06-01", **(headers or {})}
        return call("/anthropic/v1/messages", body, {name: value for name, value in known.items() if value})

    return send


@pytest.fixture
def completions(call: Post) -> Post:
    """POST /openai/v1/chat/completions with these fields over a small valid request."""

    def send(headers: dict[str, str] | None = None, **fields: Any) -> Answer:
        body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], **fields}
        body = {name: value for name, value in body.items() if value is not ...}
        return call("/openai/v1/chat/completions", body, {"authorization": "Bearer any", **(headers or {})})

    return send


@pytest.fixture
def responses(call: Post) -> Post:
    """POST /openai/v1/responses with these fields over a small valid request."""

    def send(headers: dict[str, str] | None = None, **fields: Any) -> Answer:
        body: dict[str, Any] = {"model": "m", "input": "Hello", **fields}
        body = {name: value for name, value in body.items() if value is not ...}
        return call("/openai/v1/responses", body, {"authorization": "Bearer any", **(headers or {})})

    return send


@pytest.fixture
def contents(call: Post) -> Post:
    """POST /gemini/v1beta/models/gemini-3:generateContent, or another action, with these fields over a small request."""

    def send(
        headers: dict[str, str] | None = None,
        *,
        action: str = "generateContent",
        model: str = "gemini-3",
        **fields: Any,
    ) -> Answer:
        body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}], **fields}
        body = {name: value for name, value in body.items() if value is not ...}
        path = f"/gemini/v1beta/models/{model}:{action}"
        return call(path, body, {"x-goog-api-key": "any", **(headers or {})})

    return send
