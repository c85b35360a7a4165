"""How much to think, written in the target's spelling.

OpenAI has one knob, `reasoning_effort`. A budget in tokens becomes an effort:

    budget <= 0        none
    up to 4,096        low
    up to 16,384       medium
    above              high

Only "low", "medium" and "high" are in it, because every reasoning model takes those. "adaptive" is every such model's
default and is left out. Vendors have their own spellings; quirks choose among them (NOTES.md).
"""

from __future__ import annotations

from typing import Final

from bytespike.core.dialect import Target
from bytespike.core.json_types import JSONObject
from bytespike.core.losses import Losses
from bytespike.core.request import ReasoningConfig
from bytespike.protocols.openai_chat import quirks as q
from bytespike.protocols.openai_chat.names import own
from bytespike.protocols.request_knobs import effort_of_budget, thinking_off

#: For models that know only low, medium and high.
_BASIC: Final = {"minimal": "low", "xhigh": "high", "max": "high"}
#: DeepSeek's own mapping ("Thinking Mode", table 2); Zhipu's GLM-5.3 and Kimi K3 know the same three.
_LOW_HIGH_MAX: Final = {"minimal": "low", "medium": "high", "xhigh": "max"}
_SPELLINGS: Final = (
    q.THINKING_TOGGLE,
    q.THINKING_TOGGLE_EFFORT,
    q.THINKING_ADAPTIVE,
    q.ENABLE_THINKING,
    q.REASONING_OBJECT,
)
#: Platforms with these give thoughts as text.
_SHOWN: Final = (q.REASONING_CONTENT, q.REASONING_DETAILS, q.INLINE_THINK)


def write_reasoning(body: JSONObject, wanted: ReasoningConfig, target: Target, losses: Losses) -> None:
    """Set the members that say how much to think."""
    losses.foreign_extras(wanted.extras, "reasoning.")
    off = thinking_off(wanted)
    if "thinking" not in target.capabilities:
        if not off:
            losses.dropped("reasoning", "the model does not think")
        return
    quirks = target.quirks
    effort = _effort(wanted, off, quirks, losses)
    spelt = own(wanted.extras).get("_spelt")
    if isinstance(spelt, dict) and quirks.isdisjoint(_SPELLINGS):
        _as_spelt(body, wanted, spelt)
    elif q.REASONING_OBJECT in quirks:
        _reasoning_object(body, wanted, off, effort)
    elif q.ENABLE_THINKING in quirks:
        _enable_thinking(body, wanted, off)
    elif not quirks.isdisjoint(_SPELLINGS):
        _toggle(body, wanted, off, effort, quirks)
    elif effort is not None:
        if q.NO_REASONING_EFFORT in quirks:
            losses.dropped("reasoning_effort", "the model decides")
        else:
            body["reasoning_effort"] = effort
    if wanted.display is not None and q.REASONING_OBJECT not in quirks:
        _display(wanted, off, quirks, losses)


def _display(wanted: ReasoningConfig, off: bool, quirks: frozenset[str], losses: Losses) -> None:
    """Who shows thoughts at all, shows them unasked; nobody else can be asked."""
    granted = wanted.display == "summarized" and (off or not quirks.isdisjoint(_SHOWN))
    if not granted and not own(wanted.extras):
        losses.dropped("reasoning.display", "the provider decides what it shows")


def _effort(wanted: ReasoningConfig, off: bool, quirks: frozenset[str], losses: Losses) -> str | None:
    """The effort in words; None where the model's default shall stand."""
    if off:
        return _least(quirks, losses)
    effort = wanted.effort
    if effort is None and wanted.budget_tokens is not None:
        effort = effort_of_budget(wanted.budget_tokens)
        if quirks.isdisjoint((q.REASONING_OBJECT, q.ENABLE_THINKING)):
            losses.approximated("thinking.budget_tokens", f"effort {effort}")
    if effort is None:
        return None
    table = _BASIC if q.EFFORT_BASIC in quirks else _LOW_HIGH_MAX if q.EFFORT_LOW_HIGH_MAX in quirks else {}
    fitting = table.get(effort, effort)
    if fitting != effort:
        losses.approximated("reasoning_effort", f"{effort} became {fitting}")
    return fitting


def _least(quirks: frozenset[str], losses: Losses) -> str:
    """ "none", or the least that a model which always thinks can be told."""
    least = "low" if q.EFFORT_BASIC in quirks else "minimal" if q.EFFORT_NO_NONE in quirks else "none"
    if least != "none":
        losses.approximated("reasoning_effort", f"none became {least}")
    return least


def _as_spelt(body: JSONObject, wanted: ReasoningConfig, spelt: JSONObject) -> None:
    """A client of this dialect used a vendor's member, and the target has no spelling of its own."""
    body.update(spelt)
    inner = spelt.get("reasoning")
    if wanted.effort is not None and not (isinstance(inner, dict) and inner.get("effort")):
        body["reasoning_effort"] = wanted.effort


def _toggle(
    body: JSONObject, wanted: ReasoningConfig, off: bool, effort: str | None, quirks: frozenset[str]
) -> None:
    """`thinking: {"type": "enabled" | "disabled"}`, with or without an effort beside it."""
    if off:
        body["thinking"] = {"type": "disabled"}
        return
    if wanted.mode != "adaptive" or effort is not None:
        body["thinking"] = {"type": "adaptive" if q.THINKING_ADAPTIVE in quirks else "enabled"}
    if effort is not None and q.THINKING_TOGGLE_EFFORT in quirks:
        body["reasoning_effort"] = effort


def _enable_thinking(body: JSONObject, wanted: ReasoningConfig, off: bool) -> None:
    if wanted.mode == "adaptive" and wanted.budget_tokens is None:
        return
    body["enable_thinking"] = not off
    if not off and wanted.budget_tokens is not None:
        body["thinking_budget"] = wanted.budget_tokens


def _reasoning_object(body: JSONObject, wanted: ReasoningConfig, off: bool, effort: str | None) -> None:
    given: JSONObject = {}
    if off:
        given["enabled"] = False
    elif wanted.budget_tokens is not None and wanted.effort is None:
        given["max_tokens"] = wanted.budget_tokens
    elif effort is not None:
        given["effort"] = effort
    elif wanted.mode == "on":
        given["enabled"] = True
    if wanted.display == "omitted":
        given["exclude"] = True
    if given:
        body["reasoning"] = given
