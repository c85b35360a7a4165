"""Same dialect on both sides: what is peeked at, and that every other byte stays as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core.dialect import Peek, Target
from bytespike.errors import ContentPolicyViolation, InvalidRequest, UpstreamError
from bytespike.protocols.openai_chat import DIALECT

UP = Target("upstream-name")
SAME = Target("gpt")


def body(**members: Any) -> bytes:
    return json.dumps({"model": "gpt", "messages": [], **members}).encode()


PEEKS: dict[str, tuple[dict[str, Any], Peek]] = {
    "nothing more": ({}, Peek("gpt", False, stream_usage=False)),
    "a stream": ({"stream": True}, Peek("gpt", True, stream_usage=False)),
    "a stream with usage": (
        {"stream": True, "stream_options": {"include_usage": True}},
        Peek("gpt", True, stream_usage=True),
    ),
    "nulls": (
        {"stream": None, "stream_options": None, "n": None, "max_tokens": None, "user": None, "tools": None},
        Peek("gpt", False, stream_usage=False),
    ),
    "the old limit": ({"max_tokens": 5}, Peek("gpt", False, 5, stream_usage=False)),
    "both limits": ({"max_tokens": 5, "max_completion_tokens": 7}, Peek("gpt", False, 7, stream_usage=False)),
    "choices": ({"n": 4}, Peek("gpt", False, candidates=4, stream_usage=False)),
    "the end user": (
        {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k"},
        Peek("gpt", False, stream_usage=False, end_user="s", prompt_cache_key="k"),
    ),
    "web search": ({"web_search_options": {}}, Peek("gpt", False, stream_usage=False, web_search=True)),
    "web search as a tool": (
        {"tools": [{"type": "function", "function": {}}, {"type": "openrouter:web_search"}]},
        Peek("gpt", False, stream_usage=False, web_search=True),
    ),
    "web search (Alibaba)": (
        {"enable_search": True},
        Peek("gpt", False, stream_usage=False, web_search=True),
    ),
}


@pytest.mark.parametrize("row", PEEKS)
def test_peek_sees(row: str) -> None:
    members, expected = PEEKS[row]
    assert DIALECT.peek(body(**members)) == expected


@pytest.mark.parametrize(
    ("data", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b"{", None),
        (b'{"messages": []}', "model"),
        (b'{"model": 5}', "model"),
        (b'{"model": "m", "stream": "yes"}', "stream"),
        (b'{"model": "m", "max_tokens": 0}', "max_tokens"),
        (b'{"model": "m", "max_completion_tokens": -1}', "max_completion_tokens"),
        (b'{"model": "m", "n": 0}', "n"),
        (b'{"model": "m", "n": 1000}', "n"),
        (b'{"model": "m", "stream_options": {"include_usage": 1}}', "stream_options.include_usage"),
        (b'{"model": "m", "tools": [{"type": 1}]}', "tools[0].type"),
        (b'{"model": "m", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", None),
        (b'{"model": "\xff"}', None),
    ],
)
def test_a_fault_names_the_member(data: bytes, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as raised:
        DIALECT.peek(data)
    assert raised.value.param == param


ODD = b' {\n "messages" : [{"role":"user","content":"the \\"model\\": \\"gpt\\" \\u00e9"}],\t"model" :  "gpt", "n":1.0e0,"x":{"model":"gpt"} }\n'


def test_only_the_models_name_changes() -> None:
    seen = Peek("gpt", False)
    assert DIALECT.patch_request(ODD, seen, UP) == ODD.replace(
        b'"model" :  "gpt"', b'"model" :  "upstream-name"'
    )
    assert DIALECT.patch_request(ODD, seen, SAME) is ODD


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            b'{"model":"gpt","stream":true}',
            b'{"stream_options":{"include_usage":true},"model":"gpt","stream":true}',
        ),
        (
            b'{"model":"gpt", "stream_options": null ,"stream":true}',
            b'{"model":"gpt", "stream_options": {"include_usage":true} ,"stream":true}',
        ),
        (
            b'{"stream":true,"stream_options" : { "include_obfuscation" : false }, "model":"gpt"}',
            b'{"stream":true,"stream_options" : {"include_obfuscation":false,"include_usage":true}, "model":"gpt"}',
        ),
        (
            b'{"stream":true,"stream_options":{"include_usage":false},"model":"gpt"}',
            b'{"stream":true,"stream_options":{"include_usage":true},"model":"gpt"}',
        ),
    ],
)
def test_a_stream_is_asked_for_its_usage(before: bytes, after: bytes) -> None:
    assert DIALECT.patch_request(before, DIALECT.peek(before), SAME) == after


def test_the_name_of_the_member_inside_of_others_is_left_alone() -> None:
    before = b'{"model":"gpt","stream":true,"metadata":{"stream_options":null},"stream_options":null}'
    after = json.loads(DIALECT.patch_request(before, DIALECT.peek(before), SAME))
    assert after == {**json.loads(before), "stream_options": {"include_usage": True}}


def test_usage_is_not_asked_for_where_the_platform_cannot_be_asked() -> None:
    before = body(stream=True)
    target = Target("gpt", quirks=frozenset({"no_stream_options"}))
    assert DIALECT.patch_request(before, DIALECT.peek(before), target) is before


def test_members_that_this_gateway_had_invented_do_not_reach_an_upstream() -> None:
    message = {
        "role": "assistant",
        "content": "x",
        "server_tool_calls": [{"index": 0}],
        "citation_details": [],
        "reasoning_content": "kept",
    }
    before = body(messages=[{"role": "user", "content": '"server_tool_calls"'}, message])
    after = json.loads(DIALECT.patch_request(before, DIALECT.peek(before), SAME))
    assert after["messages"][1] == {"role": "assistant", "content": "x", "reasoning_content": "kept"}
    knows = Target("gpt", quirks=frozenset({"server_tool_calls"}))
    assert DIALECT.patch_request(before, DIALECT.peek(before), knows) is before


def test_reasoning_of_another_family_does_not_reach_an_upstream() -> None:
    def turn(*formats: str) -> dict[str, Any]:
        details = [{"type": "reasoning.encrypted", "data": name, "format": name} for name in formats]
        shown = {"role": "assistant", "content": "x", "reasoning_content": "t"}
        return {**shown, "reasoning_details": details} if details else shown

    messages = [
        turn(),
        turn("anthropic-claude-v1"),
        turn("anthropic-claude-v1", "vendor-v1"),
        turn("vendor-v1"),
    ]
    before = body(messages=messages)

    def sent(family: str, *quirks: str) -> bytes:
        target = Target("gpt", family=family, quirks=frozenset(quirks))
        return DIALECT.patch_request(before, DIALECT.peek(before), target)

    bare = {"role": "assistant", "content": "x"}
    assert json.loads(sent("gpt"))["messages"] == [turn(), bare, turn("vendor-v1"), turn("vendor-v1")]
    # A vendor whose own member it is keeps the text.
    assert json.loads(sent("deepseek", "reasoning_content"))["messages"][1] == turn()
    # Its own, a vendor that takes anybody's, and a model of which nothing is known: byte for byte.
    assert sent("claude") is sent("gpt", "reasoning_details") is sent("") is before


ANSWER = b'{"id":"x", "model":"upstream-name","choices":[{"index":0,"message":{"role":"assistant","content":"\\"model\\":\\"upstream-name\\""}}], "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'


def test_an_answer_passes_under_the_clients_name() -> None:
    patched, usage = DIALECT.patch_response(ANSWER, "gpt")
    assert patched == ANSWER.replace(b'"model":"upstream-name","choices"', b'"model":"gpt","choices"')
    assert usage is not None
    assert (usage.input, usage.output) == (3, 2)
    assert DIALECT.patch_response(ANSWER, "upstream-name")[0] is ANSWER


def test_an_answer_without_usage_or_model_passes() -> None:
    assert DIALECT.patch_response(b'{"choices":[{}]}', "gpt") == (b'{"choices":[{}]}', None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"<html>",
        b"{}",
        b'{"choices":[]}',
        b'{"choices":[{}],"error":{"message":"x"}}',
        b'{"choices":5}',
    ],
)
def test_what_is_no_answer_is_an_upstream_error(data: bytes) -> None:
    with pytest.raises(UpstreamError):
        DIALECT.patch_response(data, "gpt")


# --- the tap ---------------------------------------------------------------------------------------------------

HEAD = '"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"upstream-name"'


def chunk(choices: str, usage: str | None = "null") -> bytes:
    told = "" if usage is None else f',"usage":{usage}'
    return f'data: {{{HEAD},"choices":{choices}{told}}}\n\n'.encode()


TEXT = chunk('[{"index":0,"delta":{"content":"h\\"i"},"finish_reason":null}]')
CALL = chunk(
    '[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},"finish_reason":null}]'
)
STOP = chunk('[{"index":0,"delta":{},"finish_reason":"stop"}]')
TOTAL = chunk("[]", '{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}')
DONE = b"data: [DONE]\n\n"
WHOLE = TEXT + CALL + STOP + TOTAL + DONE


def tapped(data: bytes, *, usage: bool = True, model: str = "gpt") -> tuple[bytes, Any]:
    tap = DIALECT.tap(Peek("gpt", True, stream_usage=usage), model)
    return tap.feed(data) + tap.end(), tap


def test_the_tap_renames_the_model_in_every_chunk() -> None:
    out, tap = tapped(WHOLE)
    assert out == WHOLE.replace(b'"model":"upstream-name"', b'"model":"gpt"')
    assert tap.complete
    assert tap.failure is None
    assert tap.produced_chars == len('h"i') + len("{}")
    assert (tap.usage.input, tap.usage.output) == (3, 2)
    assert tapped(WHOLE, model="upstream-name")[0] == WHOLE


def test_the_tap_takes_out_the_usage_that_the_client_had_not_asked_for() -> None:
    out, tap = tapped(WHOLE, usage=False)
    assert out == (TEXT + CALL + STOP + DONE).replace(b',"usage":null', b"").replace(b"upstream-name", b"gpt")
    assert tap.usage is not None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'data: {"usage": null, "choices":[]}\n\n', b'data: { "choices":[]}\n\n'),
        (b'data: {"choices":[] , "usage" : null}\n\n', b'data: {"choices":[] }\n\n'),
        (
            b'data: {"choices":[],"usage":null,"x":{"usage":null}}\n\n',
            b'data: {"choices":[],"x":{"usage":null}}\n\n',
        ),
        (
            b'data: {"choices":[],"usage":{"prompt_tokens":1},"moderation":{}}\n\n',
            b'data: {"choices":[],"moderation":{}}\n\n',
        ),
        (
            b'data: {"choices":[{"index":0}],"usage":{"prompt_tokens":1}}\n\n',
            b'data: {"choices":[{"index":0}],"usage":{"prompt_tokens":1}}\n\n',
        ),
    ],
    ids=["first", "spaced", "nested too", "with more in it", "in a choice's chunk"],
)
def test_usage_members_in_odd_places(before: bytes, after: bytes) -> None:
    tap = DIALECT.tap(Peek("gpt", True, stream_usage=False), "gpt")
    assert tap.feed(before) == after


def test_a_model_inside_of_other_members_is_left_alone() -> None:
    odd = b'data: {"model":"upstream-name","choices":[],"x_groq":{"model":"upstream-name"},"y":"\\"model\\":\\"upstream-name\\""}\n\n'
    out, _ = tapped(odd)
    assert out == odd.replace(b'"model":"upstream-name","choices"', b'"model":"gpt","choices"')


def test_a_chunk_without_a_model_is_left_alone() -> None:
    nested = b'data: {"choices":[],"x":{"model":"upstream-name"}}\n\n'
    assert tapped(nested)[0] == nested


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
def test_lines_end_as_they_did(ends: bytes) -> None:
    data = (b": hello\n\nevent: x\nid: 1\n" + WHOLE).replace(b"\n", ends)
    out, tap = tapped(data)
    assert out == data.replace(b'"model":"upstream-name"', b'"model":"gpt"')
    assert tap.complete
    bytewise = DIALECT.tap(Peek("gpt", True), "gpt")
    pieces = [bytewise.feed(data[at : at + 1]) for at in range(len(data))]
    assert b"".join(pieces) + bytewise.end() == out


@pytest.mark.parametrize("usage", [True, False])
def test_any_cut_gives_the_same_bytes(usage: bool) -> None:
    expected = tapped(WHOLE, usage=usage)[0]
    for at in range(len(WHOLE)):
        tap = DIALECT.tap(Peek("gpt", True, stream_usage=usage), "gpt")
        assert tap.feed(WHOLE[:at]) + tap.feed(WHOLE[at:]) + tap.end() == expected


def test_data_over_several_lines_stays_one_event() -> None:
    data = b'data: {"model":"upstream-name",\ndata: "choices":[]}\n\n'
    assert tapped(data)[0] == b'data: {"model":"gpt",\ndata: "choices":[]}\n\n'
    assert tapped(data, model="upstream-name")[0] == data


def test_a_stream_that_ends_too_early_fails() -> None:
    out, tap = tapped(TEXT + CALL[:-5])
    assert out == TEXT.replace(b"upstream-name", b"gpt")
    assert isinstance(tap.failure, UpstreamError)
    assert not tap.complete


def test_done_is_optional_and_its_empty_line_too() -> None:
    assert tapped(TEXT + STOP)[1].failure is None
    out, tap = tapped(TEXT + STOP + DONE[:-2])
    assert tap.failure is None
    assert out.endswith(b"data: [DONE]")


@pytest.mark.parametrize(
    "bad",
    [
        b'data: {"error":{"message":"boom"}}\n\n',
        b'event: error\ndata: {"error":{"message":"boom"}}\n\n',
        b'data: {"choices":[{"index":0,"error":{"message":"boom"}}]}\n\n',
        b'data: {"base_resp":{"status_code":1008,"status_msg":"no money"}}\n\n',
        b"data: <html>\n\n",
        b'data: {"choices":\n\n',
        b'data: "text"\n\n',
    ],
)
def test_an_error_is_withheld_and_stops_everything(bad: bytes) -> None:
    for data in (TEXT + bad + STOP + DONE, [TEXT, bad, STOP + DONE]):
        tap = DIALECT.tap(Peek("gpt", True), "upstream-name")
        pieces = data if isinstance(data, list) else [data]
        out = b"".join([tap.feed(piece) for piece in pieces]) + tap.end()
        assert out == TEXT
        assert tap.failure is not None
        assert not tap.complete


def test_an_error_about_the_request_is_told() -> None:
    _, tap = tapped(b'data: {"error":{"message":"no","code":"content_filter"}}\n\n')
    assert isinstance(tap.failure, ContentPolicyViolation)


def test_types_that_are_not_openais_pass_and_are_not_counted() -> None:
    odd = b'data: {"choices":[{"index":"0","delta":{"content":5}}]}\n\n'
    out, tap = tapped(odd + STOP, model="upstream-name")
    assert out == odd + STOP
    assert tap.failure is None


def test_half_of_a_surrogate_pair_passes() -> None:
    odd = b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n'
    out, tap = tapped(odd + STOP, model="upstream-name")
    assert out == odd + STOP
    assert tap.failure is None


def test_what_follows_the_end_passes() -> None:
    out, tap = tapped(WHOLE + b": bye\n\ndata: whatever\n\n", model="upstream-name")
    assert out == WHOLE + b": bye\n\ndata: whatever\n\n"
    assert tap.complete


def test_every_choice_must_finish() -> None:
    other = chunk('[{"index":1,"delta":{"content":"x"},"finish_reason":null}]')
    assert tapped(TEXT + other + STOP)[1].failure is not None
    assert tapped(TEXT + other + STOP + STOP.replace(b'"index":0', b'"index":1'))[1].failure is None


def test_usage_of_moonshot_and_groq_is_seen() -> None:
    figures = '{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}'
    moonshot = chunk(f'[{{"index":0,"delta":{{}},"finish_reason":"stop","usage":{figures}}}]', None)
    groq = STOP.replace(b"}\n\n", b',"x_groq":{"usage":%b}}\n\n' % figures.encode())
    for data in (moonshot, groq):
        usage = tapped(data)[1].usage
        assert (usage.input, usage.output) == (3, 2)
