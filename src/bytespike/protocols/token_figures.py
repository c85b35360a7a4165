"""Token figures of providers that say them loosely: null, floats, absent details."""

from __future__ import annotations

from typing import Final

from bytespike.core.json_types import JSON, JSONObject

#: No answer consumes more: a larger figure is a broken or hostile upstream.
TOKENS_MAX: Final = 1_000_000_000


def count(value: JSON) -> int:
    """A token figure; anything that cannot be one is 0."""
    if type(value) is int:
        return value if 0 < value < TOKENS_MAX else 0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    # Not-a-number fails both comparisons.
    return int(value) if 0 < value < TOKENS_MAX else 0


def figures_at(usage: JSONObject, key: str) -> JSONObject:
    """An object of further figures; empty where there is none."""
    found = usage.get(key)
    return found if isinstance(found, dict) else {}
