"""Recorded traffic through every other dialect and back: nothing is lost that the hub carries.

What cannot survive is in `exceptions.toml`, one reason each.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pydantic
import pytest

from bytespike.core.dialect import Dialect, Reply, Target
from bytespike.core.events import Event, Failed
from bytespike.core.fold import Fold
from bytespike.core.response import ChatResponse
from bytespike.errors import UnsupportedFeature
from tests.support import recordings
from tests.support.cross import crossings, sides
from tests.support.essence import essence, usage_essence

REPLY = Reply(model="the-clients-name", response_id="01JABCDEFGHJKMNPQRSTVWXYZ0", created=1_700_000_000)
_LISTED = tomllib.loads((Path(__file__).parent / "exceptions.toml").read_text())
EXCEPTIONS: dict[str, str] = _LISTED["exceptions"]
REFUSALS: dict[str, str] = _LISTED["refusals"]
NOT_CARRIED: dict[str, list[str]] = {name: row["members"] for name, row in _LISTED["not_carried"].items()}

pytestmark = pytest.mark.traffic

if not recordings.present():
    pytest.skip("the recorded traffic is absent", allow_module_level=True)

SIDES = sides()


def _cases(kind: str) -> list[Any]:
    return [
        pytest.param(*case, id=f"{case[0]} -> {case[2]}") for case in crossings(SIDES, kind)
    ]  # fmt: skip


def _excepted(name: str, what: str, target: str) -> bool:
    """Whether this case is in the list; it must then really fail, so the list cannot rot."""
    return f"{name} {what} {target}" in EXCEPTIONS


def _differs(name: str, what: str, source: str, target: str, expected: Any, got: Any) -> None:
    for member in NOT_CARRIED.get(f"{source} -> {target}", ()):
        for choice in (*expected["choices"], *got["choices"]):
            choice.pop(member)
    if _excepted(name, what, target):
        assert got != expected, f"{name} {what} is listed as an exception and is none"
    else:
        assert got == expected


def _events(dialect: Dialect, stream: bytes) -> list[Event]:
    reader = dialect.stream_reader()
    return [*reader.feed(stream), *reader.end()]


def _fold(events: list[Event]) -> ChatResponse | None:
    """None for a stream that ends in a failure: it has no answer."""
    folded = Fold()
    for event in events:
        folded.add(event)
    return None if folded.failed else folded.response()


def test_every_exception_names_a_recording_and_a_target() -> None:
    known = {each.name for side in SIDES.values() for each in side.recorded}
    for key, reason in EXCEPTIONS.items():
        name, what, target = key.rsplit(" ", 2)
        assert what in ("answer", "stream", "request", "read"), key
        assert name in known, key
        assert target in SIDES, key
        assert reason


@pytest.mark.parametrize(("name", "source", "target", "body"), _cases("answer"))
def test_an_answer_survives_the_other_dialect(name: str, source: str, target: str, body: bytes):
    written_by = SIDES[target].dialect
    response = SIDES[source].dialect.read_response(body)
    try:
        written = written_by.write_response(response, REPLY)
    except UnsupportedFeature as error:
        assert any(part in str(error) for part in REFUSALS), str(error)
        return
    if len(response.candidates) > 1 and target != "openai_chat":
        # Only chat and Gemini know several answers; a request for them is refused elsewhere.
        assert any("candidates" in notice.feature for notice in written.notices)
        return
    back = written_by.read_response(written.body)
    _differs(name, "answer", source, target, essence(response), essence(back))


@pytest.mark.parametrize(("name", "source", "target", "stream"), _cases("stream"))
def test_a_stream_survives_the_other_dialect(name: str, source: str, target: str, stream: bytes):
    events = _events(SIDES[source].dialect, stream)
    response = _fold(events)
    writer = SIDES[target].dialect.stream_writer(REPLY)
    written = b"".join(writer.write([event]) for event in events)
    if response is None:
        assert isinstance(events[-1], Failed)
        assert b'"error"' in written
        return
    SIDES[target].validate_stream(written)
    back = _fold(_events(SIDES[target].dialect, written))
    if back is None:
        # The writer ended it in an error: it holds what the wire cannot show.
        assert _excepted(name, "stream", target)
        return
    _differs(name, "stream", source, target, essence(response), essence(back))


EVERYTHING = frozenset(
    {
        "vision", "documents", "audio_input", "tools", "parallel_tools", "thinking", "thinking_budget",
        "adaptive_thinking", "effort", "effort_xhigh", "sampling", "stop_sequences", "json_object", "json_schema",
        "web_search", "logprobs", "prompt_cache", "system_turns",
    }
)  # fmt: skip


@pytest.mark.parametrize(("name", "source", "target", "body"), _cases("request"))
def test_a_request_is_valid_by_the_other_sdks_types_or_refused(
    name: str, source: str, target: str, body: bytes
):
    try:
        request = SIDES[source].dialect.read_request(body)
    except Exception as error:
        refused = isinstance(error, UnsupportedFeature) and any(part in str(error) for part in REFUSALS)
        assert refused or _excepted(name, "read", target), f"{type(error).__name__}: {error}"
        return
    to = Target(model="target-model", capabilities=EVERYTHING, max_output_tokens=64_000)
    try:
        written = SIDES[target].dialect.write_request(request, to)
    except UnsupportedFeature as error:
        assert any(part in str(error) for part in REFUSALS) or _excepted(name, "request", target), str(error)
        return
    plain = json.loads(written.body)
    problems: list[str] = []
    for adapter in SIDES[target].adapters:
        try:
            adapter.validate_python(plain)
            break
        except pydantic.ValidationError as error:
            problems.append(str(error)[:600])
    else:
        assert _excepted(name, "request", target), "\n".join(problems)


@pytest.mark.parametrize(
    ("name", "source", "body"),
    [
        pytest.param(each.name, source, each.answer, id=each.name)
        for source, side in SIDES.items()
        for each in side.recorded
        if each.answer is not None and side.figures(json.loads(each.answer)) is not None
    ],
)
def test_usage_adds_up_to_the_providers_own_figures(name: str, source: str, body: bytes):
    told = SIDES[source].figures(json.loads(body))
    assert told is not None
    read = usage_essence(SIDES[source].dialect.read_response(body).usage)
    prompt = read["input"] + read["cache_read"] + read["cache_write_5m"] + read["cache_write_1h"]
    assert prompt == told.prompt
    assert told.cache_read in (None, read["cache_read"])
    assert read["output"] in told.outputs
