"""Which requests are of one conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core.dialect import Peek
from bytespike.routing.marks import SEARCHED_BYTES_MAX, SESSION_HEADERS, START_BYTES, mark, start_of

PEEK = Peek("m", False)


def marked(body: dict[str, Any] | bytes, dialect: str = "openai_chat", **other: Any) -> int:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = {"tenant": "wallet:user:u", "model": "gpt-5-5", "headers": {}, "peek": PEEK, **other}
    return mark(found["tenant"], found["model"], dialect, found["headers"], found["peek"], raw)


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def chat(*messages: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), **members}


# --- names ----------------------------------------------------------------------------------------------------


def test_a_prompt_cache_key_goes_before_all_else() -> None:
    keyed = Peek("m", False, prompt_cache_key="thread-1", end_user="somebody")
    headers = {b"session_id": b"s"}
    assert marked(chat(user("a")), peek=keyed) == marked(chat(user("b")), peek=keyed, headers=headers)
    assert marked(chat(user("a")), peek=keyed) != marked(chat(user("a")))


def test_the_end_user_goes_before_the_headers() -> None:
    named = Peek("m", False, end_user='{"session_id":"1"}')
    headers = {b"x-claude-code-session-id": b"2"}
    assert marked(chat(user("a")), peek=named, headers=headers) == marked(chat(user("b")), peek=named)


@pytest.mark.parametrize("header", SESSION_HEADERS)
def test_a_session_header_marks_the_conversation(header: bytes) -> None:
    first = marked(chat(user("a")), headers={header: b"s1"})
    assert first == marked(chat(user("b")), headers={header: b"s1"})
    assert first != marked(chat(user("a")), headers={header: b"s2"})


def test_tenants_and_models_have_conversations_of_their_own() -> None:
    named = Peek("m", False, prompt_cache_key="the same")
    marks = {
        marked(chat(user("a")), peek=named, tenant=tenant, model=model)
        for tenant in ("wallet:user:u", "wallet:org:u", "wallet:user:v")
        for model in ("gpt-5-5", "gpt-4o")
    }
    assert len(marks) == 6


def test_a_name_means_something_else_in_another_place() -> None:
    places = [
        {"peek": Peek("m", False, prompt_cache_key="x")},
        {"peek": Peek("m", False, end_user="x")},
        {"headers": {b"session_id": b"x"}},
    ]
    assert len({marked(chat(user("a")), **place) for place in places}) == 3


# --- the start of the prompt ----------------------------------------------------------------------------------

FIRST = "What is the capital of France?"
TURNS: dict[str, list[dict[str, Any]]] = {
    "anthropic_messages": [
        {"model": "m", "max_tokens": 9, "system": "Be brief.", "messages": [user(FIRST)]},
        {
            "model": "m",
            "max_tokens": 99,
            "system": "Be brief.",
            "messages": [user(FIRST), assistant("Paris."), user("And of Spain?")],
        },
    ],
    "openai_chat": [
        chat({"role": "system", "content": "Be brief."}, user(FIRST), stream=True),
        chat({"role": "system", "content": "Be brief."}, user(FIRST), assistant("Paris."), user("More")),
    ],
    "openai_responses": [
        {"model": "m", "instructions": "Be brief.", "input": [user(FIRST)]},
        {
            "model": "m",
            "instructions": "Be brief.",
            "input": [user(FIRST), {"type": "reasoning", "id": "rs_1", "summary": []}, user("More")],
        },
    ],
    "gemini": [
        {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": [{"parts": [{"text": FIRST}]}]},
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"parts": [{"text": FIRST}]},
                {"role": "model", "parts": [{"text": "Paris."}]},
                {"role": "user", "parts": [{"text": "More"}]},
            ],
        },
    ],
}


@pytest.mark.parametrize("dialect", TURNS)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_later_turns_have_the_mark_of_the_first(dialect: str, separators: tuple[str, str]) -> None:
    first, later = (json.dumps(each, separators=separators).encode() for each in TURNS[dialect])
    assert marked(first, dialect) == marked(later, dialect)


@pytest.mark.parametrize("dialect", TURNS)
@pytest.mark.parametrize("other", [FIRST + " Quick!", "Be long."])
def test_another_first_message_or_system_prompt_is_another_conversation(dialect: str, other: str) -> None:
    first = json.dumps(TURNS[dialect][0])
    changed = first.replace(FIRST if other != "Be long." else "Be brief.", other)
    assert marked(first.encode(), dialect) != marked(changed.encode(), dialect)


def test_the_assistants_words_are_no_part_of_the_mark_whatever_the_order_of_members() -> None:
    def body(*answers: str) -> dict[str, Any]:
        said = [{"content": answer, "role": "assistant"} for answer in answers]
        return {"model": "m", "messages": [{"content": FIRST, "role": "user"}, *said]}

    assert marked(body()) == marked(body("Paris.")) == marked(body("It is Paris."))


def test_a_long_first_message_is_marked_by_its_start() -> None:
    text = "x" * 4 * START_BYTES
    assert marked(chat(user(text))) == marked(chat(user(text), assistant("a"), user("b")))
    assert marked(chat(user(text))) == marked(chat(user(text + " and more")))
    assert marked(chat(user(text))) != marked(chat(user("y" + text)))


def test_a_cache_mark_that_moves_along_with_the_newest_turn_changes_nothing() -> None:
    def blocks(marked_: bool) -> list[dict[str, Any]]:
        block: dict[str, Any] = {"type": "text", "text": FIRST}
        return [block | {"cache_control": {"type": "ephemeral", "ttl": "1h"}}] if marked_ else [block]

    first = chat(user(blocks(True)))
    later = chat(user(blocks(False)), assistant("Paris."), user(blocks(True)))
    assert marked(first, "anthropic_messages") == marked(later, "anthropic_messages")


def test_text_that_looks_like_the_body_is_only_text() -> None:
    text = 'he said "messages": [{"role": "user"}] and {"role": "assistant", '
    first = {"model": "m", "note": text, "messages": [user(text)]}
    later = {"model": "m", "note": text, "messages": [user(text), assistant("a"), user("b")]}
    assert marked(first) == marked(later)
    assert marked(first) != marked({**first, "messages": [user(text + "x")]})


def test_a_property_of_the_name_in_a_tools_schema_is_not_the_messages() -> None:
    schema = {"type": "object", "properties": {"messages": {"type": "array"}}, "required": ["messages"]}
    tools = [{"type": "function", "function": {"name": "send", "parameters": schema}}]
    marks = {marked({"model": "m", "tools": tools, "messages": [user(text)]}) for text in ("a", "b", "c")}
    assert len(marks) == 3


def test_what_stands_behind_the_messages_is_not_looked_at() -> None:
    short = chat(user("a"), tools=[{"name": "x"}])
    assert marked(short) == marked(chat(user("a"), assistant("b" * 3000), tools=[{"name": "x"}]))


def test_a_prompt_in_one_text_is_marked_by_it() -> None:
    bodies = [{"model": "m", "input": text} for text in ("hello", "hello", "hello there")]
    one, same, other = (marked(body, "openai_responses") for body in bodies)
    assert one == same != other


def test_messages_that_begin_far_behind_leave_the_mark_to_the_system_prompt() -> None:
    system = [{"type": "text", "text": "s" * SEARCHED_BYTES_MAX}]
    bodies = [{"model": "m", "system": system, "messages": [user(text)]} for text in ("a", "b")]
    one, other = (marked(body, "anthropic_messages") for body in bodies)
    assert one == other


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"messages":',
        b'{"messages":[',
        b'{"messages":["',
        b'{"messages":[{"role":"user","',
        b"\xff",
    ],
)
def test_any_bytes_have_a_mark(raw: bytes) -> None:
    assert 0 <= marked(raw) < 1 << 64


def test_what_is_hashed_of_a_body_is_bounded() -> None:
    body = json.dumps({"system": "s" * 10**5, "tools": ["t" * 10**5], "messages": [user("u" * 10**6)]})
    pieces = start_of(body.encode(), "anthropic_messages")
    assert sum(map(len, pieces)) <= 3 * START_BYTES
