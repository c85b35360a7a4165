"""The table of what survives between dialects says what the dialects do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bytespike.protocols.fidelity import (
    DIALECT_NAMES,
    Feature,
    FidelityDataError,
    load_features,
    read_features,
)
from bytespike.protocols.fidelity_reference import render
from bytespike.protocols.registry import DIALECTS
from tests.support.fidelity import ANSWER, HELLO, Answered, Asked, observed
from tests.support.fidelity_answered import answered, returned
from tests.support.fidelity_asked import asked

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "fidelity.md"
FEATURES = {feature.id: feature for feature in load_features()}
PROBES = {**asked(), **answered(), **returned()}

#: What is so, too, when nothing is said.
DEFAULTS = {"tool_choice_auto", "parallel_on", "thinking_adaptive", "background"}
#: What a writer asks the target's quirks for, not its capabilities.
BY_QUIRK = {("logprobs", "openai_responses"), ("logprobs", "openai_chat")}
#: What the plainest answer has.
PLAIN = {"text", "stop_end", "usage_tokens"}


@pytest.mark.parametrize("feature", FEATURES.values(), ids=FEATURES)
def test_each_cell_is_what_happens(feature: Feature) -> None:
    for client in DIALECT_NAMES:
        for upstream in DIALECT_NAMES:
            found = observed(PROBES[feature.id], client, upstream)
            assert found.outcome == feature.pairs[client, upstream], (
                f"{feature.id}: client {client}, upstream {upstream}: {found.evidence[:2000]}"
            )


def test_every_feature_has_a_probe_and_every_probe_a_feature() -> None:
    assert PROBES.keys() == FEATURES.keys()
    directions = {**dict.fromkeys(asked(), "request"), **dict.fromkeys(answered(), "answer")}
    for feature in FEATURES.values():
        assert feature.direction == directions.get(feature.id, "return"), feature.id


def test_every_dialect_is_in_the_table() -> None:
    assert set(DIALECT_NAMES) == set(DIALECTS)


@pytest.mark.parametrize("name", asked().keys() - DEFAULTS)
def test_a_probe_of_a_request_sees_nothing_where_nothing_is_said(name: str) -> None:
    probe = PROBES[name]
    assert isinstance(probe, Asked)
    for dialect in DIALECT_NAMES:
        plain = DIALECTS[dialect].read_request(json.dumps(HELLO[dialect]).encode())
        try:
            assert not probe.there(plain), dialect
        except IndexError:
            # It looks at a call, and there is none.
            continue


@pytest.mark.parametrize("name", answered().keys() - PLAIN)
def test_a_probe_of_an_answer_sees_nothing_where_nothing_is_said(name: str) -> None:
    probe = PROBES[name]
    assert isinstance(probe, Answered)
    for dialect in DIALECT_NAMES:
        plain = DIALECTS[dialect].read_response(json.dumps(ANSWER[dialect]).encode())
        assert not probe.there(plain), dialect


def test_what_one_dialect_says_passes_through_it_whole() -> None:
    """The diagonal: but for what the gateway refuses everywhere."""
    for feature in FEATURES.values():
        for dialect in DIALECT_NAMES:
            outcome = feature.pairs[dialect, dialect]
            assert outcome in ("native", "absent") or feature.id == "background", feature.id


@pytest.mark.parametrize(
    ("feature", "capability", "expected"),
    [
        ("image_base64", "vision", "refused"),
        ("image_url", "vision", "refused"),
        ("pdf_base64", "documents", "refused"),
        ("audio", "audio", "refused"),
        ("tools", "tools", "refused"),
        ("web_search", "web_search", "refused"),
        ("json_schema", "json_schema", "refused"),
        ("logprobs", "logprobs", "approximated"),
        ("effort_high", "thinking", "approximated"),
    ],
)
def test_what_a_model_lacks_is_refused_or_noticed(feature: str, capability: str, expected: str) -> None:
    seen = 0
    for client in DIALECT_NAMES:
        for upstream in DIALECT_NAMES:
            if (feature, upstream) in BY_QUIRK:
                continue
            if FEATURES[feature].pairs[client, upstream] == "translated":
                found = observed(PROBES[feature], client, upstream, frozenset({capability}))
                assert found.outcome == expected, (client, upstream, found.evidence)
                seen += 1
    assert seen


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == render(load_features()), (
        "run: python -m bytespike.protocols.fidelity_reference > docs/reference/fidelity.md"
    )


def test_every_feature_is_on_the_page() -> None:
    page = render(load_features())
    for feature in FEATURES.values():
        assert f"| {feature.title} |" in page
        assert feature.note in page


GOOD = """
[[groups]]
title = "G"
direction = "request"

[[groups.features]]
id = "x"
title = "X"
pairs = '''
N T A R
. . . .
. . . .
T T T N'''
"""


def test_a_data_file_is_read() -> None:
    (feature,) = read_features(GOOD)
    assert feature.pairs["anthropic_messages", "openai_responses"] == "approximated"
    assert feature.pairs["gemini", "openai_chat"] == "translated"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("N T A R", "N T A", "x: expected four lines of four letters"),
        ("N T A R", "N N A R", "x: 'N' cannot stand for anthropic_messages and openai_chat"),
        ("N T A R", "T T A R", "x: anthropic_messages passes through"),
        ("N T A R", "N T A X", "x: 'X' cannot stand for"),
        ("N T A R", "N T A L", "x: a loss has a note"),
        ('id = "x"', "id = 3", "Expected `str`"),
        ("[[groups]]", "[[grupps]]", "unknown field"),
        ("[[groups]]", "[[groups]", "Expected"),
    ],
)
def test_a_wrong_data_file_says_where(old: str, new: str, told: str) -> None:
    with pytest.raises(FidelityDataError) as caught:
        read_features(GOOD.replace(old, new))
    assert told in str(caught.value)


def test_no_feature_is_there_twice() -> None:
    row = GOOD[GOOD.index("[[groups.features]]") :]
    with pytest.raises(FidelityDataError, match="x: it is there twice"):
        read_features(GOOD + row)
