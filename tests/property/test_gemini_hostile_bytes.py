"""Whatever the bytes, the readers of the Gemini dialect raise their own error or none.

Real shapes are mutated, because random bytes do not get past the first brace: a node of the JSON is replaced, removed or
doubled, or bytes are flipped, cut and spliced.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytespike.core import events as e
from bytespike.core.dialect import Peek, Target
from bytespike.core.fold import Fold
from bytespike.errors import ContentPolicyViolation, InvalidRequest, UpstreamError
from bytespike.protocols.gemini import DIALECT
from bytespike.protocols.gemini.counting import read_count
from bytespike.protocols.gemini.envelope import Reasoned, Sealed, seal
from bytespike.protocols.gemini.request_in import read_count_request
from bytespike.testing.gemini_stream import validate_stream
from tests.support.gemini_traffic import ARRAY_REPLY, NEWER, OLDER, REPLY, as_array

pytestmark = pytest.mark.slow

SEALED = seal(
    Sealed(
        "anthropic_messages",
        "sig",
        "rs",
        True,
        kind="custom",
        before=(Reasoned("hm", "anthropic_messages", "x"),),
    )
)
REQUEST: dict[str, Any] = {
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "x"},
                {"inlineData": {"mimeType": "image/png", "data": "iVBO"}, "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}},
                {"file_data": {"file_uri": "https://x.org/a.pdf", "mime_type": "application/pdf"}},
                {"fileData": {"fileUri": "https://youtu.be/x"}, "videoMetadata": {"fps": 1}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True, "thoughtSignature": SEALED},
                {"text": "so", "thoughtSignature": "c2ln"},
                {"functionCall": {"id": "1", "name": "f", "args": {"input": "x"}}, "thoughtSignature": SEALED},
                {"functionCall": {"name": "g", "args": {"invalid_arguments": "{"}}, "thought_signature": "c2ln"},
                {"executableCode": {"language": "PYTHON", "code": "1", "id": "e"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1", "id": "e"}},
                {"toolCall": {"id": "s", "toolType": "GOOGLE_SEARCH_WEB", "args": {}}, "thoughtSignature": SEALED},
                {"toolResponse": {"id": "s", "tool_type": "URL_CONTEXT", "response": {"content": []}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "1", "name": "f", "response": {"output": "x"}, "willContinue": False,
                        "parts": [{"inline_data": {"mime_type": "image/png", "data": "iVBO"}}],
                    }
                },
                {"functionResponse": {"name": "g", "response": {"error": {"a": 1}}}},
            ],
        },
    ],
    "systemInstruction": {"role": "user", "parts": [{"text": "be"}]},
    "generationConfig": {
        "temperature": 1, "topK": 40, "maxOutputTokens": 10, "candidateCount": 2, "stopSequences": ["x"], "seed": 1,
        "responseMimeType": "application/json", "responseLogprobs": True, "logprobs": 2,
        "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True, "enum": ["a"]}}},
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True, "thinkingBudget": 5},
    },
    "tools": [
        {"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "any_of": [{"type": "STRING"}]}}, {"name": "g", "parametersJsonSchema": {"$ref": "#/$defs/a", "$defs": {"a": {"const": 1}}}}]},
        {"googleSearch": {"excludeDomains": ["x.org"]}},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}, "retrievalConfig": {}},
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    "cachedContent": "cachedContents/a",
}  # fmt: skip
ANSWER: dict[str, Any] = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [*REQUEST["contents"][1]["parts"], {"text": "häuser"}]},
            "finishReason": "STOP",
            "finishMessage": "m",
            "index": 0,
            "groundingMetadata": {
                "webSearchQueries": ["q"],
                "groundingChunks": [{"web": {"uri": "u", "title": "t"}}, {"retrievedContext": {"text": "x"}}],
                "groundingSupports": [
                    {
                        "segment": {"startIndex": 0, "endIndex": 7, "text": "häuser", "partIndex": 1},
                        "groundingChunkIndices": [0, 1],
                        "citation": {"kind": "page", "citedText": "x", "start": 1, "extras": {"a": {}}},
                    }
                ],
            },
            "citationMetadata": {"citations": [{"uri": "u", "startIndex": 1, "endIndex": 2}]},
            "logprobsResult": {
                "chosenCandidates": [{"token": "a", "logProbability": -1}],
                "topCandidates": [{"candidates": []}],
            },
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 5,
        "cachedContentTokenCount": 1,
        "candidatesTokenCount": 2,
        "totalTokenCount": 9,
    },
    "modelVersion": "gemini-2.5-pro",
    "responseId": "r",
    "createTime": "2026-05-19T14:59:42Z",
}
CHUNKS: list[dict[str, Any]] = [
    {"candidates": [{"content": {"parts": [{"text": "a", "thought": True}]}, "index": 0}], "modelVersion": "m", "responseId": "r"},
    {"candidates": [{"content": {"parts": [{"text": "a"}, {"text": "", "thoughtSignature": "c2ln"}]}, "index": 0}]},
    {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "willContinue": True}}]}}]},
    {"candidates": [{"content": {"parts": [{"functionCall": {"partialArgs": [{"jsonPath": "$.a[0].b", "stringValue": "x", "willContinue": True}], "willContinue": True}}]}}]},
    {"candidates": [{"content": {"parts": [{"functionCall": {"partialArgs": [{"jsonPath": "$['c']", "numberValue": 2}]}}]}}]},
    {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP", "index": 0}], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}},
]  # fmt: skip
ERROR: dict[str, Any] = {
    "error": {
        "code": 429,
        "status": "RESOURCE_EXHAUSTED",
        "message": "retry in 3s",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"},
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "X"},
            {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "a"}]},
        ],
    }
}
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, 1e308, 10**30, "", "x", "gemini", SEALED, SEALED[:25], [], {}, [None], [[]], {"a": {"b": []}}, "\ud7ff", "é" * 50]
).map(copy.deepcopy)  # fmt: skip


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, member in value.items():
            found += _nodes(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            found += _nodes(member, (*path, index))
    return found


@st.composite
def mutated(draw: st.DrawFn, shape: dict[str, Any]) -> bytes:
    value = json.loads(json.dumps(shape))
    for _ in range(draw(st.integers(1, 3))):
        nodes = _nodes(value)
        if not nodes:
            break
        *parents, last = draw(st.sampled_from(nodes))
        holder = value
        for step in parents:
            holder = holder[step]
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                holder[last] = draw(JUNK)
            case "remove":
                del holder[last]
            case _ if isinstance(holder, list):
                holder.insert(last, draw(JUNK))
            case _:
                holder[
                    draw(
                        st.sampled_from(["text", "functionCall", "parts", "thought", "index", "a_b", "error"])
                    )
                ] = draw(JUNK)
    data = json.dumps(value).encode()
    if draw(st.booleans()):
        return data
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]


OLD = Target("gemini-2.5-pro", "gemini", OLDER)
NEW = Target("gemini-3.5-flash", "gemini", NEWER, quirks=frozenset({"openapi_schema", "no_call_ids"}))


@settings(max_examples=500, deadline=None)
@given(mutated(REQUEST))
def test_a_request_is_read_or_invalid_and_then_written_or_refused(body: bytes) -> None:
    for reader in (DIALECT.peek, read_count_request):
        try:
            reader(body)
        except InvalidRequest:
            pass
    for target in (OLD, NEW):
        patched = DIALECT.patch_request(body, Peek("", False), target)
        assert b"Ynl0ZXNwaWtlLnYx" in body or patched is body
    try:
        request = DIALECT.read_request(body)
    except InvalidRequest:
        return
    for target in (OLD, NEW):
        try:
            json.loads(DIALECT.write_request(request, target).body)
        except InvalidRequest:
            pass


@settings(max_examples=500, deadline=None)
@given(mutated(ANSWER))
def test_an_answer_is_read_or_the_upstreams_error_and_then_written(body: bytes) -> None:
    try:
        DIALECT.patch_response(body, "mine")
    except UpstreamError:
        pass
    try:
        response = DIALECT.read_response(body)
    except (UpstreamError, ContentPolicyViolation):
        return
    usage = response.usage
    assert (
        min(
            usage.input,
            usage.cache_read,
            usage.cache_write_5m,
            usage.output,
            usage.reasoning,
            usage.web_searches,
        )
        >= 0
    )
    json.loads(DIALECT.write_response(response, REPLY).body)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_stream_keeps_the_grammar_and_what_is_written_of_it_is_strict(data: st.DataObject) -> None:
    pieces = [json.dumps(chunk).encode() for chunk in CHUNKS]
    at = data.draw(st.integers(0, len(pieces) - 1))
    pieces[at] = data.draw(mutated(CHUNKS[at]))
    if b"\n" in pieces[at] or b"\r" in pieces[at]:
        return
    stream = b"".join([b"data: " + piece + b"\n\n" for piece in pieces])
    array = b"[" + b",\n".join(pieces) + b"]"
    step = data.draw(st.integers(1, 200))
    for wire in (stream, array):
        reader, tap, folded = DIALECT.stream_reader(), DIALECT.tap(Peek("", True), "m"), Fold()
        got: list[e.Event] = []
        out = b""
        for start in range(0, len(wire), step):
            got += reader.feed(wire[start : start + step])
            if tap.failure is None:
                out += tap.feed(wire[start : start + step])
        got += reader.end()
        if tap.failure is None:
            out += tap.end()
        for event in got:
            folded.add(event)
        assert isinstance(got[-1], (e.Done, e.Failed))
        if b'"modelVersion"' not in wire:
            assert wire.startswith(out)
        if isinstance(got[-1], e.Done) and not _odd(folded):
            for reply in (REPLY, ARRAY_REPLY):
                validate_stream(DIALECT.stream_writer(reply).write(got), array=reply.array)


def _odd(folded: Fold) -> bool:
    """Whether the answer holds what is passed on as it came, right or wrong: parts and members that only Google knows."""
    response = folded.response()
    for candidate in response.candidates:
        if candidate.finish.extras:
            return True
        for part in candidate.parts:
            if type(part).__name__ in (
                "ForeignPart",
                "ImagePart",
                "DocumentPart",
                "AudioPart",
                "ServerToolCallPart",
                "ServerToolResultPart",
            ):
                return True
            proof = getattr(part, "proof", None)
            if proof is not None and (proof.origin == "gemini" or getattr(part, "extras", None)):
                return True
            if getattr(part, "extras", None):
                return True
    return bool(response.usage.extras)


@settings(max_examples=300, deadline=None)
@given(mutated(ERROR), st.sampled_from([0, 200, 400, 401, 404, 429, 500, 503]))
def test_an_error_is_always_somebodys_fault(body: bytes, status: int) -> None:
    failure = DIALECT.read_error(status, {"retry-after": "soon"}, body)
    assert failure.about in ("request", "channel", "upstream")
    assert failure.retry_after is None or failure.retry_after >= 0


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_random_bytes_are_nothing(body: bytes) -> None:
    for reader, error in ((DIALECT.read_request, InvalidRequest), (DIALECT.read_response, UpstreamError), (read_count, UpstreamError)):  # fmt: skip
        try:
            reader(body)
        except error:
            pass
    reader = DIALECT.stream_reader()
    assert isinstance([*reader.feed(body), *reader.end()][-1], e.Failed)


def test_nesting_is_bounded_everywhere() -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = {"a": [deep]}
    text = json.dumps(deep).encode()
    part = b'{"functionCall":{"name":"f","args":%b}}' % text
    with pytest.raises(InvalidRequest):
        DIALECT.read_request(b'{"contents":[{"parts":[%b]}]}' % part)
    with pytest.raises(UpstreamError):
        DIALECT.read_response(b'{"candidates":[{"content":{"parts":[%b]}}]}' % part)
    stream = b'data: {"candidates":[{"content":{"parts":[%b]},"finishReason":"STOP"}]}\n\n' % part
    for wire in (stream, as_array(stream)):
        reader = DIALECT.stream_reader()
        got = [*reader.feed(wire), *reader.end()]
        assert isinstance(got[-1], (e.Done, e.Failed))
        DIALECT.stream_writer(REPLY).write(got)
