"""Same dialect on both sides: the bytes as they are, but for the model and for what this gateway had put in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core.dialect import Peek, Target
from bytespike.core.usage import estimated_chars
from bytespike.errors import InvalidRequest, UnsupportedFeature, UpstreamError
from bytespike.protocols.openai_responses import DIALECT
from bytespike.wire.limits import EVENT_BYTES_MAX
from tests.support.responses_bodies import body, framed, output, response_of


def patched(data: bytes, model: str = "m") -> bytes:
    return DIALECT.patch_request(data, DIALECT.peek(data), Target(model))


def test_a_body_without_differences_is_the_same_object() -> None:
    data = b' { "model" : "m", "input":"caf\\u00e9", "unknown": [1.0, 1e5 ] } '
    assert patched(data) is data
    assert patched(data, "n") == data.replace(b'"m"', b'"n"')


def test_a_models_name_deeper_in_the_body_stays() -> None:
    data = json.dumps(
        {"tools": [{"type": "image_generation", "model": "x"}], "model": "m", "input": "i"}
    ).encode()
    assert json.loads(patched(data, "n")) == {**json.loads(data), "model": "n"}


def test_peek_reads_what_money_and_routing_need() -> None:
    data = body(
        stream=True,
        max_output_tokens=9,
        user="u",
        prompt_cache_key="k",
        tools=[{"type": "web_search_preview"}],
    )
    assert DIALECT.peek(data) == Peek(
        "m", True, 9, end_user="u", prompt_cache_key="k", web_search=True, store=True
    )
    assert DIALECT.peek(body(safety_identifier="s", user="u")).end_user == "s"


@pytest.mark.parametrize(
    ("data", "param"),
    [
        (b"{}", "model"),
        (b'{"model":3}', "model"),
        (b'{"model":"m","tools":[{"type":3}]}', "tools[0].type"),
        (b'{"model":"m","max_output_tokens":0}', "max_output_tokens"),
        (b"[]", None),
        (b"{", None),
        (b'{"model":"\xff"}', None),
        (b'{"model":"m","input":' + b"[" * 100_000, None),
    ],
)
def test_a_wrong_body_is_the_callers_error(data: bytes, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as raised:
        DIALECT.peek(data)
    assert raised.value.param == param


@pytest.mark.parametrize(
    "members", [{"background": True}, {"conversation": "conv_1"}, {"conversation": {"id": "c"}}]
)
def test_what_cannot_be_billed_or_belongs_to_the_account_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFeature):
        DIALECT.peek(body(**members))


def test_their_absence_is_not() -> None:
    assert DIALECT.peek(body(background=False, conversation=None, previous_response_id="resp_1")).model == "m"


# --- what this gateway had put in ------------------------------------------------------------------------------


def test_response_format_moves_to_where_openai_takes_it() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}
    got = json.loads(patched(body(response_format=schema, text={"verbosity": "low"})))
    assert "response_format" not in got
    assert got["text"] == {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {}}}
    kept = json.loads(patched(body(response_format=schema, text={"format": {"type": "text"}})))
    assert kept["text"] == {"format": {"type": "text"}}


def test_sealed_items_and_our_members_are_taken_out() -> None:
    history = output(
        c.ReasoningPart("hm", c.Proof("anthropic_messages", "sig")),
        c.TextPart("a", (c.Citation("web", "u", "t", proof="i"), c.Citation("page", title="D"))),
        c.ToolCallPart("c", "f", "{}", proof=c.Proof("gemini", "sig")),
    )
    history.append({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"})
    got = json.loads(patched(body(input=history)))["input"]
    assert [item["type"] for item in got] == ["message", "function_call", "reasoning"]
    annotations = got[0]["content"][0]["annotations"]
    assert annotations == [
        {"type": "url_citation", "start_index": 0, "end_index": 1, "url": "u", "title": "t"}
    ]


def test_a_body_that_only_speaks_of_them_stays() -> None:
    data = body(input='say "response_format" and bytespike.v1.gemini.x and "bytespike"')
    assert patched(data) is data


# --- answers ---------------------------------------------------------------------------------------------------


def test_an_answer_changes_its_model_only() -> None:
    data = json.dumps(response_of(tools=[{"type": "image_generation", "model": "up"}])).encode()
    same, usage = DIALECT.patch_response(data, "up")
    assert same is data
    assert usage is not None
    assert (usage.input, usage.output) == (5, 7)
    other, _ = DIALECT.patch_response(data, "mine")
    assert json.loads(other) == {**json.loads(data), "model": "mine"}
    assert "reasoning_tokens" not in json.loads(other)["usage"]


@pytest.mark.parametrize(
    "data",
    [b"{", b"[]", b'{"error":{"message":"m"}}', json.dumps(response_of(status="failed", error={})).encode()],
)
def test_an_answer_that_is_none_is_the_upstreams_error(data: bytes) -> None:
    with pytest.raises(UpstreamError):
        DIALECT.patch_response(data, "mine")


# --- streams ---------------------------------------------------------------------------------------------------

CREATED = {"type": "response.created", "response": response_of(status="in_progress", usage=None)}
DELTA = {"type": "response.output_text.delta", "output_index": 0, "delta": "héllo"}
ENDED = {"type": "response.completed", "response": response_of()}


def test_a_tap_counts_and_renames() -> None:
    tap = DIALECT.tap(Peek("m", True), "mine")
    out = tap.feed(framed(CREATED, DELTA)) + tap.feed(framed(DELTA)) + tap.feed(framed(ENDED)) + tap.end()
    assert out.count(b'"model": "up"') == 0
    assert out.count(b'"model": "mine"') + out.count(b'"model":"mine"') == 2
    assert (tap.produced_chars, tap.complete, tap.ended, tap.failure) == (
        2 * estimated_chars("héllo"),
        True,
        True,
        None,
    )
    assert tap.usage is not None
    assert tap.usage.output == 7


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "error": {"message": "our account", "code": "insufficient_quota"}},
        {"type": "response.failed", "response": response_of(error={"code": "server_error", "message": "m"})},
    ],
)
def test_a_failure_is_withheld_with_all_that_follows(event: dict[str, Any]) -> None:
    tap = DIALECT.tap(Peek("m", True), "up")
    good = framed(CREATED, DELTA)
    assert tap.feed(good + framed(event, ENDED)) == good
    assert tap.failure is not None
    assert tap.failure.about in ("channel", "upstream")
    assert tap.feed(framed(ENDED)) == tap.end() == b""
    assert not tap.complete


def test_what_is_no_json_is_withheld() -> None:
    for junk in (b"data: {]\n\n", b"event: response.output_text.delta\ndata: {]\n\n", b"data: 3\n\n"):
        tap = DIALECT.tap(Peek("m", True), "up")
        assert tap.feed(framed(CREATED) + junk) == framed(CREATED)
        assert tap.failure is not None


def test_an_event_without_end_is_not_held_for_ever() -> None:
    tap = DIALECT.tap(Peek("m", True), "up")
    piece = b"x" * (1 << 20)
    for _ in range(EVENT_BYTES_MAX // len(piece) + 2):
        assert tap.feed(piece) == b""
    assert tap.failure is not None


def test_a_comment_passes_and_the_done_marker_of_other_dialects_too() -> None:
    tap = DIALECT.tap(Peek("m", True), "up")
    data = b": ping\n\n" + framed(CREATED, ENDED) + b"data: [DONE]\n\n"
    assert tap.feed(data) + tap.end() == data
    assert tap.failure is None
