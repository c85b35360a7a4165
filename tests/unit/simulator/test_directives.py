"""Directives: how they are written, where they may stand, which goes first."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.providers.simulator.directives import (
    PLAIN,
    BadDirective,
    Defaults,
    build,
    parse_options,
    resolve,
    split,
)
from bytespike.providers.simulator.server import Simulator
from tests.support.simulator_http import Post, poster


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("", {}),
        ("   ", {}),
        ("malformed", {"malformed": "true"}),
        (" error=429   retry_after=2 ", {"error": "429", "retry_after": "2"}),
        ("text=all of this, error=500 too", {"text": "all of this, error=500 too"}),
        ('text="one\\ntwo" delay=1', {"text": "one\ntwo", "delay": "1"}),
        ('tool="with space"', {"tool": "with space"}),
        ('args={"a": 1}', {"args": '{"a": 1}'}),
        ("text=", {"text": ""}),
        ("tool= delay=1", {"tool": "", "delay": "1"}),
        ("refusal tokens=2", {"refusal": "true", "tokens": "2"}),
        ("delay=1\n\tpace=2", {"delay": "1", "pace": "2"}),
    ],
)
def test_options_are_read(source: str, options: dict[str, str]) -> None:
    assert parse_options(source) == options


@pytest.mark.parametrize("source", ["=5", "a=1 =2", "{}", 'text="\\x"', "-"])
def test_what_is_no_option_is_refused(source: str) -> None:
    with pytest.raises(BadDirective):
        parse_options(source)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("colour=red", "unknown option `colour`"),
        ("tokens=many", "tokens"),
        ("tokens=0", "tokens"),
        ("tokens=9999999", "tokens"),
        ("error=200", "error"),
        ("delay=-1", "delay"),
        ("delay=100000", "delay"),
        ("delay=nan", "delay"),
        ("chunk=0", "chunk"),
        ("error_rate=2", "error_rate"),
        ("malformed=perhaps", "malformed"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(source: str, says: str) -> None:
    with pytest.raises(BadDirective, match=says):
        build(parse_options(source))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(source: str) -> None:
    try:
        build(parse_options(source))
    except BadDirective:
        pass


def test_directives_are_taken_out_of_the_text() -> None:
    text, options = split("Hello [[sim: delay=1]] there [[sim: pace=2 delay=3]]")
    assert text == "Hello  there"
    assert options == {"delay": "3", "pace": "2"}
    assert split("No [[simple: x]] directive") == ("No [[simple: x]] directive", {})


def test_text_goes_before_header_and_header_before_profile() -> None:
    profile = Defaults.of("delay=1 pace=1 piece=1")
    found = resolve(profile, "pace=2 piece=2", ["[[sim: piece=3]]"], after_results=False)
    assert (found.delay, found.pace, found.piece) == (1, 2, 3)
    assert resolve(profile, None, ["plain"], after_results=False) is profile.checked
    assert resolve(Defaults.of(""), None, [], after_results=True) is PLAIN


def test_a_tool_asked_for_from_outside_is_not_asked_for_again_after_its_result() -> None:
    assert resolve(Defaults.of("tool=f"), None, [], after_results=True).tool is None
    assert resolve(Defaults.of(""), "tool=f", [], after_results=True).tool is None
    assert resolve(Defaults.of("tool=f"), None, ["[[sim: tool=g]]"], after_results=True).tool == "g"


# --- over HTTP -------------------------------------------------------------------------------------------------


def said(answer: Any) -> str:
    body = answer.json
    if "candidates" in body:
        return body["candidates"][0]["content"]["parts"][0]["text"]
    if "output" in body:
        return body["output"][0]["content"][0]["text"]
    return body["choices"][0]["message"]["content"] if "choices" in body else body["content"][0]["text"]


def test_a_wrong_directive_is_told_in_the_dialects_envelope(
    messages: Post, completions: Post, responses: Post, contents: Post
) -> None:
    asked = [{"role": "user", "content": "[[sim: colour=red]]"}]
    parts = [{"role": "user", "parts": [{"text": "[[sim: colour=red]]"}]}]
    for answer in (
        messages(messages=asked),
        completions(messages=asked),
        responses(input=asked),
        contents(contents=parts),
    ):
        assert answer.status == 400
        assert "unknown option `colour`" in answer.json["error"]["message"]


def test_a_header_steers_a_request_whose_text_cannot_be_changed(
    messages: Post, completions: Post, responses: Post, contents: Post
) -> None:
    for post in (messages, completions, responses, contents):
        assert said(post({"x-simulator": "text=from the header"})) == "from the header"
        assert post({"x-simulator": "error=503"}).status == 503


def test_a_profile_steers_a_whole_server() -> None:
    with Simulator(profile="text=from the profile") as sim:
        body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
        post = poster(sim.base_url)
        assert said(post("/v1/chat/completions", body, {"authorization": "Bearer k"})) == "from the profile"


def test_a_wrong_profile_stops_the_server_before_it_starts() -> None:
    with pytest.raises(BadDirective, match="colour"):
        Simulator(profile="colour=red")


def test_only_what_the_user_said_since_the_last_answer_is_obeyed(messages: Post, completions: Post) -> None:
    old = [
        {"role": "user", "content": "[[sim: text=old]]"},
        {"role": "assistant", "content": "[[sim: text=mine]]"},
    ]
    for post in (messages, completions):
        assert "simulator" in said(post(messages=[*old, {"role": "user", "content": "Hello"}]))
        new = [{"role": "user", "content": "[[sim: text=new]]"}, {"role": "user", "content": "Hello"}]
        assert said(post(messages=[*old, *new])) == "new"


def test_in_every_dialect_only_the_newest_text_is_obeyed(responses: Post, contents: Post) -> None:
    old = [{"role": "user", "content": "[[sim: text=old]]"}, {"role": "assistant", "content": "x"}]
    assert "simulator" in said(responses(input=[*old, {"role": "user", "content": "Hello"}]))
    assert said(responses(input=[*old, {"role": "user", "content": "[[sim: text=new]]"}])) == "new"
    turns = [
        {"role": "user", "parts": [{"text": "[[sim: text=old]]"}]},
        {"role": "model", "parts": [{"text": "x"}]},
    ]
    assert "simulator" in said(contents(contents=[*turns, {"role": "user", "parts": [{"text": "Hello"}]}]))
    newest = {"role": "user", "parts": [{"text": "[[sim: text=new]]"}]}
    assert said(contents(contents=[*turns, newest])) == "new"


def test_a_tools_result_may_carry_a_directive(messages: Post, completions: Post) -> None:
    claude = messages(
        messages=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t", "content": "[[sim: text=obeyed]]"}],
            },
        ]
    )
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    gpt = completions(
        messages=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "t", "content": "[[sim: text=obeyed]]"},
        ]
    )
    assert said(claude) == said(gpt) == "obeyed"


def test_what_is_said_can_be_set_exactly(messages: Post) -> None:
    def ask(directive: str, **fields: Any) -> Any:
        asked = [{"role": "user", "content": f"[[sim: {directive}]]"}]
        return messages(messages=asked, max_tokens=50_000, **fields).json

    assert ask('text="line one\\nline two"')["content"] == [{"type": "text", "text": "line one\nline two"}]
    text = ask("tokens=200")["content"][0]["text"]
    assert len(text) == 800
    assert "simulator" in text
    assert ask("tokens=200")["usage"]["output_tokens"] == 200
    assert ask("thinking=First, this")["content"][0]["thinking"] == "First, this"
    assert ask("thinking redacted")["content"][1]["type"] == "redacted_thinking"
    assert ask("stop_reason=pause_turn")["stop_reason"] == "pause_turn"
    calls = ask('tool=unheard calls=3 args={"a": 1}')["content"]
    assert [(call["name"], call["input"]) for call in calls] == [("unheard", {"a": 1})] * 3
    assert len({call["id"] for call in calls}) == 3
    assert ask("web_search")["usage"]["server_tool_use"]["web_search_requests"] == 1
    assert "citations" in ask("citations")["content"][-2]
    assert ask("refusal=I would rather not")["stop_details"]["explanation"] == "I would rather not"
