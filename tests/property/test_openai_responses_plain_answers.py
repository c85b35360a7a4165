"""A plain answer, written from ready-made pieces, is byte for byte what the general way writes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bytespike.core.content import Citation, TextPart
from bytespike.core.dialect import Reply
from bytespike.core.finish import Finish
from bytespike.core.response import Candidate, ChatResponse
from bytespike.core.usage import Usage
from bytespike.protocols.openai_responses import DIALECT, echo_of
from bytespike.protocols.openai_responses import response as answers
from bytespike.protocols.openai_responses.echo import DEFAULTS, Echo
from bytespike.protocols.openai_responses.plain_answer import is_plain

_TEXTS = st.text(max_size=20)
_COUNTS = st.integers(0, 10**6)
_USAGES = st.one_of(
    st.just(Usage(exact=False)),
    st.builds(
        lambda **figures: Usage(**figures),
        input=_COUNTS,
        cache_read=_COUNTS,
        cache_write_5m=_COUNTS,
        output=_COUNTS,
        reasoning=_COUNTS,
        exact=st.booleans(),
        extras=st.sampled_from([{}, {"gemini": {"a": 1}}]),
    ),
)
_ANSWERS = st.builds(
    lambda **members: ChatResponse(**members),
    id=st.one_of(_TEXTS, st.from_regex(r"resp_[A-Za-z0-9_-]{1,50}", fullmatch=True)),
    model=_TEXTS,
    candidates=st.builds(
        lambda text, extras: (Candidate((TextPart(text, extras=extras),), Finish("stop")),),
        _TEXTS,
        st.sampled_from([{}, {"openai_chat": {"_x": 1}}]),
    ),
    usage=_USAGES,
    created=st.integers(0, 2**40),
    extras=st.sampled_from([{}, {"anthropic_messages": {"container": {}}}]),
)
_JSON: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), _TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(_TEXTS, inner, max_size=2)),
    max_leaves=4,
)
_REQUESTS = st.dictionaries(
    st.sampled_from([*DEFAULTS, "response_format", "input", "stream"]), _JSON, max_size=8
)


@given(_ANSWERS, st.one_of(st.none(), _REQUESTS), _TEXTS, _TEXTS.filter(bool))
def test_both_ways_write_the_same_bytes(
    response: ChatResponse, request: dict[str, Any] | None, model: str, response_id: str
) -> None:
    echo = None if request is None else echo_of(json.dumps(request).encode())
    reply = Reply(model, response_id, 1_700_000_000, echo=echo)
    assert is_plain(response)
    written = DIALECT.write_response(response, reply)
    head = answers.head_of(response.id, response.created, reply)
    general = answers.write_any_response(response, head, answers.item_tail(str(head["id"])), Echo(reply.echo))
    assert written == general


@given(_ANSWERS, _REQUESTS)
def test_the_echos_text_is_that_of_its_members(response: ChatResponse, request: dict[str, Any]) -> None:
    echo = Echo(echo_of(json.dumps(request).encode()))
    assert json.loads(b"{" + echo.text()[1:] + b"}") == echo.members
    assert list(json.loads(b"{" + echo.text()[1:] + b"}")) == list(echo.members)


def test_what_needs_a_second_look_is_not_plain() -> None:
    plain = ChatResponse("x", "m", (Candidate((TextPart("a"),), Finish("stop")),), Usage(output=1))
    part = TextPart("a")
    assert is_plain(plain)

    def with_candidate(**members: Any) -> ChatResponse:
        return structs.replace(plain, candidates=(structs.replace(plain.candidates[0], **members),))

    for other in (
        structs.replace(plain, candidates=plain.candidates * 2),
        structs.replace(plain, extras={"openai_responses": {"a": 1}}),
        structs.replace(plain, usage=Usage(web_searches=1)),
        structs.replace(plain, usage=Usage(cache_write_1h=1)),
        structs.replace(plain, usage=Usage(extras={"openai_responses": {"a": 1}})),
        with_candidate(parts=()),
        with_candidate(parts=(part, part)),
        with_candidate(parts=(structs.replace(part, citations=(Citation("web", url="https://a"),)),)),
        with_candidate(parts=(structs.replace(part, extras={"openai_responses": {"a": 1}}),)),
        with_candidate(finish=Finish("length")),
        with_candidate(finish=Finish("pause")),
    ):
        assert not is_plain(other)
