"""Token figures, normalised into the hub's disjoint buckets, and back.

OpenAI: `prompt_tokens` contains the cached tokens and those written to the cache, `completion_tokens` contains the
reasoning, and `total_tokens` is the sum of the two. Vendors differ, as their recorded answers show:

- xAI and Gemini's compatible API leave reasoning out of `completion_tokens`; only `total_tokens` has it. So whatever
  the total has beyond prompt and completion was generated, and counts as output.
- Cached tokens stand in `prompt_tokens_details.cached_tokens`, or at the top: `prompt_cache_hit_tokens` (DeepSeek),
  `cached_tokens` (Moonshot), `num_cached_tokens` (Mistral), `cache_read_input_tokens` (Anthropic's name).
- OpenRouter may report the same tokens as read and written. No token is counted twice: what was read was not written.
- Some report more reasoning than completion tokens. Reasoning is a part of the output, so it is capped by it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bytespike.core.json_types import NO_EXTRAS, Extras, JSONObject
from bytespike.core.usage import Usage
from bytespike.protocols.openai_chat.names import NAME, aside, wire_members
from bytespike.protocols.openai_chat.schema import PlainUsage, decode_plain_usage
from bytespike.protocols.token_figures import count, figures_at
from bytespike.wire import json

#: For answers that carry no figures: the gateway has to count by itself.
UNKNOWN: Final = Usage(exact=False)

_CACHED: Final = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens")
_SEARCHES: Final = (
    ("server_tool_use_details", "web_search_requests"),
    ("server_tool_use", "web_search_requests"),
    ("server_side_tool_usage_details", "web_search_calls"),
)
_STANDARD: Final = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})


def read_usage(usage: JSONObject) -> Usage:
    """The buckets. Never raises, never gives a negative figure."""
    try:
        plain = msgspec.convert(usage, PlainUsage)
    except msgspec.ValidationError:
        return _read_any(usage)
    return _of_plain(plain, aside(usage))


def _of_plain(plain: PlainUsage, extras: Extras = NO_EXTRAS) -> Usage:
    prompt = plain.prompt_tokens
    read = 0 if plain.prompt_tokens_details is None else plain.prompt_tokens_details.cached_tokens
    reasoning = (
        0 if plain.completion_tokens_details is None else plain.completion_tokens_details.reasoning_tokens
    )
    if read > prompt:
        prompt += read
    hidden = max(0, plain.total_tokens - prompt - plain.completion_tokens)
    output = plain.completion_tokens + hidden
    return Usage(
        input=prompt - read,
        cache_read=read,
        output=output,
        reasoning=min(max(reasoning, hidden), output),
        extras=extras,
    )


def _read_any(usage: JSONObject) -> Usage:
    prompt_details = figures_at(usage, "prompt_tokens_details")
    completion_details = figures_at(usage, "completion_tokens_details")
    prompt = count(usage.get("prompt_tokens"))
    completion = count(usage.get("completion_tokens"))
    read = _cached(usage, prompt_details)
    short, long = _written(usage, prompt_details)
    if read > prompt:
        # Nobody can read more than there was: this vendor counts the cached tokens beside the prompt.
        prompt += read
    hidden = max(0, count(usage.get("total_tokens")) - prompt - completion)
    output = completion + hidden
    short = min(short, prompt - read)
    long = min(long, prompt - read - short)
    return Usage(
        input=prompt - read - short - long,
        cache_read=read,
        cache_write_5m=short,
        cache_write_1h=long,
        output=output,
        reasoning=min(max(count(completion_details.get("reasoning_tokens")), hidden), output),
        web_searches=_searches(usage),
        extras=aside(usage),
    )


def billed_usage(raw: bytes) -> Usage | None:
    """The buckets of a `usage` that is still JSON text, without the extras that only a writer wants; None where it is
    empty or null. The plain form, which is that of nearly every answer, is decoded in one go.

    Raises `json.NotJSON` for what is no object.
    """
    if not raw:
        return None
    try:
        plain = decode_plain_usage(raw)
    except msgspec.ValidationError:
        usage = json.decode(raw)
        if not usage:
            return None
        if not isinstance(usage, dict):
            raise json.NotJSON("usage is not an object") from None
        return msgspec.structs.replace(_read_any(usage), extras=NO_EXTRAS)
    return _of_plain(plain)


def _cached(usage: JSONObject, details: JSONObject) -> int:
    found = details.get("cached_tokens")
    if found is not None:
        return count(found)
    for name in _CACHED:
        if usage.get(name) is not None:
            return count(usage[name])
    return 0


def _written(usage: JSONObject, details: JSONObject) -> tuple[int, int]:
    """Tokens written to the cache: for minutes, and for an hour."""
    by_ttl = figures_at(details, "cache_creation") or figures_at(usage, "cache_creation")
    long = count(by_ttl.get("ephemeral_1h_input_tokens"))
    for told in (
        details.get("cache_write_tokens"),
        details.get("cache_creation_tokens"),
        details.get("cache_creation_input_tokens"),
        usage.get("cache_creation_input_tokens"),
    ):
        if told is not None:
            return max(0, count(told) - long), long
    return count(by_ttl.get("ephemeral_5m_input_tokens")), long


def _searches(usage: JSONObject) -> int:
    for group, name in _SEARCHES:
        found = figures_at(usage, group).get(name)
        if found is not None:
            return count(found)
    return 0


def write_usage(usage: Usage) -> JSONObject:
    """OpenAI's `usage`. The total is always the sum of prompt and completion, whatever the upstream's convention."""
    prompt = usage.prompt_total
    if (
        NAME not in usage.extras
        and not usage.web_searches
        and not usage.cache_write_5m + usage.cache_write_1h
    ):
        return {
            "prompt_tokens": prompt,
            "completion_tokens": usage.output,
            "total_tokens": prompt + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.cache_read},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
        }
    told = wire_members(usage.extras)
    prompt_details = dict(figures_at(told, "prompt_tokens_details"))
    completion_details = dict(figures_at(told, "completion_tokens_details"))
    prompt_details["cached_tokens"] = usage.cache_read
    written = usage.cache_write_5m + usage.cache_write_1h
    if written or "cache_write_tokens" in prompt_details:
        prompt_details["cache_write_tokens"] = written
    if usage.cache_write_1h:
        prompt_details["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    completion_details["reasoning_tokens"] = usage.reasoning
    written_usage: JSONObject = {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        **{key: value for key, value in told.items() if key not in _STANDARD},
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": completion_details,
    }
    if usage.web_searches and not any(group in written_usage for group, _ in _SEARCHES):
        written_usage["server_tool_use_details"] = {"web_search_requests": usage.web_searches}
    return written_usage
