"""Why a model stopped."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from bytespike.core.json_types import NO_EXTRAS, Extras

FinishReason: TypeAlias = Literal[
    "stop",  # the model had said what it wanted
    "stop_sequence",  # one of the caller's stop sequences
    "length",  # the caller's token limit
    "context_window",  # the model's own window is full
    "tool_calls",  # it waits for tool results
    "content_filter",  # a safety system cut it off
    "refusal",  # the model refused
    "pause",  # a long server-tool turn paused; the caller sends it back to continue
    "error",  # the provider says that generation failed (malformed function call and the like)
    "other",
]


class Finish(Struct, frozen=True):
    """`sequence`: the stop sequence that matched. `raw`: the provider's own word, where the reason is lossy.
    `detail`: the provider's explanation of a refusal or filter."""

    reason: FinishReason
    sequence: str | None = None
    raw: str | None = None
    detail: str | None = None
    extras: Extras = NO_EXTRAS
