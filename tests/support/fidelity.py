"""What becomes of a feature on its way from one dialect to another: probes, sent through readers and writers.

A probe of a request is how each dialect says the feature (members of a body) and how the hub has it. The body is read
by the client's dialect, written by the upstream's, and read back by the upstream's: is it there? A probe of an answer
goes the other way, once whole and once as a stream. What is not there, not told and not refused is lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from bytespike.catalog.models import CAPABILITIES
from bytespike.core.content import Base64Source
from bytespike.core.dialect import Dialect, Reply, Target
from bytespike.core.fold import Fold, unfold
from bytespike.core.media_urls import Media, urls_of, with_bytes
from bytespike.core.notices import Notice
from bytespike.core.request import ChatRequest
from bytespike.core.response import ChatResponse
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.protocols.fidelity import DIALECT_NAMES, Outcome
from bytespike.protocols.registry import DIALECTS

M, C, R, G = DIALECT_NAMES
Bodies = Mapping[str, Mapping[str, Any]]

#: What a dialect's own vendor takes from its most able models.
QUIRKS = {M: frozenset({"system_turns", "effort_xhigh", "adaptive_thinking"})}

HELLO: Bodies = {
    M: {"model": "m", "max_tokens": 1000, "messages": [{"role": "user", "content": "Hi"}]},
    C: {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
    R: {"model": "m", "input": [{"role": "user", "content": "Hi"}]},
    G: {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
}

ANSWER: Bodies = {
    M: {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    },
    C: {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    },
    R: {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "m",
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": True,
        "tools": [],
        "tool_choice": "auto",
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
            }
        ],
        "usage": {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 15,
        },
    },
    G: {
        "candidates": [
            {"index": 0, "content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}
        ],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
        "modelVersion": "m",
        "responseId": "r1",
    },
}


@dataclass(frozen=True)
class Asked:
    """A probe of a request. `said`: by dialect, the members that say it; a dialect that is not there cannot say it.
    `there`: whether the hub's request has it. `quirks`: by dialect, instead of `QUIRKS`."""

    there: Callable[[ChatRequest], bool]
    said: Bodies
    quirks: Mapping[str, frozenset[str]] = field(default_factory=lambda: QUIRKS)


@dataclass(frozen=True)
class Answered:
    """A probe of an answer: likewise, with what the upstream says. `clients`: those whose requests can bring it about.
    `figure`: it is a number, which no notice of something else makes less exact."""

    there: Callable[[ChatResponse], bool]
    said: Bodies
    clients: frozenset[str] = frozenset(DIALECT_NAMES)
    figure: bool = False


@dataclass(frozen=True)
class Returned:
    """A probe of something that an answer holds and that the next request gives back: from the upstream's answer into the
    client's, from there into the client's next request, and so to the upstream again."""

    there: Callable[[ChatRequest], bool]
    said: Bodies


Probe = Asked | Answered | Returned


class Observed(NamedTuple):
    """`evidence`: what came out, to be read when it is not what the table says."""

    outcome: Outcome
    evidence: str = ""


ABSENT = Observed("absent")


class BadProbe(AssertionError):
    """The probe does not say what it is about, or the answer differs when it is streamed."""


def observed(probe: Probe, client: str, upstream: str, lacking: frozenset[str] = frozenset()) -> Observed:
    """What becomes of the feature, for a model without the capabilities that it is `lacking`. Raises `BadProbe`."""
    if client == upstream:
        return _same(probe, client)
    if isinstance(probe, Asked):
        return _asked(probe, client, upstream, lacking)
    if isinstance(probe, Answered):
        return _answered(probe, client, upstream)
    return _returned(probe, client, upstream)


def target(
    dialect: str, quirks: Mapping[str, frozenset[str]], lacking: frozenset[str] = frozenset()
) -> Target:
    """A model that can do all that its dialect can say, but for what it is lacking."""
    able = frozenset(CAPABILITIES) - lacking
    return Target("m", "", able, 64_000, quirks.get(dialect, frozenset()))


def body_of(base: Bodies, said: Bodies, dialect: str) -> bytes:
    return json.dumps({**base[dialect], **said[dialect]}).encode()


def _same(probe: Probe, dialect: str) -> Observed:
    """The body passes as it is, whatever it says."""
    if dialect not in probe.said:
        return ABSENT
    spoken = DIALECTS[dialect]
    if isinstance(probe, Asked):
        body = body_of(HELLO, probe.said, dialect)
        able = Target("other", capabilities=frozenset(CAPABILITIES))
        try:
            patched = spoken.patch_request(body, spoken.peek(body), able)
        except UnsupportedFeature as error:
            return Observed("refused", str(error))
    else:
        body = body_of(ANSWER, probe.said, dialect)
        patched, _ = spoken.patch_response(body, "other")
    same = _without_model(patched) == _without_model(body)
    return Observed("native" if same else "lost", f"{patched!r}")


def _without_model(body: bytes) -> Any:
    return {name: value for name, value in json.loads(body).items() if name not in ("model", "modelVersion")}


def _asked(probe: Asked, client: str, upstream: str, lacking: frozenset[str]) -> Observed:
    if client not in probe.said:
        return ABSENT
    try:
        request = DIALECTS[client].read_request(body_of(HELLO, probe.said, client))
        if not probe.there(request):
            raise BadProbe(f"the reader of {client} does not see it: {request}")
        written = DIALECTS[upstream].write_request(request, target(upstream, probe.quirks, lacking))
    except UnsupportedFeature as error:
        if error.by_url is not None:
            return _fetched(probe, request, error.by_url, upstream)
        return Observed("refused", str(error))
    except InvalidRequest as error:
        return Observed("refused", str(error))
    again = DIALECTS[upstream].read_request(written.body)
    return _verdict(probe.there(again), written.notices, _plain(client, upstream), written.body)


def _fetched(probe: Asked, request: ChatRequest, media: Media, upstream: str) -> Observed:
    """The URL that the upstream does not take, as whoever carries the request would give it: inline."""
    source = Base64Source("image/png" if media == "image" else "application/pdf", "SU5MSU5F")
    inline = with_bytes(request, media, dict.fromkeys(urls_of(request, media), source))
    written = DIALECTS[upstream].write_request(inline, target(upstream, probe.quirks))
    return Observed("fetched" if source.data in written.body.decode() else "lost", f"{written.body!r}")


@cache
def _plain(client: str, upstream: str) -> frozenset[str]:
    """The notices that any request gets on this pair."""
    request = DIALECTS[client].read_request(json.dumps(HELLO[client]).encode())
    written = DIALECTS[upstream].write_request(request, target(upstream, QUIRKS))
    return frozenset(str(notice) for notice in written.notices)


def _answered(probe: Answered, client: str, upstream: str) -> Observed:
    if upstream not in probe.said or client not in probe.clients:
        return ABSENT
    speaker, listener = DIALECTS[upstream], DIALECTS[client]
    response = speaker.read_response(body_of(ANSWER, probe.said, upstream))
    if not probe.there(response):
        raise BadProbe(f"the reader of {upstream} does not see it: {response}")
    live = _streamed(probe, response, speaker, listener)
    try:
        told = listener.write_response(response, Reply("m", "resp_9"))
    except UnsupportedFeature as error:
        whole = Observed("refused", str(error))
    else:
        there = probe.there(listener.read_response(told.body))
        whole = _verdict(there, _heeded(probe, there, told.notices), frozenset(), told.body)
    if whole.outcome != live.outcome:
        raise BadProbe(f"{upstream} to {client}: whole {whole}, streamed {live}")
    return whole


def _streamed(probe: Answered, response: ChatResponse, speaker: Dialect, listener: Dialect) -> Observed:
    """The answer as the client has it from a stream."""
    said = speaker.stream_writer(Reply("m", "resp_8"))
    reader = speaker.stream_reader()
    events = reader.feed(said.write(list(unfold(response)))) + reader.end()
    writer = listener.stream_writer(Reply("m", "resp_9"))
    text = writer.write(events)
    ear = listener.stream_reader()
    heard = Fold()
    for event in ear.feed(text) + ear.end():
        heard.add(event)
    if heard.failed is not None:
        return Observed("refused", heard.failed.message)
    there = probe.there(heard.response())
    return _verdict(there, _heeded(probe, there, writer.notices), frozenset(), text)


def _heeded(probe: Answered, there: bool, notices: tuple[Notice, ...]) -> tuple[Notice, ...]:
    return () if probe.figure and there else notices


def _returned(probe: Returned, client: str, upstream: str) -> Observed:
    if upstream not in probe.said:
        return ABSENT
    response = DIALECTS[upstream].read_response(body_of(ANSWER, probe.said, upstream))
    told = DIALECTS[client].write_response(response, Reply("m", "resp_9"))
    body = next_request(client, json.loads(told.body))
    request = DIALECTS[client].read_request(json.dumps(body).encode())
    written = DIALECTS[upstream].write_request(request, target(upstream, QUIRKS))
    there = probe.there(DIALECTS[upstream].read_request(written.body))
    # What has come home has: notices are about something beside it.
    notices = () if there else (*told.notices, *written.notices)
    return _verdict(there, notices, _plain(client, upstream), written.body)


def next_request(dialect: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The request that goes on from the answer, as a client makes it: the answer given back, calls answered."""
    body = json.loads(json.dumps(HELLO[dialect]))
    tools: list[dict[str, Any]] = []
    if dialect == M:
        body["messages"].append({"role": "assistant", "content": answer["content"]})
        results = [
            {"type": "tool_result", "tool_use_id": block["id"], "content": "18"}
            for block in answer["content"]
            if block["type"] == "tool_use"
        ]
        body["messages"].append({"role": "user", "content": results or "And?"})
        tools = [{"name": "weather", "input_schema": {"type": "object"}}] if results else []
    elif dialect == C:
        message = answer["choices"][0]["message"]
        body["messages"].append(message)
        calls = message.get("tool_calls") or []
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "18"} for call in calls]
        body["messages"] += results or [{"role": "user", "content": "And?"}]
        tools = [{"type": "function", "function": {"name": "weather"}}] if results else []
    elif dialect == R:
        body["input"] += answer["output"]
        results = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": "18"}
            for item in answer["output"]
            if item["type"] == "function_call"
        ]
        body["input"] += results or [{"role": "user", "content": "And?"}]
        tools = (
            [{"type": "function", "name": "weather", "parameters": None, "strict": None}] if results else []
        )
    else:
        content = answer["candidates"][0]["content"]
        body["contents"].append(content)
        results = [
            {
                "functionResponse": {
                    **_id(part["functionCall"]),
                    "name": "weather",
                    "response": {"output": "18"},
                }
            }
            for part in content["parts"]
            if "functionCall" in part
        ]
        body["contents"].append({"role": "user", "parts": results or [{"text": "And?"}]})
        tools = [{"functionDeclarations": [{"name": "weather"}]}] if results else []
    return {**body, "tools": tools} if tools else body


def _id(call: dict[str, Any]) -> dict[str, Any]:
    return {"id": call["id"]} if "id" in call else {}


def _verdict(there: bool, notices: tuple[Notice, ...], usual: frozenset[str], body: bytes) -> Observed:
    noticed = [str(notice) for notice in notices if str(notice) not in usual]
    evidence = f"{noticed} {body!r}"
    if noticed:
        return Observed("approximated", evidence)
    return Observed("translated" if there else "lost", evidence)
