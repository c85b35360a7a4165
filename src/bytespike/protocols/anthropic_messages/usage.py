"""`usage`, both ways.

Wire facts (official SDK, `Usage`, `MessageDeltaUsage`, `BetaUsage`):
- `input_tokens` is the fresh part only: what was read from a cache or written to one is counted beside it. So the
  buckets of the hub are Anthropic's own, and nothing is subtracted.
- `cache_creation` splits the cache writes by TTL; a stream's `message_delta` gives only their sum.
- The counts of a `message_delta` are totals so far and replace those of `message_start`; members that are left out
  stand. A total cannot fall, so a zero after a positive figure (some compatible vendors send it) is no figure.
- An entry of type "compaction" in `iterations` is an extra sampling of the same model that is billed and NOT in the
  totals: it is added to the buckets, and taken off again where the totals are written. An "advisor_message" entry is
  not in the totals either, but its tokens are another model's: it stays in `extras`, for whoever prices models.
"""

from __future__ import annotations

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.usage import NO_USAGE, Usage
from bytespike.protocols.anthropic_messages.blocks_write import Block
from bytespike.protocols.anthropic_messages.fields import Fields, WireError, as_fields, extras_of, own_extras
from bytespike.protocols.anthropic_messages.schema import COUNT_MAX, PlainUsage, decode_plain_usage

_COUNTED = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "output_tokens_details",
        "server_tool_use",
    }
)
#: Of the members of `schema.PlainUsage`, those that are no counts.
_KEPT = ("service_tier", "inference_geo", "speed")
_REASONING = "thinking_tokens"
_SEARCHES = "web_search_requests"
_FETCHES = "web_fetch_requests"


def read_usage(raw: JSONObject, path: str = "usage") -> Usage:
    """Raises `WireError` for figures that are no counts."""
    try:
        plain = _of_plain(msgspec.convert(raw, PlainUsage))
    except msgspec.ValidationError:
        return _read_any(raw, path)
    kept: JSONObject = {key: raw[key] for key in _KEPT if raw.get(key) is not None}
    return msgspec.structs.replace(plain, extras=extras_of(kept)) if kept else plain


def _read_any(raw: JSONObject, path: str) -> Usage:
    fields = Fields(raw, path)
    counts = _counts(fields)
    details = fields.optional_object("output_tokens_details")
    server = fields.optional_object("server_tool_use")
    rest: JSONObject = {}
    rest |= {key: value for key, value in raw.items() if key not in _COUNTED and value is not None}
    if server is not None:
        kept: JSONObject = {}
        kept |= {key: value for key, value in server.obj.items() if key != _SEARCHES and value}
        if kept:
            rest["server_tool_use"] = kept
    extra = _compaction(rest, path)
    return Usage(
        input=counts.input + extra.input,
        cache_read=counts.cache_read + extra.cache_read,
        cache_write_5m=counts.cache_write_5m + extra.cache_write_5m,
        cache_write_1h=counts.cache_write_1h + extra.cache_write_1h,
        output=counts.output + extra.output,
        # A part of the output, whatever the figures say.
        reasoning=0 if details is None else min(_count(details, _REASONING), counts.output + extra.output),
        web_searches=0 if server is None else _count(server, _SEARCHES),
        extras=extras_of(rest),
    )


def plain_usage(raw: bytes) -> Usage | None:
    """The buckets of a `usage` that is still JSON text and has only the usual members; None for any other."""
    try:
        plain = decode_plain_usage(raw)
    except msgspec.ValidationError:
        return None
    return _of_plain(plain)


def _of_plain(plain: PlainUsage) -> Usage:
    split = plain.cache_creation
    longer = 0 if split is None else split.ephemeral_1h_input_tokens
    shorter = 0 if split is None else split.ephemeral_5m_input_tokens
    written = plain.cache_creation_input_tokens
    if written is None:
        written = longer + shorter
    longer = min(longer, written)
    return Usage(
        input=plain.input_tokens,
        cache_read=plain.cache_read_input_tokens or 0,
        cache_write_5m=written - longer,
        cache_write_1h=longer,
        output=plain.output_tokens,
    )


def _counts(fields: Fields) -> Usage:
    split = fields.optional_object("cache_creation")
    longer = 0 if split is None else _count(split, "ephemeral_1h_input_tokens")
    shorter = 0 if split is None else _count(split, "ephemeral_5m_input_tokens")
    written = _count(fields, "cache_creation_input_tokens")
    if fields.obj.get("cache_creation_input_tokens") is None:
        written = longer + shorter
    longer = min(longer, written)
    return Usage(
        input=_count(fields, "input_tokens"),
        cache_read=_count(fields, "cache_read_input_tokens"),
        cache_write_5m=written - longer,
        cache_write_1h=longer,
        output=_count(fields, "output_tokens"),
    )


def _compaction(members: JSONObject, path: str) -> Usage:
    """The sum of the compaction entries among `iterations`."""
    iterations = members.get("iterations")
    total = NO_USAGE
    for index, entry in enumerate(iterations if isinstance(iterations, list) else ()):
        if not isinstance(entry, dict) or entry.get("type") != "compaction":
            continue
        counts = _counts(as_fields(entry, f"{path}.iterations.{index}"))
        total = Usage(
            input=total.input + counts.input,
            cache_read=total.cache_read + counts.cache_read,
            cache_write_5m=total.cache_write_5m + counts.cache_write_5m,
            cache_write_1h=total.cache_write_1h + counts.cache_write_1h,
            output=total.output + counts.output,
        )
    return total


def _count(fields: Fields, key: str) -> int:
    value = fields.optional_integer(key)
    if value is None:
        return 0
    if not 0 <= value <= COUNT_MAX:
        raise WireError(fields.at(key), "not a count of tokens")
    return value


def merged(older: JSONObject, newer: JSONObject) -> JSONObject:
    """The figures of a stream after another usage object has come."""
    return older | {key: value for key, value in newer.items() if not _says_nothing(value, older.get(key))}


def _says_nothing(value: JSON, older: JSON) -> bool:
    if value is None:
        return True
    return value == 0 and isinstance(value, int) and isinstance(older, int) and older > 0


def write_usage(usage: Usage) -> Block:
    """`usage` of a whole message, and of `message_start`."""
    extras = own_extras(usage.extras)
    if not extras and not usage.web_searches and not usage.reasoning:
        shorter, longer = usage.cache_write_5m, usage.cache_write_1h
        return {
            "input_tokens": usage.input,
            "cache_creation_input_tokens": shorter + longer,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation": {"ephemeral_5m_input_tokens": shorter, "ephemeral_1h_input_tokens": longer},
            "output_tokens": usage.output,
        }
    extra = _compaction(extras, "usage")
    shorter = usage.cache_write_5m - extra.cache_write_5m
    longer = usage.cache_write_1h - extra.cache_write_1h
    written: Block = {
        "input_tokens": usage.input - extra.input,
        "cache_creation_input_tokens": shorter + longer,
        "cache_read_input_tokens": usage.cache_read - extra.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": shorter, "ephemeral_1h_input_tokens": longer},
        "output_tokens": usage.output - extra.output,
    }
    if usage.reasoning:
        written["output_tokens_details"] = {_REASONING: usage.reasoning}
    kept = extras.get("server_tool_use")
    if usage.web_searches or kept:
        server: Block = {_FETCHES: 0, _SEARCHES: usage.web_searches}
        written["server_tool_use"] = server | (kept if isinstance(kept, dict) else {})
    return written | {key: value for key, value in extras.items() if key != "server_tool_use"}


#: Members of `usage` that a `message_delta` does not have.
_OF_THE_HEAD = ("cache_creation", "service_tier", "inference_geo", "speed")


def write_delta_usage(usage: Usage, head: Block) -> Block:
    """`usage` of `message_delta`: totals. What belongs into `message_start` but was not known then (`head` is what it
    said) comes here all the same, as an addition that clients skip."""
    written = write_usage(usage)
    said = {key for key in _OF_THE_HEAD if key in written and written[key] == head.get(key)}
    return {key: value for key, value in written.items() if key not in said}
