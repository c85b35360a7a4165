"""Which feature works on which pair: everything does on every pair, but for what these tables say, a reason each.

`way` is how a conversation is held (`sdk_ways.WAYS`).
"""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES
from tests.support.sdk_ways import MODELS, WAYS

#: What is refused by design, with 400 unsupported_feature: (feature, models, a part of the message, why). Passed through,
#: it is the provider's to refuse.
REFUSED = (
    (
        "stop",
        (GPT,),
        "stop",
        "OpenAI's reasoning models take no stop sequences, and who stops late says too much",
    ),
    ("stop", (GPT_RESPONSES,), "stop", "Responses has no such parameter"),
)
#: What the gateway fetches, because the model takes it inline only: `integration/test_fetched_urls`. (feature, model).
FETCHED = (("pdf_url", GPT),)
#: What goes to a model that has no word for it, without it, and is named in the notices: (feature, model, why).
NOTICED = (("one_call", GEMINI, "Gemini cannot be told to call one function at a time"),)
#: What Google itself refuses when its own SDK has recorded a streamed answer: each chunk becomes a content, and a call must
#: follow the user's content at once (googleapis/go-genai, issue 692). Passed through byte for byte, it stays so; on every
#: other model the gateway puts the pieces together.
SPLIT_BY_ITS_SDK = {("gemini", GEMINI, True)}
#: With thinking by a budget, Anthropic wants a thinking block of its own at the beginning of a tool loop. A loop that
#: another model began has none, and what its own SDK sends passes through: whoever changes to Claude in the middle of a loop
#: switches thinking off for that one answer.
LOOPS_BEGIN_WITH_OWN_THOUGHT = {("anthropic", CLAUDE)}
#: Gemini's signature of a text comes after it. No message of Anthropic's ends in thinking, so a stream has no place left for
#: it. Google asks for it, but does not insist.
SIGNED_TOO_LATE = {("anthropic", GEMINI, True)}
#: A gap, not a design. Chat Completions does not say how often the model searched, so no search is billed.
SEARCHES_UNTOLD = {GPT}
#: What an SDK has no word for, so that nobody can ask: (feature, way).
UNSPOKEN = {
    ("stop", "responses"),
    ("stop", "chained"),
    ("one_call", "gemini"),
    ("pdf_url", "chat"),
    # Only Anthropic's and Google's results have a mark of failure.
    ("failure", "chat"),
    ("failure", "responses"),
    ("failure", "chained"),
}

#: Chat has no word with which to ask for summaries, and GPT shows its reasoning in no other form.
HIDDEN = {(GPT, way) for way in WAYS} | {(GPT_RESPONSES, "chat")}
#: Upstreams that want their proofs back.
PROVING = (CLAUDE, GPT_RESPONSES, GEMINI)


def pairs(feature: str = "") -> pytest.MarkDecorator:
    """Every way on every model, streamed and not, but for what the tables leave out for this feature."""
    left_out = {model for name, models, *_ in REFUSED if name == feature for model in models}
    left_out |= {model for name, model, _ in NOTICED if name == feature}
    left_out |= {model for name, model in FETCHED if name == feature}
    return pytest.mark.parametrize(
        ("way", "model", "stream"),
        [
            pytest.param(way, model, stream, id=f"{way}-{model}-{'stream' if stream else 'whole'}")
            for way in WAYS
            for model in MODELS
            for stream in (False, True)
            if (feature, way) not in UNSPOKEN
            and model not in left_out
            and not (feature in ("split", "failure") and (way, model, stream) in SPLIT_BY_ITS_SDK)
        ],
    )


def switches(feature: str = "") -> pytest.MarkDecorator:
    """Every way, from every model to every other and back, but for what the tables leave out for this feature."""
    return pytest.mark.parametrize(
        ("way", "first", "second", "stream"),
        [
            pytest.param(
                way, first, second, stream, id=f"{way}-{first}-{second}-{'stream' if stream else 'whole'}"
            )
            for way in WAYS
            for first, second in permutations(MODELS, 2)
            for stream in (False, True)
            if feature != "calls"
            or SPLIT_BY_ITS_SDK.isdisjoint({(way, first, stream), (way, second, stream)})
        ],
    )
