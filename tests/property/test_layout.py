"""A large body's layout says nothing that a search of the body would not say, and nothing where it cannot be sure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from bytespike.core.dialect import Peek, Target
from bytespike.protocols.anthropic_messages import DIALECT as ANTHROPIC_MESSAGES
from bytespike.protocols.openai_chat import DIALECT as OPENAI_CHAT
from bytespike.protocols.openai_responses import DIALECT as OPENAI_RESPONSES
from bytespike.wire.jsonedit import replace_string_member
from bytespike.wire.layout import LAID_OUT_BYTES_MIN, laid_out, replace_model

DIALECTS = (ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES)
NEW = b'"another-model"'
LONG = "x" * LAID_OUT_BYTES_MIN

#: Names with all that could be taken for something else, among them the one that is looked for.
_NAMES = st.one_of(
    st.sampled_from(
        ["model", "mod\\u0065l", "a", "", "é", "\\u00e9", "\\ud83d\\ude00", "tools", "b\\\\", '\\"model']
    )
)
_VALUES = st.one_of(
    st.sampled_from(
        ['"gpt"', '"a\\"b"', "1", "[1, 2]", '{"model":"inner"}', '"\\u00e9é"', "null", '"model":'[:-1]]
    ),
    st.text(max_size=8).map(json.dumps),
)
_GAPS = st.sampled_from(["", "", "", "", " ", "\n "])


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    """An object, mostly tightly written, with one long member somewhere."""
    tight = draw(st.booleans())
    members = draw(st.lists(st.tuples(_NAMES, _VALUES), max_size=6))
    members.insert(draw(st.integers(0, len(members))), ("long", json.dumps(LONG)))
    gap = (lambda: "") if tight else (lambda: draw(_GAPS))
    inner = ",".join(f'{gap()}"{name}"{gap()}:{gap()}{value}{gap()}' for name, value in members)
    return f"{{{inner}}}{gap()}".encode()


@given(_bodies())
@example(f'{{"model":"a","model":"b","x":"{LONG}"}}'.encode())
@example(f'{{"model":"a","x":"{LONG}","mod\\u0065l":"b"}}'.encode())
@example(f'{{"model":"a","x":"{LONG}"}}\n'.encode())
@example(f'{{"model":"a","x":{{"model":"{LONG}"}}}}'.encode())
def test_what_a_layout_says_is_what_the_body_says(body: bytes) -> None:
    wanted = frozenset({"model", "tools"})
    members, layout = laid_out(body, wanted)
    whole: dict[str, Any] = json.loads(body)
    if layout is None:
        assert members is body
        return
    pairs: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list)
    assert [name for name, _ in pairs] == list(whole), "a name that stands there twice proves nothing"
    assert layout.body is body
    assert {name: json.loads(bytes(raw)) for name, raw in layout.members.items()} == whole
    assert json.loads(body[layout.start : layout.end]) == whole["model"]
    assert json.loads(members) == {name: value for name, value in whole.items() if name in wanted}
    assert list(json.loads(members)) == [name for name in whole if name in wanted]
    if isinstance(whole["model"], str):
        seen = Peek(model=whole["model"], stream=False, layout=layout)
        assert replace_model(body, seen, NEW) == replace_string_member(body, "model", NEW)


@pytest.mark.parametrize(
    "written",
    [
        '{"model":"a","x":"%s"}',
        '{"x":"%s","model":"a"}',
        '{"x":"%s","é":[ 1 ],"model":"a"}',
    ],
)
def test_a_tightly_written_body_has_a_layout(written: str) -> None:
    body = (written % LONG).encode()
    assert laid_out(body, frozenset({"model"}))[1] is not None


@pytest.mark.parametrize(
    "written",
    [
        '{"x":"%s","model":"a","model":"b"}',
        '{"model":"a","x":"%s","mod\\u0065l":"b"}',
        '{"model":"a","x":"%s" }',
        '{"model": "a", "x": "%s"}',
        '{"x":"%s"}',
        '["%s"]',
        '{"model":"a","x":"%s"',
        '{"model":"a","x":"%s"}}',
    ],
)
def test_nothing_is_proved_of_any_other(written: str) -> None:
    body = (written % LONG).encode()
    assert laid_out(body, frozenset({"model"})) == (body, None)


def test_a_layout_is_of_its_own_body_alone() -> None:
    body = f'{{"model":"a","x":"{LONG}"}}'.encode()
    seen = Peek(model="a", stream=False, layout=laid_out(body, frozenset({"model"}))[1])
    other = f'{{"x":"{LONG}","model":"a"}}'.encode()
    assert replace_model(other, seen, NEW) == replace_string_member(other, "model", NEW)


@given(
    st.sampled_from(DIALECTS),
    st.sampled_from(["tight", "spaced"]),
    st.lists(
        st.sampled_from(
            [
                ("stream", True),
                ("max_tokens", 5),
                ("max_output_tokens", 7),
                ("tools", [{"type": "web_search_20250305"}, {"type": "function", "name": "x"}]),
                ("tools", [{"type": "custom", "custom": {"name": "x"}}]),
                ("store", False),
                ("previous_response_id", "resp_1"),
                ("instructions", "custom"),
                ("user", "u"),
                ("metadata", {"user_id": "m"}),
                ("response_format", {"type": "json_object"}),
                ("web_search_options", {}),
                ("n", 2),
            ]
        ),
        unique_by=lambda pair: pair[0],
    ),
)
def test_a_large_body_is_peeked_at_and_renamed_like_a_small_one(
    dialect: Any, style: str, chosen: list[tuple[str, Any]]
) -> None:
    separators = (",", ":") if style == "tight" else (", ", ": ")
    target = Target(model="upstream-model")

    def both(filling: str) -> tuple[Peek, dict[str, Any]]:
        members = {"model": "m", **dict(chosen), "input": filling}
        body = json.dumps(members, separators=separators).encode()
        seen = dialect.peek(body)
        assert dialect.echo(body, seen.layout) == dialect.echo(body)
        return seen, json.loads(dialect.patch_request(body, seen, target)) | {"input": ""}

    small, small_request = both("x")
    large, large_request = both(LONG)
    assert large_request == small_request
    assert large_request["model"] == "upstream-model"
    assert structs.replace(large, layout=None) == small
    assert (large.layout is not None) == (style == "tight")
