"""The echo of a request has what the request says, whatever else stands in it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bytespike.protocols.openai_responses import echo_of
from bytespike.protocols.openai_responses.echo import DEFAULTS
from bytespike.protocols.openai_responses.schema import Echoed

_PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(0, 9), st.text(max_size=4), st.just({"a": [1, {"b": None}]})
)
#: Members that are echoed as they are; of the others the rules are told in `echo`.
_AS_THEY_ARE = [key for key in DEFAULTS if key not in ("text", "service_tier", "tools")]


def test_the_members_that_are_decoded_are_those_that_are_repeated() -> None:
    assert set(Echoed.__annotations__) == {*DEFAULTS, "response_format"}


@given(st.dictionaries(st.sampled_from([*_AS_THEY_ARE, "input", "model", "stream", "include"]), _PLAIN))
def test_a_member_that_is_said_is_repeated_as_it_is(request: dict[str, Any]) -> None:
    said = {key: value for key, value in request.items() if key in _AS_THEY_ARE and value is not None}
    assert echo_of(json.dumps(request).encode()) == said


@given(_PLAIN, _PLAIN)
def test_a_format_is_told_in_either_way(text: Any, asked: Any) -> None:
    echo = echo_of(json.dumps({"text": text, "response_format": asked}).encode())
    if text is None and asked is None:
        assert "text" not in echo
    else:
        given_text = text if isinstance(text, dict) else {}
        format_ = asked if isinstance(asked, dict) else {"type": "text"}
        assert echo["text"] == {**given_text, "format": format_}


def test_what_is_no_object_has_no_echo() -> None:
    for body in (b"", b"[]", b"1", b"null", b'{"model":', b"\xff"):
        assert echo_of(body) == {}
