"""Gemini to Gemini: the bytes as they are, and what billing reads of them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from msgspec import structs

from bytespike.core import content as c
from bytespike.core.dialect import Peek, Reply, Target
from bytespike.core.finish import Finish
from bytespike.core.response import Candidate, ChatResponse
from bytespike.errors import InvalidRequest, UpstreamError
from bytespike.protocols.gemini import DIALECT
from bytespike.protocols.gemini.call_ids import AnswerIds
from bytespike.protocols.gemini.contents_out import FOREIGN_SIGNATURE
from bytespike.protocols.gemini.envelope import SEALED_PREFIX, Sealed, seal
from tests.support.gemini_traffic import NEWER, OLDER, REPLY, as_array

OLD = Target("gemini-2.5-flash", "gemini", OLDER)
NEW = Target("gemini-3.5-flash", "gemini", NEWER)
WATCH = Peek(model="", stream=True)


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def chunk(text: str, **members: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0} | members
    return {"candidates": [candidate], "modelVersion": "up", "responseId": "r"}


def sse(*told: Any) -> bytes:
    return b"".join(b"data: " + dump(each) + b"\n\n" for each in told)


# --- peek --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ({}, Peek("", False)),
        ({"generationConfig": {"maxOutputTokens": 7, "candidateCount": 2}}, Peek("", False, 7, 2)),
        ({"generation_config": {"max_output_tokens": 7.0, "candidate_count": 2}}, Peek("", False, 7, 2)),
        ({"tools": [{"functionDeclarations": []}, {"googleSearch": {}}]}, Peek("", False, web_search=True)),
        ({"tools": [{"google_search_retrieval": {}}]}, Peek("", False, web_search=True)),
        ({"tools": [{"functionDeclarations": []}]}, Peek("", False)),
    ],
)
def test_peek_reads_what_routing_and_money_need(body: Any, seen: Peek) -> None:
    assert DIALECT.peek(dump(body)) == seen


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"tools":3}', b'{"generationConfig":{"maxOutputTokens":"many"}}', b'{"generationConfig":{"candidateCount":99}}', b'{"generationConfig":{"maxOutputTokens":0}}'],
)  # fmt: skip
def test_peek_refuses_what_it_cannot_read(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        DIALECT.peek(body)


# --- requests ------------------------------------------------------------------------------------------------------

FOREIGN = Sealed("anthropic_messages", "sig")


def test_the_seal_is_known_by_its_first_characters() -> None:
    for sealed in (FOREIGN, Sealed(), Sealed(kind="refusal")):
        assert seal(sealed).startswith(SEALED_PREFIX)
    assert base64.b64decode(SEALED_PREFIX) == b"bytespike.v1"


def test_a_body_without_seals_is_the_same_bytes() -> None:
    body = dump({"contents": [{"parts": [{"text": "x", "thoughtSignature": "c2ln"}]}]})
    assert DIALECT.patch_request(body, DIALECT.peek(body), NEW) is body
    # The user may speak of a seal.
    talk = dump({"contents": [{"parts": [{"text": seal(FOREIGN)}]}]})
    assert DIALECT.patch_request(talk, DIALECT.peek(talk), NEW) is talk


def _patched(target: Target, *parts: Any) -> Any:
    body = dump(
        {"contents": [{"role": "model", "parts": list(parts)}, {"parts": [{"text": "go on"}]}], "labels": {}}
    )
    return json.loads(DIALECT.patch_request(body, DIALECT.peek(body), target))


def test_other_providers_proofs_are_taken_out() -> None:
    sealed = seal(FOREIGN)
    got = _patched(
        OLD,
        {"text": "hm", "thought": True, "thoughtSignature": sealed},
        {"text": "no", "thought_signature": sealed},
        {"toolCall": {"id": "s", "toolType": "GOOGLE_SEARCH_WEB"}, "thoughtSignature": sealed},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": sealed},
        {"functionCall": {"name": "g", "args": {}}},
    )
    assert got["contents"][0]["parts"] == [
        {"text": "no"},
        {"functionCall": {"name": "f", "args": {}}},
        {"functionCall": {"name": "g", "args": {}}},
    ]
    assert list(got) == ["contents", "labels"]


def test_the_first_call_gets_the_stand_in_where_the_model_wants_a_signature() -> None:
    call = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": seal(FOREIGN)}
    first, second = _patched(NEW, call, call)["contents"][0]["parts"]
    assert first["thoughtSignature"] == FOREIGN_SIGNATURE
    assert "thoughtSignature" not in second


def _answer_parts(call_id: str, proof: c.Proof | None = None) -> list[Any]:
    calls = (c.ToolCallPart(call_id, "f", "{}", proof=proof), c.ToolCallPart(f"{call_id}b", "g", "{}"))
    response = ChatResponse("up", "m", (Candidate(calls, Finish("tool_calls")),))
    written = json.loads(DIALECT.write_response(response, Reply("m", "r")).body)
    return written["candidates"][0]["content"]["parts"]


def test_a_call_of_another_provider_without_any_proof_gets_the_stand_in_too() -> None:
    parts = _answer_parts("call_Ab1")
    assert "thoughtSignature" not in parts[1]
    first, second = _patched(NEW, *parts)["contents"][0]["parts"]
    assert first["thoughtSignature"] == FOREIGN_SIGNATURE
    assert "thoughtSignature" not in second
    assert all("thoughtSignature" not in part for part in _patched(OLD, *parts)["contents"][0]["parts"])


def test_a_call_of_googles_own_keeps_its_signature_or_has_none() -> None:
    ids = AnswerIds("response", 0)
    assert all("thoughtSignature" not in part for part in _answer_parts(ids.call(None, "f")))
    signed, bare = _answer_parts(ids.call(None, "f"), c.Proof("gemini", "c2ln"))
    assert signed["thoughtSignature"] == "c2ln"
    body = dump({"contents": [{"role": "model", "parts": [bare]}]})
    assert DIALECT.patch_request(body, DIALECT.peek(body), NEW) is body


def test_a_content_that_was_only_a_foreign_thought_goes() -> None:
    got = _patched(NEW, {"text": "hm", "thought": True, "thoughtSignature": seal(FOREIGN)})
    assert len(got["contents"]) == 1


# --- whole answers -------------------------------------------------------------------------------------------------


def test_only_the_models_name_is_edited_and_only_where_it_stands() -> None:
    body = b'{ "candidates" : [{"content":{"parts":[{"text":"modelVersion"}]}}],\n "modelVersion": "up" }'
    assert DIALECT.patch_response(body, "mine")[0] == body.replace(b'"up"', b'"mine"')
    bare = b'{"candidates":[{}]}'
    assert DIALECT.patch_response(bare, "mine")[0] is bare


def test_an_array_of_chunks_is_edited_chunk_by_chunk() -> None:
    stream = as_array(
        sse(chunk("a"), chunk("", finishReason="STOP") | {"usageMetadata": {"promptTokenCount": 2}})
    )
    body, usage = DIALECT.patch_response(stream, "mine")
    assert body == stream.replace(b'"up"', b'"mine"')
    assert usage is not None
    assert usage.input == 2


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"error":{"code":500}}', b"[3]", b'[{"candidates":[]}]']
)
def test_an_answer_that_is_none_is_the_upstreams_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        DIALECT.patch_response(body, "m")


# --- streams -------------------------------------------------------------------------------------------------------


def test_a_tap_counts_text_thoughts_and_arguments() -> None:
    call = {"functionCall": {"name": "ab", "args": {"c": 1}}}
    parts = [{"text": "xy", "thought": True}, {"text": "z"}, call]
    told = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    tap = DIALECT.tap(WATCH, "m")
    tap.feed(sse(told))
    assert tap.produced_chars == 2 + 1 + 2 + len('{"c":1}')
    assert tap.complete
    assert not tap.ended


@pytest.mark.parametrize("form", [lambda s: s, as_array])
def test_an_error_is_withheld_with_all_that_follows(form: Any) -> None:
    stream = form(sse(chunk("a"), {"error": {"code": 403, "message": "our project"}}, chunk("b")))
    for step in (1, 7, len(stream)):
        tap = DIALECT.tap(WATCH, "up")
        out = b"".join([tap.feed(stream[at : at + step]) for at in range(0, len(stream), step)]) + tap.end()
        assert stream.startswith(out)
        assert b"project" not in out
        assert b'"a"' in out
        assert tap.failure is not None
        assert "project" not in tap.failure.message


@pytest.mark.parametrize("bad", [b"data: {nope}\n\n", b"data: nope\n\n", b'{"error": {"code": 500}}\n\n'])
def test_what_is_no_chunk_fails_the_stream(bad: bytes) -> None:
    tap = DIALECT.tap(WATCH, "up")
    assert tap.feed(sse(chunk("a")) + bad) == sse(chunk("a"))
    assert tap.failure is not None


def test_what_is_no_chunk_of_an_array_fails_it() -> None:
    tap = DIALECT.tap(WATCH, "up")
    assert tap.feed(b"[" + dump(chunk("a")) + b",3]") == b"[" + dump(chunk("a"))
    assert tap.failure is not None


def test_types_that_are_not_googles_are_the_clients_business() -> None:
    stream = b'data: {"candidates": "soon"}\n\n' + sse(chunk("", finishReason="STOP"))
    tap = DIALECT.tap(WATCH, "up")
    assert tap.feed(stream) == stream
    assert tap.failure is None


def test_an_array_that_breaks_off_after_its_answer_is_closed() -> None:
    stream = as_array(sse(chunk("a"), chunk("", finishReason="STOP")))
    cut = stream.rstrip()[:-1]
    tap = DIALECT.tap(WATCH, "up")
    out = tap.feed(cut) + tap.end()
    assert json.loads(out) == json.loads(stream)
    assert tap.failure is None


def test_a_blocked_prompt_passes_and_is_complete() -> None:
    stream = sse({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}})
    tap = DIALECT.tap(WATCH, "up")
    assert tap.feed(stream) + tap.end() == stream
    assert tap.failure is None
    assert tap.usage is not None
    assert tap.usage.input == 4


def test_a_last_event_without_its_empty_line_counts() -> None:
    stream = sse(chunk("a"), chunk("", finishReason="STOP"))[:-2]
    tap = DIALECT.tap(WATCH, "up")
    assert tap.feed(stream) + tap.end() == stream
    assert tap.failure is None


def test_json_that_is_spread_over_several_lines_keeps_its_lines() -> None:
    pretty = json.dumps(chunk("a", finishReason="STOP"), indent=1).encode()
    stream = b"".join(b"data: " + line + b"\n" for line in pretty.split(b"\n")) + b"\n"
    tap = DIALECT.tap(WATCH, "mine")
    assert tap.feed(stream) == stream.replace(b'"up"', b'"mine"')


def test_an_answer_of_this_gateway_passes_a_second_one() -> None:
    proof = c.Proof("anthropic_messages", "sig")
    response = ChatResponse(
        "u", "m", (Candidate((c.ReasoningPart("hm", proof), c.TextPart("x")), Finish("refusal")),)
    )
    body = DIALECT.write_response(response, REPLY).body
    again, _ = DIALECT.patch_response(body, "other")
    assert DIALECT.read_response(again) == structs.replace(DIALECT.read_response(body), model="other")


@pytest.mark.parametrize("blank", [b"\n\n", b"\r\n\r\n"])
@pytest.mark.parametrize(
    "strange",
    [
        chunk("one"),
        chunk('of "modelVersion":"up"'),
        {**chunk("x"), "modelVersion": "other"},
        {**chunk("x"), "modelVersion": "modelVersion"},
        {"modelVersion": "up", "candidates": [{"modelVersion": "up"}]},
        {"error": {"code": 500, "message": "broken", "status": "INTERNAL"}},
        {"candidates": 1, "modelVersion": "up"},
        {"modelVersion": None},
    ],
)
def test_an_event_passes_alike_whether_it_comes_alone_or_cut(blank: bytes, strange: dict[str, Any]) -> None:
    events = [b"data: " + dump(each) + blank for each in (chunk("a"), chunk("b"), strange, chunk("c"))]
    alone, cut = DIALECT.tap(WATCH, "mine"), DIALECT.tap(WATCH, "mine")
    first = b"".join(alone.feed(event) for event in events)
    # Cut where no event ends, so that none of them takes the short way.
    whole = b"".join(events)
    second = b"".join(cut.feed(whole[at : at + 7]) for at in range(0, len(whole), 7))
    assert first == second
    assert (alone.failure is None) == (cut.failure is None)
    assert alone.produced_chars == cut.produced_chars
    assert alone.usage == cut.usage
