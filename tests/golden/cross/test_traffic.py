"""Recorded traffic through the other dialect and back: nothing is lost that the hub carries.

What cannot survive is in `exceptions.toml`, one reason each.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pydantic
import pytest
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_message_create_params
from openai.types.chat import completion_create_params

from bytespike.core.dialect import Dialect, Reply, Target
from bytespike.core.events import Event, Failed
from bytespike.core.fold import Fold
from bytespike.core.response import ChatResponse
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.registry import DIALECTS
from bytespike.testing.anthropic_stream import validate_stream as validate_anthropic
from bytespike.testing.chat_stream import validate_stream as validate_chat
from tests.support import anthropic_traffic, chat_traffic
from tests.support.essence import essence, usage_essence

ANTHROPIC = DIALECTS["anthropic_messages"]
CHAT = DIALECTS["openai_chat"]
REPLY = Reply(model="the-clients-name", response_id="01JABCDEFGHJKMNPQRSTVWXYZ0", created=1_700_000_000)
_LISTED = tomllib.loads((Path(__file__).parent / "exceptions.toml").read_text())
EXCEPTIONS: dict[str, str] = _LISTED["exceptions"]
REFUSALS: dict[str, str] = _LISTED["refusals"]
VALIDATORS = {"anthropic_messages": validate_anthropic, "openai_chat": validate_chat}

pytestmark = pytest.mark.traffic

if not chat_traffic.present():
    pytest.skip("the recorded traffic is absent", allow_module_level=True)


def _cases(kind: str) -> list[Any]:
    found: list[Any] = []
    for each in anthropic_traffic.EXCHANGES:
        value = {"request": each.request, "answer": each.response, "stream": each.stream}[kind]
        if value is not None and each.status == 200:
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            found.append(pytest.param(each.name, ANTHROPIC, CHAT, data, id=each.name))
    for each in chat_traffic.exchanges():
        value = {"request": each.request, "answer": each.answer, "stream": each.stream}[kind]
        if value is not None and each.status == 200:
            found.append(pytest.param(each.name, CHAT, ANTHROPIC, value, id=each.name))
    return found


def _excepted(name: str, what: str) -> bool:
    """Whether this case is in the list; it must then really fail, so the list cannot rot."""
    return f"{name} {what}" in EXCEPTIONS


def _differs(name: str, what: str, expected: Any, got: Any) -> None:
    if _excepted(name, what):
        assert got != expected, f"{name} {what} is listed as an exception and is none"
    else:
        assert got == expected


def _events(dialect: Dialect, stream: bytes) -> list[Event]:
    reader = dialect.stream_reader()
    return [*reader.feed(stream), *reader.end()]


def _fold(events: list[Event]) -> ChatResponse | None:
    """None for a stream that ends in a failure: it has no answer."""
    folded = Fold()
    for event in events:
        folded.add(event)
    return None if folded.failed else folded.response()


@pytest.mark.parametrize(("name", "source", "target", "body"), _cases("answer"))
def test_an_answer_survives_the_other_dialect(name: str, source: Dialect, target: Dialect, body: bytes):
    if b'"error"' in body[:200] and b'"choices"' not in body:
        pytest.skip("an error, not an answer")
    response = source.read_response(body)
    if len(response.candidates) > 1 and target is ANTHROPIC:
        with pytest.raises(UnsupportedFeature):
            target.write_response(response, REPLY)
        return
    back = target.read_response(target.write_response(response, REPLY).body)
    _differs(name, "answer", essence(response), essence(back))


@pytest.mark.parametrize(("name", "source", "target", "stream"), _cases("stream"))
def test_a_stream_survives_the_other_dialect(name: str, source: Dialect, target: Dialect, stream: bytes):
    events = _events(source, stream)
    response = _fold(events)
    writer = target.stream_writer(REPLY)
    written = b"".join(writer.write([event]) for event in events)
    if response is None:
        assert isinstance(events[-1], Failed)
        assert b'"error"' in written
        return
    VALIDATORS[target.name](written)
    back = _fold(_events(target, written))
    assert back is not None
    _differs(name, "stream", essence(response), essence(back))


ADAPTERS: dict[str, list[pydantic.TypeAdapter[Any]]] = {
    "anthropic_messages": [
        pydantic.TypeAdapter(message_create_params.MessageCreateParams),
        pydantic.TypeAdapter(beta_message_create_params.MessageCreateParams),
    ],
    "openai_chat": [pydantic.TypeAdapter(completion_create_params.CompletionCreateParams)],
}
EVERYTHING = frozenset(
    {
        "vision", "documents", "audio_input", "tools", "parallel_tools", "thinking", "thinking_budget",
        "adaptive_thinking", "effort", "effort_xhigh", "sampling", "stop_sequences", "json_object", "json_schema",
        "web_search", "logprobs", "prompt_cache", "system_turns",
    }
)  # fmt: skip


@pytest.mark.parametrize(("name", "source", "target", "body"), _cases("request"))
def test_a_request_is_valid_by_the_other_sdks_types_or_refused(
    name: str, source: Dialect, target: Dialect, body: bytes
):
    try:
        request = source.read_request(body)
    except Exception as error:
        assert _excepted(name, "read"), f"{type(error).__name__}: {error}"
        return
    to = Target(model="target-model", capabilities=EVERYTHING, max_output_tokens=64_000)
    try:
        written = target.write_request(request, to)
    except UnsupportedFeature as error:
        assert any(part in str(error) for part in REFUSALS) or _excepted(name, "request"), str(error)
        return
    plain = json.loads(written.body)
    problems: list[str] = []
    for adapter in ADAPTERS[target.name]:
        try:
            adapter.validate_python(plain)
            break
        except pydantic.ValidationError as error:
            problems.append(str(error)[:600])
    else:
        assert _excepted(name, "request"), "\n".join(problems)


@pytest.mark.parametrize(("name", "source", "target", "body"), _cases("answer"))
def test_usage_adds_up_to_the_providers_own_figures(name: str, source: Dialect, target: Dialect, body: bytes):
    told = json.loads(body)
    usage = told.get("usage")
    if not usage:
        pytest.skip("no figures")
    read = usage_essence(source.read_response(body).usage)
    prompt = read["input"] + read["cache_read"] + read["cache_write_5m"] + read["cache_write_1h"]
    if source is ANTHROPIC:
        assert read["input"] == usage["input_tokens"]
        assert read["cache_read"] == (usage.get("cache_read_input_tokens") or 0)
        written = read["cache_write_5m"] + read["cache_write_1h"]
        assert written == (usage.get("cache_creation_input_tokens") or 0)
        assert read["output"] == usage["output_tokens"]
    else:
        assert prompt == (usage.get("prompt_tokens") or 0)
        # Some vendors leave reasoning out of completion_tokens; then only the total has it.
        assert read["output"] in (
            usage.get("completion_tokens") or 0,
            (usage.get("total_tokens") or 0) - prompt,
        )
