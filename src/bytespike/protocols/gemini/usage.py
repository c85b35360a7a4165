"""Token figures, normalised into the hub's disjoint buckets, and back.

`usageMetadata` (Gemini API reference, "UsageMetadata"; recorded traffic): `promptTokenCount` contains the cached tokens,
`candidatesTokenCount` does not contain `thoughtsTokenCount`, `toolUsePromptTokenCount` (what the provider's own tools gave
the model to read) stands beside the prompt and is charged as input, and `totalTokenCount` is the sum of the four. What a
total has beyond the others are thoughts that were not told apart.

Searches stand in `groundingMetadata.webSearchQueries`, not among the figures. Google charges models up to Gemini 2.5 for a
grounded answer, however many queries it took, and later ones for each query (pricing page, "Grounding with Google Search").

Members of our own, for what Google has no word for: `cacheWriteTokenCount` (of which `cacheWriteLongTokenCount` live
for an hour), both part of `promptTokenCount`; and `webSearchCount`.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import structs

from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.usage import Usage
from bytespike.protocols.gemini.names import NAME, aside, own, wire_members
from bytespike.protocols.token_figures import count

#: Queries of one answer; more is a broken or hostile upstream.
SEARCHES_MAX: Final = 1000

#: For answers that carry no figures: the gateway has to count by itself.
UNKNOWN: Final = Usage(exact=False)

_WRITTEN: Final = "cacheWriteTokenCount"
_WRITTEN_LONG: Final = "cacheWriteLongTokenCount"
_SEARCHES: Final = "webSearchCount"
_STANDARD: Final = frozenset(
    {
        "promptTokenCount",
        "cachedContentTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "totalTokenCount",
        _WRITTEN,
        _WRITTEN_LONG,
        _SEARCHES,
    }
)
_PER_ANSWER: Final = re.compile(r"(?:models/)?gemini-(?:1|2)[.-]")


def read_usage(told: JSONObject) -> Usage:
    """The buckets. Never raises, never gives a negative figure."""
    prompt = count(told.get("promptTokenCount"))
    read = count(told.get("cachedContentTokenCount"))
    tools = count(told.get("toolUsePromptTokenCount"))
    candidates = count(told.get("candidatesTokenCount"))
    thoughts = count(told.get("thoughtsTokenCount"))
    # Nobody can read more from a cache than there was.
    prompt = max(prompt, read)
    thoughts += max(0, count(told.get("totalTokenCount")) - prompt - tools - candidates - thoughts)
    written = min(count(told.get(_WRITTEN)), prompt - read)
    long = min(count(told.get(_WRITTEN_LONG)), written)
    return Usage(
        input=prompt - read - written + tools,
        cache_read=read,
        cache_write_5m=written - long,
        cache_write_1h=long,
        output=candidates + thoughts,
        reasoning=thoughts,
        web_searches=count(told.get(_SEARCHES)),
        extras=aside({key: value for key, value in told.items() if key not in _STANDARD}),
    )


def searches_in(grounding: JSON, model: str) -> int:
    """Billed uses of Google Search in one candidate's `groundingMetadata`."""
    if not isinstance(grounding, dict):
        return 0
    found = grounding.get("webSearchQueries")
    queries = (
        {query for query in found[:SEARCHES_MAX] if isinstance(query, str) and query}
        if isinstance(found, list)
        else set[str]()
    )
    if not queries:
        return 0
    return 1 if _PER_ANSWER.match(model) else len(queries)


def with_searches(usage: Usage, searches: int, told: JSONObject) -> Usage:
    """The figures with what the answer's grounding says; an explicit figure in `told` wins."""
    if not searches or _SEARCHES in told:
        return usage
    return structs.replace(usage, web_searches=searches)


def write_usage(usage: Usage, *, searched: bool = False) -> JSONObject:
    """`usageMetadata`. The total is always the sum, whatever the upstream's convention. `searched`: the answer tells
    queries, of which the figures may count another number."""
    told = wire_members(usage.extras) if NAME in usage.extras else {}
    tools = min(count(own(usage.extras).get("toolUsePromptTokenCount")), usage.input)
    prompt = usage.prompt_total - tools
    written: JSONObject = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "totalTokenCount": usage.prompt_total + usage.output,
    }
    for name, figure in (
        ("cachedContentTokenCount", usage.cache_read),
        ("thoughtsTokenCount", usage.reasoning),
        (_WRITTEN, usage.cache_write_5m + usage.cache_write_1h),
        (_WRITTEN_LONG, usage.cache_write_1h),
        (_SEARCHES, usage.web_searches),
    ):
        if figure:
            written[name] = figure
    if searched:
        written[_SEARCHES] = usage.web_searches
    written.update(told)
    return written
