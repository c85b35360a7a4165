"""What a model's abilities (the catalog's) mean to the dialect in which it is asked.

Platforms differ in their quirks, and so do models on one platform: some refuse temperature, some stop sequences, some
budgets of thinking. The catalog says so once, as capabilities; a dialect's writer knows switches. This joins the two,
so that `Target.quirks` is the endpoint's quirks and the model's.
"""

from __future__ import annotations

from functools import lru_cache

from bytespike.catalog.models import Model
from bytespike.core.dialect import Dialect
from bytespike.protocols import openai_chat
from bytespike.protocols.anthropic_messages import names as anthropic
from bytespike.protocols.openai_chat import quirks as chat
from bytespike.protocols.openai_responses import quirks as responses

_NONE: frozenset[str] = frozenset()


def quirks_of(model: Model, dialect: str) -> frozenset[str]:
    """The switches of `dialect` that hold for this model on every platform. For text models."""
    return _switches(model.family, model.capabilities, dialect)


# Asked for every translated request; there are as many answers as models and dialects.
@lru_cache(maxsize=1024)
def _switches(family: str, can: frozenset[str], dialect: str) -> frozenset[str]:
    if dialect == "openai_chat":
        return _chat(family, can)
    if dialect == "openai_responses":
        return _responses(family, can)
    if dialect == "anthropic_messages" and family == "claude":
        return _claude(can)
    return _NONE


def spoken(dialect: Dialect, quirks: frozenset[str]) -> Dialect:
    """The dialect as an upstream with these switches speaks it: some say things in their answers that only who knows of
    the switch can read."""
    if chat.INLINE_THINK in quirks and dialect is openai_chat.DIALECT:
        return openai_chat.INLINE_THINKING
    return dialect


def _chat(family: str, can: frozenset[str]) -> frozenset[str]:
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
    if family == "gpt" and "effort" in can and "effort_xhigh" not in can:
        quirks.add(chat.EFFORT_BASIC)
    return frozenset(quirks)


def _responses(family: str, can: frozenset[str]) -> frozenset[str]:
    quirks: set[str] = set()
    if "sampling" not in can:
        quirks.add(responses.FIXED_SAMPLING)
    if "logprobs" not in can:
        quirks.add(responses.NO_LOGPROBS)
    if family == "gpt" and "effort" in can and "effort_xhigh" not in can:
        quirks.add(responses.EFFORT_BASIC)
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
