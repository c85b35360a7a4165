"""Reasoning and its proofs, over several turns: within a family, and from one family to another and back."""

from __future__ import annotations

from itertools import count

import pytest

from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, RunningGateway
from tests.support.sdk_table import (
    HIDDEN,
    LOOPS_BEGIN_WITH_OWN_THOUGHT,
    PROVING,
    SIGNED_TOO_LATE,
    pairs,
    switches,
)
from tests.support.sdk_talk import Result, Wishes
from tests.support.sdk_tools import WEATHER
from tests.support.sdk_upstreams import proofs, texts
from tests.support.sdk_ways import WAYS, Ways, opened

#: The simulator makes the same ids of the same words; a real provider never does.
_words = (f"matter {number}" for number in count())


@pytest.fixture(scope="module")
def ways(gateway: RunningGateway):
    with opened(gateway) as made:
        yield made


@pytest.fixture(autouse=True)
def afresh(gateway: RunningGateway):
    # What the simulator has stored under ids that it makes again is not the next test's.
    gateway.forget_upstream_requests()
    yield
    gateway.heal()


# --- reasoning -------------------------------------------------------------------------------------------------


@pairs()
def test_reasoning_is_shown_where_the_model_shows_any(ways: Ways, way, model, stream):
    talk = ways.talk(way)
    talk.user("Think about it")
    said = talk.answer(model, Wishes(think=True), stream=stream)
    assert bool(said.reasoning) == ((model, way) not in HIDDEN)
    assert "You said" in said.text
    assert said.reasoning_tokens is None or said.reasoning_tokens > 0


@pairs()
def test_proofs_of_reasoning_go_back_to_who_made_them(
    ways: Ways, gateway: RunningGateway, way, model, stream
):
    talk = ways.talk(way)
    for _ in range(3):
        talk.user(f"Think about {next(_words)}")
        assert talk.answer(model, Wishes(think=True), stream=stream).text
    if (model, way) == (GPT_RESPONSES, "chained"):
        return  # the provider keeps them itself
    sent = proofs(gateway.newest_upstream_request().body)
    has_proofs = model in PROVING and (way, model, stream) not in SIGNED_TOO_LATE
    assert len(sent) == (2 if has_proofs else 0)


@pairs("split")
def test_proofs_go_back_within_a_tool_loop(ways: Ways, gateway: RunningGateway, way, model, stream):
    talk = ways.talk(way)
    wishes = Wishes(tools=(WEATHER,), think=True)
    talk.user(f"Think about {next(_words)}, then use get_weather")
    said = talk.answer(model, wishes, stream=stream)
    talk.results([Result(said.calls[0], f"sunny {next(_words)}")])
    assert "sunny" in talk.answer(model, wishes, stream=stream).text
    if model in PROVING and (model, way) != (GPT_RESPONSES, "chained"):
        assert proofs(gateway.newest_upstream_request().body)
    thinking_still_on = {
        CLAUDE: "thinking",
        GPT: "reasoning_effort",
        GPT_RESPONSES: "reasoning",
        GEMINI: "generationConfig",
    }[model]
    assert gateway.newest_upstream_request().body[thinking_still_on]


# --- from one family to another --------------------------------------------------------------------------------


@switches()
def test_proofs_stay_away_from_other_families_and_come_home(
    ways: Ways, gateway: RunningGateway, way, first, second, stream
):
    talk = ways.talk(way)
    about = next(_words)
    talk.user(f"Think about {about}")
    talk.answer(first, Wishes(think=True), stream=stream)
    talk.user(f"Now you, about {next(_words)}")
    assert talk.answer(second, Wishes(think=True), stream=stream).text
    assert proofs(gateway.newest_upstream_request().body) == []
    assert f"Think about {about}" in " ".join(texts(gateway.newest_upstream_request().body))
    talk.user("Back to you")
    assert talk.answer(first, Wishes(think=True), stream=stream).text
    # A chain that began where the provider keeps its reasoning to itself has no proof of it elsewhere.
    has_proof = (
        first in PROVING
        and (way, first) != ("chained", GPT_RESPONSES)
        and (way, first, stream) not in SIGNED_TOO_LATE
    )
    assert len(proofs(gateway.newest_upstream_request().body)) == (1 if has_proof else 0)


@switches("calls")
def test_tool_calls_of_one_family_are_history_to_another(
    ways: Ways, gateway: RunningGateway, way, first, second, stream
):
    talk = ways.talk(way)
    tools = Wishes(tools=(WEATHER,))
    thinking = Wishes(tools=(WEATHER,), think=True)

    def in_a_loop_of_another(model: str) -> Wishes:
        return tools if (way, model) in LOOPS_BEGIN_WITH_OWN_THOUGHT else thinking

    talk.user(f"Think about {next(_words)}, use get_weather")
    said = talk.answer(first, thinking, stream=stream)
    talk.results([Result(said.calls[0], f"sunny {next(_words)}")])
    assert "sunny" in talk.answer(second, in_a_loop_of_another(second), stream=stream).text
    talk.user(f"Think about {next(_words)}, use get_weather once more")
    said = talk.answer(second, thinking, stream=stream)
    talk.results([Result(said.calls[0], f"rainy {next(_words)}")])
    assert "rainy" in talk.answer(first, in_a_loop_of_another(first), stream=stream).text


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_its_model_did_not_sign_is_history_to_one_that_wants_signatures(ways: Ways, way):
    talk = ways.talk(way)
    talk.user("Use get_weather")
    said = talk.answer(GPT, Wishes(tools=(WEATHER,)))
    talk.results([Result(said.calls[0], "sunny")])
    assert "sunny" in talk.answer(GEMINI, Wishes(tools=(WEATHER,))).text
