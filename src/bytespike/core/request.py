"""One request for a completion, in the hub's terms."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from bytespike.core.content import CacheMark, Part, Turn
from bytespike.core.json_types import NO_EXTRAS, Extras, JSONObject
from bytespike.core.tools import Tool, ToolChoice


class ReasoningConfig(Struct, frozen=True):
    """How much the model shall think, and what of it is shown.

    `mode`: "on" (a budget or an effort binds), "adaptive" (the model decides), "off"; None: not said.
    `effort`: "none", "minimal", "low", "medium", "high", "xhigh", "max". `budget_tokens`: an explicit cap.
    `display`: "summarized", "omitted" (Anthropic), "auto", "concise", "detailed" (Responses summaries).
    """

    mode: Literal["on", "adaptive", "off"] | None = None
    effort: str | None = None
    budget_tokens: int | None = None
    display: str | None = None
    extras: Extras = NO_EXTRAS


class OutputFormat(Struct, frozen=True):
    """`kind`: "text", "json_object" or "json_schema". `name`, `description` and `strict` are OpenAI's."""

    kind: Literal["text", "json_object", "json_schema"]
    schema: JSONObject | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class Sampling(Struct, frozen=True):
    """Tuning knobs. A target that lacks one drops it and says so in a notice."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    logit_bias: JSONObject | None = None


NO_SAMPLING = Sampling()


class ChatRequest(Struct, frozen=True):
    """A whole request. `system` is what opens the conversation; later system turns stay in `turns`.

    `logprobs`: None not asked; 0 the chosen token only; n the n likeliest besides. `user_id` is the end user's id
    (Anthropic `metadata.user_id`, OpenAI `safety_identifier` or `user`). `cache` is a mark on the whole prompt.
    `stream_usage`: the client asked for usage in the stream (OpenAI chat `stream_options.include_usage`); dialects
    whose streams always carry usage set True.
    """

    model: str
    turns: tuple[Turn, ...]
    system: tuple[Part, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    max_output_tokens: int | None = None
    stream: bool = False
    stream_usage: bool = True
    stop: tuple[str, ...] = ()
    sampling: Sampling = NO_SAMPLING
    reasoning: ReasoningConfig | None = None
    output_format: OutputFormat | None = None
    candidates: int = 1
    logprobs: int | None = None
    user_id: str | None = None
    metadata: JSONObject | None = None
    service_tier: str | None = None
    verbosity: str | None = None
    prompt_cache_key: str | None = None
    store: bool | None = None
    cache: CacheMark | None = None
    extras: Extras = NO_EXTRAS
