"""Token figures of every vendor's convention, in the hub's disjoint buckets."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.core.json_types import NO_EXTRAS
from bytespike.core.usage import Usage
from bytespike.protocols.openai_chat.usage import billed_usage, read_usage, write_usage


def usage(prompt: int, completion: int, total: int | None = None, **members: Any) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion if total is None else total,
        **members,
    }


def details(**members: Any) -> dict[str, Any]:
    return {"prompt_tokens_details": members}


def reasoned(count: int) -> dict[str, Any]:
    return {"completion_tokens_details": {"reasoning_tokens": count}}


ROWS: dict[str, tuple[dict[str, Any], Usage]] = {
    "OpenAI": (
        usage(100, 20, **details(cached_tokens=60), **reasoned(15)),
        Usage(40, 60, output=20, reasoning=15),
    ),
    "OpenAI, written to the cache": (
        usage(100, 20, **details(cached_tokens=60, cache_write_tokens=30)),
        Usage(10, 60, 30, output=20),
    ),
    "null details": (
        usage(9, 1, prompt_tokens_details=None, completion_tokens_details=None),
        Usage(9, output=1),
    ),
    "no total": ({"prompt_tokens": 9, "completion_tokens": 1}, Usage(9, output=1)),
    "DeepSeek": (
        usage(100, 20, prompt_cache_hit_tokens=64, prompt_cache_miss_tokens=36),
        Usage(36, 64, output=20),
    ),
    "Moonshot": (usage(20, 30, cached_tokens=10, **reasoned(22)), Usage(10, 10, output=30, reasoning=22)),
    "Mistral": (usage(20, 30, num_cached_tokens=8), Usage(12, 8, output=30)),
    "xAI: reasoning outside of the completion": (
        usage(12, 2, 354, **details(cached_tokens=11), **reasoned(340)),
        Usage(1, 11, output=342, reasoning=340),
    ),
    "Gemini: reasoning only in the total": (usage(35, 12, 109), Usage(35, output=74, reasoning=62)),
    "Anthropic's names, cached tokens inside": (
        usage(100, 5, cache_read_input_tokens=50, cache_creation_input_tokens=20),
        Usage(30, 50, 20, output=5),
    ),
    "writes by TTL": (
        usage(
            100,
            5,
            **details(
                cached_tokens=0,
                cache_write_tokens=70,
                cache_creation={"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 40},
            ),
        ),
        Usage(30, 0, 30, 40, 5),
    ),
    "cached tokens beside the prompt": (
        usage(10, 5, 115, **details(cached_tokens=100)),
        Usage(10, 100, output=5),
    ),
    "read and written at once (OpenRouter)": (
        usage(2168, 100, **details(cached_tokens=2161, cache_write_tokens=2161)),
        Usage(0, 2161, 7, output=100),
    ),
    "more reasoning than output": (usage(43, 10, **reasoned(11)), Usage(43, output=10, reasoning=10)),
    "searches (OpenRouter)": (
        usage(1, 1, server_tool_use_details={"web_search_requests": 2}),
        Usage(1, output=1, web_searches=2),
    ),
    "searches (xAI)": (
        usage(1, 1, server_side_tool_usage_details={"web_search_calls": 3}),
        Usage(1, output=1, web_searches=3),
    ),
    "nonsense": (
        {
            "prompt_tokens": -5,
            "completion_tokens": "many",
            "total_tokens": True,
            "prompt_tokens_details": [],
            "completion_tokens_details": {"reasoning_tokens": 1e300},
        },
        Usage(),
    ),
    "fractions": ({"prompt_tokens": 5.0, "completion_tokens": 1.9, "total_tokens": None}, Usage(5, output=1)),
}


@pytest.mark.parametrize("row", ROWS)
def test_figures_become(row: str) -> None:
    told, expected = ROWS[row]
    got = read_usage(told)
    assert got.extras == {"openai_chat": told}
    assert {**_buckets(got)} == _buckets(expected)


@pytest.mark.parametrize("row", ROWS)
def test_written_figures_add_up_and_read_the_same(row: str) -> None:
    read = read_usage(ROWS[row][0])
    written = write_usage(read)
    assert written["prompt_tokens"] == read.prompt_total
    assert written["completion_tokens"] == read.output
    assert written["total_tokens"] == read.prompt_total + read.output
    assert _buckets(read_usage(written)) == _buckets(read)


def test_a_vendors_further_figures_go_back_to_its_own_clients() -> None:
    told = usage(5, 1, cost=0.1, **details(audio_tokens=2, cached_tokens=1), **reasoned(0))
    assert write_usage(read_usage(told)) == told


def _buckets(figures: Usage) -> dict[str, Any]:
    names = [name for name in Usage.__struct_fields__ if name != "extras"]
    return {name: getattr(figures, name) for name in names}


def plain_usages() -> st.SearchStrategy[dict[str, Any]]:
    figures = st.integers(0, 10**6)
    prompt_details = st.none() | st.fixed_dictionaries(
        {}, optional={"cached_tokens": figures, "audio_tokens": figures}
    )
    completion_details = st.none() | st.fixed_dictionaries(
        {}, optional={"reasoning_tokens": figures, "accepted_prediction_tokens": figures}
    )
    return st.fixed_dictionaries(
        {"prompt_tokens": figures, "completion_tokens": figures, "total_tokens": figures},
        optional={
            "prompt_tokens_details": prompt_details,
            "completion_tokens_details": completion_details,
            "prompt_cache_hit_tokens": figures,
        },
    )


@given(plain_usages())
def test_what_is_billed_is_the_same_whichever_way_it_is_read(usage: dict[str, Any]) -> None:
    # An empty member that nobody knows takes the long way.
    read = msgspec.structs.replace(read_usage({**usage, "unknown": None}), extras=NO_EXTRAS)
    assert billed_usage(msgspec.json.encode(usage)) == read
    assert msgspec.structs.replace(read_usage(usage), extras=NO_EXTRAS) == read


@pytest.mark.parametrize("row", ROWS)
def test_every_vendors_figures_are_billed_as_they_are_read(row: str) -> None:
    given_usage = ROWS[row][0]
    read = msgspec.structs.replace(read_usage(given_usage), extras=NO_EXTRAS)
    assert (billed_usage(msgspec.json.encode(given_usage)) or Usage()) == read
