"""The short way to an answer's figures gives what the long way gives."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bytespike.core.json_types import NO_EXTRAS
from bytespike.protocols.anthropic_messages.usage import plain_usage, read_usage

FIGURES = st.integers(0, 10**6)
SPLIT = st.fixed_dictionaries({"ephemeral_5m_input_tokens": FIGURES, "ephemeral_1h_input_tokens": FIGURES})
USAGES = st.fixed_dictionaries(
    {"input_tokens": FIGURES, "output_tokens": FIGURES},
    optional={
        "cache_creation_input_tokens": st.none() | FIGURES,
        "cache_read_input_tokens": st.none() | FIGURES,
        "cache_creation": st.none() | SPLIT,
        "server_tool_use": st.none(),
        "service_tier": st.none() | st.just("standard"),
    },
)


@given(USAGES)
def test_what_is_billed_is_the_same_whichever_way_it_is_read(usage: dict[str, Any]) -> None:
    # An empty list of iterations takes the long way.
    read = msgspec.structs.replace(read_usage({**usage, "iterations": []}), extras=NO_EXTRAS)
    assert plain_usage(msgspec.json.encode(usage)) == read
    assert msgspec.structs.replace(read_usage(usage), extras=NO_EXTRAS) == read


def test_what_has_further_figures_is_left_to_the_long_way() -> None:
    for more in ({"server_tool_use": {"web_search_requests": 1}}, {"iterations": []}, {"input_tokens": -1}):
        assert plain_usage(msgspec.json.encode({"input_tokens": 1, "output_tokens": 1, **more})) is None
