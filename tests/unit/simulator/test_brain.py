"""What is said, without HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.providers.simulator import tokens
from bytespike.providers.simulator.brain import (
    INTRODUCTION,
    Answer,
    Refuse,
    Say,
    Thought,
    ToolCall,
    answer,
    cost,
)
from bytespike.providers.simulator.directives import PLAIN, Directives
from bytespike.providers.simulator.prompt import Prompt, Result, Tool

SEED = b"7"
TOOLS = (Tool("read"), Tool("read_all"), Tool("write"))


def prompt(text: str = "Hello", **more: Any) -> Prompt:
    return Prompt(model="m", text=text, turns=1, input_tokens=1, **more)


def called(given: Answer) -> list[str]:
    return [piece.name for piece in given.pieces if isinstance(piece, ToolCall)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Hello", []),
        ("Please read it", ["read"]),
        ("read_all of it", ["read_all"]),
        ("unread and write-protected", []),
        ("Use the tool", ["read"]),
        ("please CALL A TOOL", ["read"]),
        ("tools are useful", []),
        ("in parallel: read, write", ["read", "write"]),
        ("in parallel: write", ["write", "write"]),
        ("Use these tools in parallel", ["read", "read_all"]),
    ],
)
def test_tools_are_called_when_the_text_names_or_asks_for_them(text: str, names: list[str]) -> None:
    assert called(answer(prompt(text, tools=TOOLS), PLAIN, SEED)) == names


def test_after_results_words_follow_unless_a_call_is_forced() -> None:
    results = (Result("read", "content"),)
    told = answer(prompt("read", tools=TOOLS, results=results), PLAIN, SEED)
    assert called(told) == []
    assert 'read gave: "content"' in "".join(piece.text for piece in told.pieces if isinstance(piece, Say))
    assert called(answer(prompt("read", tools=TOOLS, results=results, forced=True), PLAIN, SEED)) == ["read"]


def test_no_tools_no_calls_but_by_directive() -> None:
    assert called(answer(prompt("Use the tool"), PLAIN, SEED)) == []
    assert called(answer(prompt(), Directives(tool="any", calls=2), SEED)) == ["any", "any"]
    assert called(answer(prompt(parallel=False), Directives(tool="any", calls=2), SEED)) == ["any"]


def test_every_unforced_answer_says_who_speaks() -> None:
    for more in ({}, {"images": ("image/png",)}, {"results": (Result("f", "x"),)}):
        first = answer(prompt(**more), PLAIN, SEED).pieces[0]
        assert isinstance(first, Say)
        assert first.text.startswith(INTRODUCTION)


@given(st.text(max_size=80), st.integers(0, 40), st.booleans(), st.lists(st.text(max_size=3), max_size=3))
def test_no_answer_costs_more_than_its_limit(text: str, limit: int, thinks: bool, stops: list[str]) -> None:
    given = answer(
        prompt(text, max_tokens=limit, thinks=thinks, tools=TOOLS, stops=tuple(stops)), PLAIN, SEED
    )
    assert given.output_tokens == sum(cost(piece) for piece in given.pieces) <= limit
    assert given.thinking_tokens == sum(cost(piece) for piece in given.pieces if isinstance(piece, Thought))
    free = answer(prompt(text, thinks=thinks, tools=TOOLS, stops=tuple(stops)), PLAIN, SEED)
    assert (given.stop == "length") == (free.output_tokens > limit)


def test_the_earliest_stop_sequence_counts_and_is_left_out() -> None:
    given = answer(prompt(stops=("c", "b", "")), Directives(text="a b c"), SEED)
    assert given.pieces == (Say("a "),)
    assert (given.stop, given.stop_sequence) == ("stop_sequence", "b")


def test_a_stop_sequence_beyond_the_limit_is_not_reached() -> None:
    given = answer(prompt(stops=("END",), max_tokens=1), Directives(text="12345678END"), SEED)
    assert (given.pieces, given.stop, given.stop_sequence) == ((Say("1234"),), "length", None)


@given(st.text(max_size=50))
def test_tokens_are_a_quarter_of_the_bytes_rounded_up(text: str) -> None:
    assert tokens.count(text) == -(-len(text.encode()) // 4)


@given(st.text(max_size=50), st.integers(0, 20))
def test_a_cut_text_is_a_beginning_that_costs_no_more(text: str, limit: int) -> None:
    short = tokens.cut(text, limit)
    assert text.startswith(short)
    assert tokens.count(short) <= limit
    assert short == text or tokens.count(text[: len(short) + 1]) > limit


@pytest.mark.parametrize(
    ("sim", "stop"),
    [(Directives(thinking="1234567890"), "length"), (Directives(refusal="1234567890"), "length")],
)
def test_thoughts_and_refusals_are_cut_by_the_limit_too(sim: Directives, stop: str) -> None:
    given = answer(prompt(max_tokens=2), sim, SEED)
    (piece,) = given.pieces
    assert isinstance(piece, Thought | Refuse)
    assert (piece.text, given.stop) == ("12345678", stop)


def test_a_call_whose_name_does_not_fit_is_left_out() -> None:
    given = answer(prompt(max_tokens=1), Directives(tool="a_long_name"), SEED)
    assert (given.pieces, given.stop) == ((), "length")
