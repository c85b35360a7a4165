"""Token figures, normalised into the hub's disjoint buckets, and back.

`input_tokens` contains the tokens that were read from the cache and those written to it (`input_tokens_details`), and
`output_tokens` contains the reasoning. The cache's two lifetimes are 30 minutes and 12 hours: the shorter one counts as
the hub's five minutes ("and writes whose TTL the provider did not say"), the longer as its hour.

Whatever the total has beyond input and output was generated too, and counts as output. Searches are told in `tool_usage`
of the response, by newer models; else each `web_search_call` of the output that searched counts. Vendors' further figures
stay in `extras`.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.usage import Usage
from bytespike.protocols.openai_responses.names import aside, wire_members
from bytespike.protocols.token_figures import count, figures_at

#: For answers that carry no figures: the gateway has to count by itself.
UNKNOWN: Final = Usage(exact=False)

_STANDARD: Final = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "input_tokens_details",
        "output_tokens_details",
        "reasoning_tokens",
    }
)


def read_usage(usage: JSONObject, searches: int = 0) -> Usage:
    """The buckets. Never raises, never gives a negative figure. `searches`: see `searches_in`."""
    given = figures_at(usage, "input_tokens_details")
    made = figures_at(usage, "output_tokens_details")
    prompt = count(usage.get("input_tokens"))
    read = count(given.get("cached_tokens"))
    written = count(given.get("cache_write_tokens"))
    long = count(figures_at(given, "cache_write_tokens_details").get("ttl_12h_tokens"))
    written = max(written, long)
    if read > prompt:
        # Nobody can read more than there was: this vendor counts the cached tokens beside the prompt.
        prompt += read
    # No token is counted twice: what was read was not written.
    written = min(written, prompt - read)
    long = min(long, written)
    hidden = max(0, count(usage.get("total_tokens")) - prompt - count(usage.get("output_tokens")))
    output = count(usage.get("output_tokens")) + hidden
    reasoning = made.get("reasoning_tokens")
    if reasoning is None:
        reasoning = usage.get("reasoning_tokens")
    return Usage(
        input=prompt - read - written,
        cache_read=read,
        cache_write_5m=written - long,
        cache_write_1h=long,
        output=output,
        reasoning=min(max(count(reasoning), hidden), output),
        web_searches=searches,
        extras=aside(usage),
    )


def searches_in(tool_usage: JSON, output: JSON) -> int:
    """How often the provider searched the web for this answer. `tool_usage`, `output`: members of the response."""
    told = tool_usage.get("web_search") if isinstance(tool_usage, dict) else None
    if isinstance(told, dict) and told.get("num_requests") is not None:
        return count(told["num_requests"])
    items = output if isinstance(output, list) else []
    return sum(1 for item in items if isinstance(item, dict) and _searched(item))


def _searched(item: JSONObject) -> bool:
    action = item.get("action")
    kind = action.get("type") if isinstance(action, dict) else "search"
    return item.get("type") == "web_search_call" and kind == "search" and item.get("status") != "failed"


def write_usage(usage: Usage) -> JSONObject:
    """OpenAI's `usage`, with the reasoning also at the top, as the contract says. The total is always the sum."""
    told = wire_members(usage.extras)
    given = dict(figures_at(told, "input_tokens_details"))
    made = dict(figures_at(told, "output_tokens_details"))
    given["cached_tokens"] = usage.cache_read
    given["cache_write_tokens"] = usage.cache_write_5m + usage.cache_write_1h
    if usage.cache_write_1h:
        given["cache_write_tokens_details"] = {
            "ttl_30m_tokens": usage.cache_write_5m,
            "ttl_12h_tokens": usage.cache_write_1h,
        }
    made["reasoning_tokens"] = usage.reasoning
    prompt = usage.prompt_total
    return {
        "input_tokens": prompt,
        "input_tokens_details": given,
        "output_tokens": usage.output,
        "output_tokens_details": made,
        "total_tokens": prompt + usage.output,
        "reasoning_tokens": usage.reasoning,
        **{key: value for key, value in told.items() if key not in _STANDARD},
    }


def write_tool_usage(usage: Usage, *, searched: bool) -> JSONObject | None:
    """`tool_usage` of the response; None where there is nothing to tell. `searched`: the output shows searches, which
    clients would count if nobody told them better."""
    if not usage.web_searches and not searched:
        return None
    no_tokens: JSONObject = {"image_tokens": 0, "text_tokens": 0}
    images: JSONObject = {
        "input_tokens": 0,
        "input_tokens_details": no_tokens,
        "output_tokens": 0,
        "total_tokens": 0,
    }
    return {"image_gen": images, "web_search": {"num_requests": usage.web_searches}}
