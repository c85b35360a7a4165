"""What was billed is held against what was answered: every case was the work that its name says."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from benchmarks import answers
from benchmarks.audit import Line, Sum, billed, differences
from benchmarks.load import Tally
from benchmarks.processes import NotMeasured
from benchmarks.work import STATIC, Manner, Work
from bytespike.store.tables import responses, usage

WHOLE_WORK = Work("anthropic", "gemini", "2k", STATIC)
STREAM_WORK = Work("anthropic", "gemini", "short", Manner(events=5))
STORE_WORK = Work("responses", "responses", "short", STATIC, store=True)
LINES = {
    WHOLE_WORK: Line("anthropic_messages", "gemini", "gemini-3-flash", stream=False),
    STREAM_WORK: Line("anthropic_messages", "gemini", "gemini-2-5-pro", stream=True),
    STORE_WORK: Line("openai_responses", "openai_responses", "gpt-5-5", stream=False),
}


def _sum(requests: int, output_tokens: int) -> Sum:
    return Sum(requests, requests * answers.INPUT_TOKENS, requests * output_tokens)


def test_what_was_answered_and_no_more_was_billed() -> None:
    tallies = {WHOLE_WORK: Tally(answered=10, cut=2), STREAM_WORK: Tally(answered=3)}
    for requests in (10, 11, 12):
        sums = {LINES[WHOLE_WORK]: _sum(requests, answers.OUTPUT_TOKENS), LINES[STREAM_WORK]: _sum(3, 5)}
        assert differences(sums, tallies, LINES) == []
    for requests in (9, 13):
        sums = {LINES[WHOLE_WORK]: _sum(requests, answers.OUTPUT_TOKENS), LINES[STREAM_WORK]: _sum(3, 5)}
        (problem,) = differences(sums, tallies, LINES)
        assert problem.startswith(
            "10 requests from anthropic_messages to gemini (gemini-3-flash) were answered"
        )


def test_an_answer_billed_with_other_figures_is_told() -> None:
    (problem,) = differences(
        {LINES[STREAM_WORK]: Sum(3, 3 * answers.INPUT_TOKENS, 14)}, {STREAM_WORK: Tally(answered=3)}, LINES
    )
    assert "output_tokens=14" in problem
    assert "output_tokens=15" in problem


def test_of_streams_that_were_broken_off_only_the_count_is_held() -> None:
    tallies = {STREAM_WORK: Tally(answered=3, cut=1)}
    assert differences({LINES[STREAM_WORK]: Sum(4, 200, 17)}, tallies, LINES) == []


def test_a_request_that_went_to_another_upstream_is_told() -> None:
    """Two problems: one line lacks them, and another has them that nobody asked for."""
    elsewhere = Line("anthropic_messages", "openai_chat", "gemini-3-flash", stream=False)
    problems = differences({elsewhere: _sum(10, 24)}, {WHOLE_WORK: Tally(answered=10)}, LINES)
    assert len(problems) == 2
    assert "to openai_chat" in problems[0]
    assert "0 were billed" in problems[1]


def test_cases_with_the_same_line_are_added_up() -> None:
    short = Work("anthropic", "gemini", "short", STATIC)
    tallies = {WHOLE_WORK: Tally(answered=10), short: Tally(answered=5)}
    lines = {**LINES, short: LINES[WHOLE_WORK]}
    assert differences({LINES[WHOLE_WORK]: _sum(15, answers.OUTPUT_TOKENS)}, tallies, lines) == []


def test_cases_that_cannot_be_told_apart_are_a_mistake_of_ours() -> None:
    other = Work("anthropic", "gemini", "short", Manner(events=6))
    with pytest.raises(ValueError, match="one line"):
        differences({}, {STREAM_WORK: Tally(), other: Tally()}, {**LINES, other: LINES[STREAM_WORK]})


def _database(path: Path, *, kept: int) -> None:
    """The gateway's own columns, as many as are read: a renamed one must fail here."""
    needed = ("protocol", "upstream_protocol", "model", "stream", "input_tokens", "output_tokens")
    assert all(name in usage.c for name in needed)
    assert responses.name == "responses"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {usage.name} ({', '.join(needed)})")
        line = LINES[STORE_WORK]
        row = (line.protocol, line.upstream_protocol, line.model, line.stream, answers.INPUT_TOKENS, 24)
        connection.executemany(f"INSERT INTO {usage.name} VALUES (?, ?, ?, ?, ?, ?)", [row] * 2)
        connection.execute("CREATE TABLE responses (id)")
        connection.executemany("INSERT INTO responses VALUES (?)", [(number,) for number in range(kept)])
    connection.close()


def test_what_clients_wanted_kept_was_kept(tmp_path: Path) -> None:
    _database(tmp_path / "kept.db", kept=2)
    assert billed(tmp_path / "kept.db", {STORE_WORK: Tally(answered=2)}, LINES) == 2


@pytest.mark.parametrize("kept", [1, 3])
def test_an_answer_lost_or_kept_unasked_is_told(tmp_path: Path, kept: int) -> None:
    _database(tmp_path / "kept.db", kept=kept)
    with pytest.raises(NotMeasured, match=f"2 to 2 answers were to be kept, but {kept} were"):
        billed(tmp_path / "kept.db", {STORE_WORK: Tally(answered=2)}, LINES)


def test_a_database_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match="no such table"):
        billed(tmp_path / "none.db", {}, LINES)
