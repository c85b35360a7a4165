"""How much the model shall think: `thinkingConfig`, both ways.

Models up to Gemini 2.5 take `thinkingBudget` (0 off, -1 as the model likes), later ones `thinkingLevel`; the catalog's
"thinking_budget" and "effort" say which. Levels are refused by the older ones; budgets still work on the newer ones, but
nobody asks for both. Source: Gemini API, "Thinking", tables of budgets and levels by model.

The "pro" models always think: their least budget is 128, their least level LOW. `includeThoughts` shows summaries of
the thoughts; unlike elsewhere nothing is shown unless it is asked for, so a foreign request for thinking asks for it.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.dialect import Target
from bytespike.core.json_types import JSONObject
from bytespike.core.losses import Losses
from bytespike.core.request import ReasoningConfig
from bytespike.protocols.gemini.names import aside, own
from bytespike.protocols.gemini.proto_json import camel_keys, optional_int32, optional_word
from bytespike.protocols.request_knobs import effort_of_budget
from bytespike.wire import fields as f

#: Tokens that a budget stands for, by effort.
EFFORT_BUDGETS: Final = {
    "minimal": 512,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 24_576,
}
#: The largest budget: of the "pro" models, and of the others.
PRO_BUDGET_MAX: Final = 32_768
BUDGET_MAX: Final = 24_576
PRO_BUDGET_MIN: Final = 128

_DYNAMIC: Final = -1
_UNSPECIFIED: Final = "THINKING_LEVEL_UNSPECIFIED"
_EFFORTS: Final = frozenset({"minimal", "low", "medium", "high", "xhigh"})
_MEMBERS: Final = frozenset({"includeThoughts", "thinkingBudget", "thinkingLevel"})


def read_thinking(config: JSONObject) -> ReasoningConfig | None:
    """`generationConfig.thinkingConfig`. Raises `Wrong`."""
    told = f.optional_object(config, "thinkingConfig")
    if told is None:
        return None
    spelt = camel_keys(told)
    try:
        shown = f.optional_flag(spelt, "includeThoughts")
        budget = optional_int32(spelt, "thinkingBudget")
        level = optional_word(spelt, "thinkingLevel")
    except f.Wrong as wrong:
        raise wrong.under("thinkingConfig") from None
    # The service takes both spellings of a level's name.
    effort = (level or "").removeprefix("THINKING_LEVEL_").lower()
    kept = aside({"_spelt": told, **f.rest(spelt, _MEMBERS)})
    display = None if shown is None else "summarized" if shown else "omitted"
    if effort in _EFFORTS:
        return ReasoningConfig("on", effort, display=display, extras=kept)
    if level not in (None, "", _UNSPECIFIED):
        raise f.Wrong("must be MINIMAL, LOW, MEDIUM, HIGH or XHIGH", "thinkingConfig", "thinkingLevel")
    if budget is not None:
        if budget == 0:
            return ReasoningConfig("off", display=display, extras=kept)
        if budget < 0:
            return ReasoningConfig("adaptive", display=display, extras=kept)
        return ReasoningConfig("on", budget_tokens=budget, display=display, extras=kept)
    # These models think unless told otherwise; who wants to see it, wants it.
    return ReasoningConfig("adaptive" if shown else None, display=display, extras=kept)


def write_thinking(wanted: ReasoningConfig | None, target: Target, losses: Losses) -> JSONObject | None:
    """`thinkingConfig`; None where the model's default stands."""
    if wanted is None:
        return None
    losses.foreign_extras(wanted.extras, "reasoning.")
    off = wanted.mode == "off" or wanted.effort == "none" or wanted.budget_tokens == 0
    if "thinking" not in target.capabilities:
        if not off and (wanted.mode is not None or wanted.effort or wanted.budget_tokens):
            losses.dropped("reasoning", "the model does not think")
        return None
    by_level = "effort" in target.capabilities
    spelt = own(wanted.extras).get("_spelt")
    if isinstance(spelt, dict) and (by_level or "thinkingLevel" not in camel_keys(spelt)):
        return spelt
    if off:
        return _off(target, by_level, losses)
    written = _level(wanted, target, losses) if by_level else _budget(wanted, target, losses)
    if wanted.display == "omitted":
        written["includeThoughts"] = False
    elif wanted.display is not None or wanted.mode is not None or wanted.effort or wanted.budget_tokens:
        written["includeThoughts"] = True
    return written or None


def _is_pro(target: Target) -> bool:
    return "-pro" in target.model


def _off(target: Target, by_level: bool, losses: Losses) -> JSONObject:
    if by_level:
        level = "LOW" if _is_pro(target) else "MINIMAL"
        losses.approximated("reasoning", f"the model always thinks; level {level}")
        return {"thinkingLevel": level}
    if _is_pro(target):
        losses.approximated("reasoning", f"the model always thinks; {PRO_BUDGET_MIN} tokens")
        return {"thinkingBudget": PRO_BUDGET_MIN}
    return {"thinkingBudget": 0}


def _level(wanted: ReasoningConfig, target: Target, losses: Losses) -> JSONObject:
    effort = wanted.effort
    if effort is None:
        budget = wanted.budget_tokens
        if budget is None or budget < 0:
            return {}
        effort = effort_of_budget(budget)
        losses.approximated("reasoning.budget", f"level {effort}")
    level = effort
    if effort == "minimal" and _is_pro(target):
        level = "low"
    elif effort in ("xhigh", "max"):
        level = "xhigh" if "effort_xhigh" in target.capabilities else "high"
    if level != effort:
        losses.approximated("reasoning_effort", f"{effort} became {level}")
    return {"thinkingLevel": level.upper()}


def _budget(wanted: ReasoningConfig, target: Target, losses: Losses) -> JSONObject:
    budget = wanted.budget_tokens
    if budget is None and wanted.effort is not None:
        budget = EFFORT_BUDGETS.get(wanted.effort, EFFORT_BUDGETS["medium"])
    if budget is None or budget < 0:
        return {"thinkingBudget": _DYNAMIC} if wanted.mode in ("adaptive", "on") else {}
    most = PRO_BUDGET_MAX if _is_pro(target) else BUDGET_MAX
    least = PRO_BUDGET_MIN if _is_pro(target) else 1
    fitting = min(max(budget, least), most)
    if fitting != wanted.budget_tokens and wanted.budget_tokens is not None:
        losses.approximated("reasoning.budget", f"{fitting} tokens")
    return {"thinkingBudget": fitting}
