"""What a model's abilities (the catalog's) mean to the dialect in which it is asked.

Platforms differ in their quirks, and so do models on one platform: some refuse temperature, some stop sequences, some
budgets of thinking. The catalog says so once, as capabilities; a dialect's writer knows switches. This joins the two,
so that `Target.quirks` is the endpoint's quirks and the model's.
"""

from __future__ import annotations

from bytespike.catalog.models import Model
from bytespike.protocols.anthropic_messages import names as anthropic
from bytespike.protocols.openai_chat import quirks as chat

_NONE: frozenset[str] = frozenset()


def quirks_of(model: Model, dialect: str) -> frozenset[str]:
    """The switches of `dialect` that hold for this model on every platform. For text models."""
    if dialect == "openai_chat":
        return _chat(model)
    if dialect == "anthropic_messages" and model.family == "claude":
        return _claude(model.capabilities)
    return _NONE


def _chat(model: Model) -> frozenset[str]:
    can = model.capabilities
    quirks: set[str] = set()
    if "sampling" not in can:
        quirks.add(chat.FIXED_SAMPLING)
    if "stop_sequences" not in can:
        quirks.add(chat.NO_STOP)
    if "logprobs" not in can:
        quirks.add(chat.NO_LOGPROBS)
    # A model that can be held to a schema can be held to any object.
    if can.isdisjoint(("json_object", "json_schema")):
        quirks.add(chat.NO_JSON_OBJECT)
    # Which levels other vendors know is their platform's quirk; OpenAI's differ by model.
    if model.family == "gpt" and "effort" in can and "effort_xhigh" not in can:
        quirks.add(chat.EFFORT_BASIC)
    return frozenset(quirks)


def _claude(can: frozenset[str]) -> frozenset[str]:
    quirks: set[str] = set()
    if "adaptive_thinking" in can:
        quirks.add(anthropic.QUIRK_ADAPTIVE_THINKING)
    if "sampling" not in can:
        quirks.add(anthropic.QUIRK_NO_SAMPLING)
    if "system_turns" in can:
        quirks.add(anthropic.QUIRK_SYSTEM_TURNS)
    if "effort_xhigh" in can:
        quirks.add(anthropic.QUIRK_EFFORT_XHIGH)
    return frozenset(quirks)
