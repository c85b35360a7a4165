"""Streams, read and written, in both framings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import structs

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.finish import Finish
from bytespike.core.fold import fold
from bytespike.core.response import ChatResponse
from bytespike.core.usage import Usage
from bytespike.errors import RateLimited, UpstreamError
from bytespike.protocols.gemini import DIALECT
from bytespike.protocols.gemini.envelope import open_seal
from bytespike.testing.gemini_stream import StreamInvalid, validate_stream
from bytespike.wire import limits
from tests.support.gemini_traffic import ARRAY_REPLY, REPLY, as_array, chunks

CLAUDE = "anthropic_messages"
DONE = [e.Finished(Finish("stop")), e.Done(Usage(3, output=4))]


def chunk(*parts: dict[str, Any], index: int = 0, **members: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": index} | members
    return {"candidates": [candidate], "modelVersion": "up", "responseId": "r"}


def sse(*told: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in told)


STOP = chunk({"text": ""}, finishReason="STOP")


def events(stream: bytes) -> list[e.Event]:
    reader = DIALECT.stream_reader()
    return [*reader.feed(stream), *reader.end()]


def read(*told: Any) -> ChatResponse:
    stream = sse(*told)
    response = fold(events(stream))
    assert fold(events(as_array(stream))) == response
    return response


def parts(*told: Any) -> tuple[c.Part, ...]:
    return read(*told).candidates[0].parts


def failed(stream: bytes) -> e.Failed:
    last = events(stream)[-1]
    assert isinstance(last, e.Failed), last
    return last


# --- reading -----------------------------------------------------------------------------------------------------


def test_pieces_of_text_are_one_part_and_thoughts_another() -> None:
    got = parts(
        chunk({"text": "h", "thought": True}),
        chunk({"text": "m", "thought": True}, {"text": "a"}),
        chunk({"text": "b"}),
        STOP,
    )
    assert got == (c.ReasoningPart("hm"), c.TextPart("ab"))


def test_a_signature_between_texts_stands_between_them_as_in_a_whole_answer() -> None:
    signed = {"text": "", "thoughtSignature": "c2ln"}
    proof = c.ReasoningPart(proof=c.Proof("gemini", "c2ln"))
    got = parts(chunk({"text": "a"}), chunk({"text": "b"}), chunk(signed), chunk({"text": "c"}), STOP)
    assert got == (c.TextPart("ab"), proof, c.TextPart("c"))
    whole = {"candidates": [{"content": {"parts": [{"text": "ab"}, signed, {"text": "c"}]}}]}
    assert DIALECT.read_response(json.dumps(whole).encode()).candidates[0].parts == got


def test_a_signature_behind_a_text_does_not_end_it() -> None:
    stream = sse(chunk({"text": "a"}), chunk({"text": "", "thoughtSignature": "c2ln"}), STOP)
    assert [event.index for event in events(stream) if isinstance(event, e.PartEnd)] == [1, 0]


def test_a_signature_ends_its_thought() -> None:
    got = parts(
        chunk({"text": "one", "thought": True, "thoughtSignature": "YQ=="}),
        chunk({"text": "two", "thought": True}),
        chunk({"text": "", "thought": True, "thoughtSignature": "Yg=="}),
        STOP,
    )
    assert got == (
        c.ReasoningPart("one", c.Proof("gemini", "YQ==")),
        c.ReasoningPart("two", c.Proof("gemini", "Yg==")),
    )


def test_calls_come_whole_and_all_at_once() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}, "id": "1"}, "thoughtSignature": "c2ln"}
    got = parts(
        chunk({"text": "so"}), chunk(call, {"functionCall": {"name": "g", "args": {}, "id": "2"}}), STOP
    )
    assert got == (
        c.TextPart("so"),
        c.ToolCallPart("1", "f", '{"a":1}', proof=c.Proof("gemini", "c2ln")),
        c.ToolCallPart("2", "g", "{}"),
    )
    assert read(chunk(call, finishReason="STOP")).candidates[0].finish.reason == "tool_calls"


def partial(*pieces: Any, goes_on: bool = True, **members: Any) -> dict[str, Any]:
    call: dict[str, Any] = dict(members)
    if pieces:
        call["partialArgs"] = list(pieces)
    if goes_on:
        call["willContinue"] = True
    return chunk({"functionCall": call})


def test_arguments_by_path_are_put_together() -> None:
    got = parts(
        partial(name="f", id="1"),
        partial({"jsonPath": "$.a[0].b", "stringValue": "x", "willContinue": True}),
        partial({"jsonPath": "$.a[0].b", "stringValue": "y", "willContinue": True}),
        partial({"jsonPath": "$.a[0].b", "stringValue": ""}),
        partial(
            {"jsonPath": "$.a[1].b", "numberValue": 1.5}, {"jsonPath": "$['odd.key']", "boolValue": True}
        ),
        partial(
            {"jsonPath": "$.n", "nullValue": "NULL_VALUE"},
            {"jsonPath": "$.i", "numberValue": 3.0},
            goes_on=False,
        ),
        STOP,
    )
    assert got == (c.ToolCallPart("1", "f", '{"a":[{"b":"xy"},{"b":1.5}],"odd.key":true,"n":null,"i":3}'),)


@pytest.mark.parametrize("path", ["$.a[5]", "$[0]", "a", "$", "$.a..b", "$.a[99999999]", "$" + ".a" * 1000])
def test_a_path_that_makes_no_sense_breaks_the_stream(path: str) -> None:
    assert failed(sse(partial({"jsonPath": path, "stringValue": "x"}, name="f"))).code == "upstream_error"


def test_a_call_whose_end_never_came_ends_with_what_follows() -> None:
    piece = {"jsonPath": "$.a", "numberValue": 1}
    assert parts(partial(piece, name="f", id="1"), STOP) == (c.ToolCallPart("1", "f", '{"a":1}'),)
    assert parts(partial(piece, name="f", id="1"), partial(goes_on=False), partial(goes_on=False), STOP) == (
        c.ToolCallPart("1", "f", '{"a":1}'),
    )


def test_citations_come_with_the_end_and_land_on_the_open_text() -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a.org", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"endIndex": 5, "text": "hällo"[:4]}, "groundingChunkIndices": [0]}
        ],
    }
    got = parts(
        chunk({"text": "häl"}),
        chunk({"text": "lo"}),
        chunk({"text": ""}, finishReason="STOP", groundingMetadata=grounding),
    )
    assert got == (c.TextPart("hällo", (c.Citation("web", "https://a.org", "A", start=0, end=4),)),)


def test_citations_of_a_text_that_has_ended_are_kept_on_an_empty_one() -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a.org"}}],
        "groundingSupports": [{"segment": {"endIndex": 2, "text": "so"}, "groundingChunkIndices": [0]}],
    }
    call = {"functionCall": {"name": "f", "args": {}, "id": "1"}}
    got = parts(chunk({"text": "so"}), chunk(call, finishReason="STOP", groundingMetadata=grounding))
    assert got[-1] == c.TextPart("", (c.Citation("web", "https://a.org"),))


def test_grounding_that_came_before_the_end_counts() -> None:
    grounding = {"webSearchQueries": ["a", "b"], "groundingChunks": []}
    response = read(
        chunk({"text": "x"}, groundingMetadata=grounding), STOP | {"usageMetadata": {"promptTokenCount": 1}}
    )
    assert response.usage.web_searches == 2


def test_several_candidates_are_told_apart() -> None:
    both = {
        "candidates": [chunk({"text": "a"})["candidates"][0], chunk({"text": "b"}, index=1)["candidates"][0]]
    }
    response = read(both, STOP, chunk({"text": "c"}, index=1, finishReason="MAX_TOKENS"))
    assert [candidate.parts for candidate in response.candidates] == [(c.TextPart("a"),), (c.TextPart("bc"),)]
    assert [candidate.finish.reason for candidate in response.candidates] == ["stop", "length"]
    assert failed(sse(both, STOP)).message == "The upstream's stream ended before the answer was complete."


def test_figures_are_told_as_they_come_and_the_last_ones_stand() -> None:
    first = chunk({"text": "a"}) | {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1}}
    last = STOP | {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 9}}
    got = events(sse(first, first, last))
    assert [event.usage.output for event in got if isinstance(event, e.UsageUpdate)] == [1, 9]
    done = got[-1]
    assert isinstance(done, e.Done)
    assert done.usage.output == 9
    assert fold(events(sse(STOP))).usage == Usage(exact=False)


def test_the_start_tells_id_model_and_time() -> None:
    (started, *_) = events(sse(chunk({"text": "a"}) | {"createTime": "2026-05-19T14:59:42.780296Z"}, STOP))
    assert isinstance(started, e.Started)
    assert (started.id, started.model, started.created) == ("r", "up", 1779202782)


KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


@pytest.mark.parametrize(
    ("error", "code", "about", "status"),
    [
        (
            {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "our quota"},
            "no_available_channel",
            "channel",
            429,
        ),
        (
            {"code": 503, "status": "UNAVAILABLE", "message": "overloaded"},
            "no_available_channel",
            "upstream",
            503,
        ),
        ({"code": 400, "status": "INVALID_ARGUMENT", "message": "bad"}, "invalid_param", "request", 400),
        ({"code": 400, "message": "our key", "details": [KEY]}, "no_available_channel", "channel", 401),
        (
            {"code": 403, "status": "PERMISSION_DENIED", "message": "our project"},
            "no_available_channel",
            "channel",
            403,
        ),
        ({"code": 500, "status": "INTERNAL", "message": "x"}, "upstream_error", "upstream", 500),
    ],
)
def test_an_error_in_mid_stream_fails_it_and_says_nothing_of_the_channel(
    error: Any, code: str, about: str, status: int
) -> None:
    stream = sse(chunk({"text": "a"}), {"error": error}, STOP)
    # In place of a stream the service writes a bare object, or a list of one.
    alone = [json.dumps({"error": error}, indent=2).encode(), json.dumps([{"error": error}]).encode()]
    for each in (stream, as_array(stream), *alone):
        got = failed(each)
        assert (got.code, got.about, got.status) == (code, about, status)
        assert "our" not in got.message.split()
        tap = DIALECT.tap(DIALECT.peek(b"{}"), "m")
        tap.feed(each)
        tap.end()
        assert tap.failure is not None
        assert (tap.failure.code, tap.failure.about, tap.failure.upstream_status) == (code, about, status)


def test_a_blocked_prompt_fails_by_content_policy() -> None:
    got = failed(sse({"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "up", "responseId": "r"}))
    assert got.code == "content_policy_violation"


@pytest.mark.parametrize(
    "stream",
    [
        b"", b"\n\n", b"[", b"[]", b"[ {", b"data: {\n\n", b"data: 3\n\n", b"data: []\n\n", b"[3]", b"[{}{}]x", b'{"a":1}',
        b"data: \xff\n\n", b'data: {"candidates":3}\n\n', b'data: {"candidates":[{"index":99,"content":{}}]}\n\n',
        b'data: {"candidates":[{"content":{"parts":[{"functionCall":{}}]}}]}\n\n', b"\xef\xbb\xbf",
        b'[{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}',
    ],
)  # fmt: skip
def test_bytes_that_are_no_whole_stream_fail_once(stream: bytes) -> None:
    got = events(stream)
    assert isinstance(got[-1], e.Failed)
    assert sum(isinstance(event, e.Failed) for event in got) == 1


def test_a_byte_order_mark_and_white_space_before_the_stream_are_skipped() -> None:
    assert fold(events(b"\xef\xbb\xbf" + sse(STOP))) == fold(events(sse(STOP)))
    assert fold(events(b" \r\n" + as_array(sse(STOP)))) == fold(events(sse(STOP)))


def test_a_chunk_that_never_ends_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bytespike.protocols.gemini.framing.EVENT_BYTES_MAX", 1000)
    assert limits.EVENT_BYTES_MAX > 1000
    reader = DIALECT.stream_reader()
    got = reader.feed(b'[{"a":"')
    for _ in range(30):
        got += reader.feed(b"x" * 100)
    (failure,) = got
    assert isinstance(failure, e.Failed)


# --- writing -----------------------------------------------------------------------------------------------------


def write(told: list[e.Event], *, array: bool = False) -> list[Any]:
    """The chunks of a whole stream, written event by event and at once."""
    reply = ARRAY_REPLY if array else REPLY
    writer = DIALECT.stream_writer(reply)
    stream = b"".join([writer.write([event]) for event in told])
    assert stream == DIALECT.stream_writer(reply).write(told)
    validate_stream(stream, array=array)
    return json.loads(stream) if array else chunks(stream)


def wire(told: list[e.Event]) -> list[Any]:
    """The parts of all chunks but the last."""
    got = write(told)
    assert write(told, array=True) == got
    return [part for each in got[:-1] for part in each["candidates"][0]["content"]["parts"]]


def whole(*parts: c.Part) -> list[e.Event]:
    found: list[e.Event] = [e.Started("up", "m")]
    for index, part in enumerate(parts):
        found += [e.PartStart(index, part), e.PartEnd(index)]
    return [*found, *DONE]


def test_text_goes_out_as_it_comes_and_the_last_chunk_says_the_rest() -> None:
    told = [
        e.Started("up", "m"),
        e.PartStart(0, c.TextPart("")),
        e.TextDelta(0, "a"),
        e.TextDelta(0, "b"),
        e.PartEnd(0),
        *DONE,
    ]
    assert write(told) == [
        {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}], "modelVersion": REPLY.model, "responseId": "up"}
        for text in "ab"
    ] + [
        {
            "candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7},
            "modelVersion": REPLY.model,
            "responseId": "up",
        }
    ]  # fmt: skip


def test_the_array_form_is_one_json_array_however_it_ends() -> None:
    told = whole(c.TextPart("a"))
    assert DIALECT.stream_writer(ARRAY_REPLY).write(told).startswith(b"[{")
    assert len(write(told, array=True)) == 2
    writer = DIALECT.stream_writer(ARRAY_REPLY)
    out = (
        writer.keep_alive()
        + writer.write(told[:2])
        + writer.keep_alive()
        + writer.fail(UpstreamError("broke"))
    )
    validate_stream(out, array=True)
    assert json.loads(out)[-1]["error"]["status"] == "INTERNAL"
    only = DIALECT.stream_writer(ARRAY_REPLY).fail(UpstreamError("broke"))
    validate_stream(only, array=True)


def test_pieces_of_arguments_are_held_until_they_are_an_object() -> None:
    told: list[e.Event] = [
        e.PartStart(0, c.ToolCallPart("1", "f", "")), e.PartStart(1, c.ToolCallPart("2", "g", "")),
        e.InputDelta(0, '{"a":'), e.InputDelta(1, '{"b'), e.InputDelta(0, "1}"), e.PartEnd(0), e.PartEnd(1), *DONE,
    ]  # fmt: skip
    writer = DIALECT.stream_writer(REPLY)
    assert writer.write(told[:5]) == b""
    rest = chunks(writer.write(told[5:]))
    calls = [part["functionCall"] for each in rest[:-1] for part in each["candidates"][0]["content"]["parts"]]
    assert calls == [
        {"name": "f", "args": {"a": 1}, "id": "1"},
        {"name": "g", "args": {"invalid_arguments": '{"b'}, "id": "2"},
    ]
    assert [notice.feature for notice in writer.notices] == ["tool_calls.arguments"]
    # The upstream had said "stop", but the client has calls to run.
    assert "nativeFinishReason" in rest[-1]["candidates"][0]


def test_a_foreign_proof_ends_its_thought_and_rides_on_the_next_call() -> None:
    told: list[e.Event] = [
        e.PartStart(0, c.ReasoningPart()), e.TextDelta(0, "hm"), e.ProofDelta(0, c.Proof(CLAUDE, "sig")), e.PartEnd(0),
        e.PartStart(1, c.ToolCallPart("1", "f", "{}")), e.PartEnd(1), *DONE,
    ]  # fmt: skip
    first, second, call = wire(told)
    assert first == {"text": "hm", "thought": True}
    assert open_seal(second["thoughtSignature"]).data == "sig"
    assert open_seal(call["thoughtSignature"]).before[0].text == "hm"


def test_pieces_of_reasoning_stay_apart() -> None:
    reasoning = (
        c.ReasoningPart("one"),
        c.ReasoningPart("two", c.Proof(CLAUDE, "s")),
        c.ReasoningPart(proof=c.Proof(CLAUDE, "r"), redacted=True),
        c.ReasoningPart("three", id="rs"),
        c.ReasoningPart("four"),
        c.ReasoningPart(proof=c.Proof(CLAUDE, "t"), redacted=True),
    )
    for reply in (REPLY, ARRAY_REPLY):
        stream = DIALECT.stream_writer(reply).write(whole(*reasoning, c.TextPart("x")))
        assert fold(events(stream)).candidates[0].parts == (*reasoning, c.TextPart("x"))


def test_citations_count_from_the_start_of_the_text_that_the_client_reads() -> None:
    cite = c.Citation("web", "https://a.org", "A", start=0, end=2)
    told = whole(
        c.TextPart("öl "), c.TextPart("öl", (cite,)), c.ReasoningPart("hm"), c.TextPart("öl", (cite,))
    )
    last = write(told)[-1]["candidates"][0]["groundingMetadata"]
    assert [support["segment"] for support in last["groundingSupports"]] == [
        {"startIndex": 4, "endIndex": 7, "text": "öl"},
        {"startIndex": 0, "endIndex": 3, "text": "öl", "partIndex": 1},
    ]
    texts = [
        part for part in fold(events(sse(*write(told)))).candidates[0].parts if isinstance(part, c.TextPart)
    ]
    assert texts[1].citations == (cite,)


def test_a_citation_before_a_signature_between_texts_is_told_once() -> None:
    cited = c.Citation("page", title="T", cited_text="q", start=1, end=2, document_index=0)
    told: list[e.Event] = [
        e.Started("r", "m"),
        e.PartStart(0, c.TextPart("")),
        e.TextDelta(0, "so"),
        e.CitationDelta(0, cited),
        e.PartEnd(0),
        e.PartStart(1, c.ReasoningPart(proof=c.Proof("gemini", "U0lH"))),
        e.PartEnd(1),
        e.PartStart(2, c.TextPart("")),
        e.TextDelta(2, "so"),
        e.PartEnd(2),
        *DONE,
    ]
    for reply in (REPLY, ARRAY_REPLY):
        back = fold(events(DIALECT.stream_writer(reply).write(told))).candidates[0].parts
        assert [part.citations for part in back if isinstance(part, c.TextPart)] == [(cited,), ()]


def test_several_candidates_finish_together_in_the_last_chunk() -> None:
    told: list[e.Event] = [
        e.PartStart(0, c.TextPart("a")), e.PartStart(1, c.TextPart("b"), 1), e.PartEnd(0), e.PartEnd(1),
        e.Finished(Finish("length")), e.Finished(Finish("stop"), 1), e.Done(Usage()),
    ]  # fmt: skip
    last = write(told)[-1]["candidates"]
    assert [(each["index"], each["finishReason"]) for each in last] == [(0, "MAX_TOKENS"), (1, "STOP")]


def test_a_failure_is_googles_error_and_the_end() -> None:
    writer = DIALECT.stream_writer(REPLY)
    out = writer.write(
        [e.PartStart(0, c.TextPart("a")), e.Failed("rate_limit_exceeded", "slow down"), e.PartEnd(0)]
    )
    validate_stream(out)
    error = chunks(out)[-1]["error"]
    assert (error["code"], error["status"], error["message"]) == (429, "RESOURCE_EXHAUSTED", "slow down")
    assert (writer.write(DONE), writer.fail(UpstreamError("x")), writer.keep_alive()) == (b"", b"", b"")


def test_a_writer_that_ends_a_stream_of_a_tap_goes_on_where_it_stood() -> None:
    stream = as_array(sse(chunk({"text": "a"}), {"error": {"code": 500, "message": "x"}}))
    tap = DIALECT.tap(DIALECT.peek(b"{}"), "m")
    out = tap.feed(stream)
    assert tap.failure is not None
    writer = DIALECT.stream_writer(structs.replace(ARRAY_REPLY, begun=True))
    told = json.loads(out + writer.fail(RateLimited("wait", retry_after=3)))
    assert [list(each) for each in told] == [["candidates", "modelVersion", "responseId"], ["error"]]
    assert told[1]["error"]["details"][-1]["retryDelay"] == "3s"


def test_an_answer_that_is_only_an_end_is_a_stream() -> None:
    assert len(write([e.Done(Usage())])) == 1


# --- the validator itself ------------------------------------------------------------------------------------------

GOOD = sse(chunk({"text": "a"}), STOP)


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"", "has a chunk"),
        (sse(chunk({"text": "a"})), "every candidate finishes"),
        (GOOD + sse(STOP), "follows its finish"),
        (b": ping\n\n" + GOOD, "data or empty"),
        (GOOD[:-1], "inside of an event"),
        (sse(chunk({"text": 1})), "text is a string"),
        (sse(chunk({"text": "a", "functionCall": {"name": "f"}})), "one kind"),
        (sse(chunk({"functionCall": {"name": ""}})), "has a name"),
        (sse(chunk({"functionCall": {"name": "f", "args": "{}"}})), "args is an object"),
        (sse(chunk({"text": "a", "thoughtSignature": "é"})), "base64"),
        (sse(chunk()), "has a part"),
        (sse(chunk({"text": ""}, finishReason="DONE")), "finish reason"),
        (sse(STOP | {"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 3}}), "the sum"),
        (sse(chunk({"text": "a"}), STOP | {"responseId": "other"}), "stay the same"),
        (sse({"error": {"code": 200, "status": "INTERNAL", "message": "x"}}), "HTTP status"),
        (sse({"error": {"code": 500, "status": "BROKEN", "message": "x"}}), "google.rpc"),
        (sse({"error": {"code": 500, "status": "INTERNAL", "message": "x"}}, STOP), "nothing follows"),
    ],
)
def test_the_validator_refuses_what_a_strict_client_would(stream: bytes, why: str) -> None:
    validate_stream(GOOD)
    with pytest.raises(StreamInvalid, match=why):
        validate_stream(stream)
    if why not in ("data or empty", "inside of an event", "has a chunk"):
        with pytest.raises(StreamInvalid, match=why):
            validate_stream(as_array(stream), array=True)
