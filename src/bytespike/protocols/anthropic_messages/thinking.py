"""How much the model shall think: `thinking` and `output_config.effort`, both ways.

There are three ways to say it. OpenAI names an effort, Gemini and older Claudes take a budget of tokens, newer Claudes
decide for themselves ("adaptive") within an effort. The table EFFORT_BUDGETS joins efforts and budgets. The target
quirk "adaptive_thinking" says which Claude it is: with it budgets are refused (400), without it "adaptive" is.

Rules of the API that the writer keeps (Anthropic's "Extended thinking" and "Adaptive thinking" pages; the recorded
traffic agrees):
- 1024 <= budget_tokens < max_tokens, and max_tokens includes the thinking;
- with a budget, tool choice may not force a tool; adaptive thinking allows it;
- with a budget, the assistant turn of a running tool loop must begin with a thinking block, so a loop that was begun
  by another model, or whose reasoning was lost, can only go on without thinking.
"""

from __future__ import annotations

from typing import NamedTuple

from bytespike.core.dialect import Target
from bytespike.core.json_types import JSONObject
from bytespike.core.losses import Losses
from bytespike.core.request import ReasoningConfig
from bytespike.protocols.anthropic_messages.blocks_write import Block
from bytespike.protocols.anthropic_messages.fields import SPELLING, Fields, own_extras, spelling
from bytespike.protocols.anthropic_messages.names import NAME, QUIRK_ADAPTIVE_THINKING, QUIRK_EFFORT_XHIGH

BUDGET_MIN = 1024
#: Tokens that a budget stands for, by effort. Budgets between two efforts count as the higher one.
EFFORT_BUDGETS = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 32_768,
    "max": 65_536,
}
_MODES_OF_TYPES = {"enabled": "on", "adaptive": "adaptive", "disabled": "off"}
_DISPLAYS = ("summarized", "omitted", "updates")
_KNOWN = frozenset({"type", "budget_tokens", "display"})


class ThinkingPlan(NamedTuple):
    """`thinking`: the member of that name. `effort`: of `output_config`. `max_tokens`: raised where a budget must fit.
    `thinks`: the model will think, and so takes no sampling."""

    thinking: Block | None
    effort: str | None
    max_tokens: int

    @property
    def thinks(self) -> bool:
        return self.thinking is not None and self.thinking["type"] not in ("disabled", "between_tools")


def read_reasoning_config(thinking: Fields | None, effort: str | None) -> ReasoningConfig | None:
    """The hub's config; its extras always carry this dialect's key, because here an effort alone does not switch
    thinking on, as it does elsewhere. Raises `WireError`."""
    if thinking is None:
        return None if effort is None else ReasoningConfig(effort=effort, extras={NAME: {}})
    type_ = thinking.string("type")
    rest: JSONObject = thinking.rest(_KNOWN)
    mode = _MODES_OF_TYPES.get(type_)
    if mode is None:
        # "between_tools", and whatever comes next: some kind of thinking that only Anthropic knows.
        rest[SPELLING] = type_
    return ReasoningConfig(
        mode="on" if mode == "on" else "off" if mode == "off" else "adaptive",
        effort=effort,
        budget_tokens=thinking.integer("budget_tokens") if mode == "on" else None,
        display=thinking.optional_string("display"),
        extras={NAME: rest},
    )


def plan_thinking(
    config: ReasoningConfig | None,
    target: Target,
    max_tokens: int,
    losses: Losses,
    *,
    tool_forced: bool,
    loop_without_thinking: bool,
) -> ThinkingPlan:
    """What to write for `config`. `tool_forced`: tool choice forces a call. `loop_without_thinking`: the assistant
    turn of a running tool loop does not begin with a thinking block."""
    if config is None:
        return ThinkingPlan(None, None, max_tokens)
    if "thinking" not in target.capabilities:
        if _wants_thinking(config) or config.effort:
            losses.dropped("reasoning", "the model does not think")
        return ThinkingPlan(None, None, max_tokens)
    native = NAME in config.extras
    if config.mode == "off" or (config.effort == "none" and not native):
        effort = None if config.effort == "none" else _effort(config, target, losses)
        return ThinkingPlan(_member("disabled", config, losses), effort, max_tokens)
    if not _wants_thinking(config):
        return ThinkingPlan(None, _effort(config, target, losses), max_tokens)
    if _is_adaptive(config, target, losses):
        effort = _effort(config, target, losses)
        if effort is None and config.budget_tokens is not None:
            effort = _effort_of(config.budget_tokens)
            losses.approximated("reasoning.budget", f"effort {effort}")
        return ThinkingPlan(_member(_type_of(config), config, losses), effort, max_tokens)
    effort = config.effort if native else None
    if tool_forced or loop_without_thinking:
        why = (
            "tool_choice forces a call"
            if tool_forced
            else "the running tool loop has no thinking of this model"
        )
        losses.dropped("reasoning", why)
        return ThinkingPlan(None, effort, max_tokens)
    budget, raised = _budget(config, max_tokens, held_output_tokens(target), losses)
    if budget is None:
        return ThinkingPlan(None, effort, max_tokens)
    member = _member("enabled", config, losses)
    member["budget_tokens"] = budget
    return ThinkingPlan(member, effort, raised)


def held_output_tokens(target: Target) -> int:
    """The most that a request may let the model produce: what it can, and what the money is held for."""
    held = target.output_tokens_held
    return target.max_output_tokens if held is None else min(held, target.max_output_tokens)


def _wants_thinking(config: ReasoningConfig) -> bool:
    if config.mode is None:
        # Elsewhere an effort or a budget means thinking; here an effort alone does not.
        return NAME not in config.extras and (
            config.effort not in (None, "none") or bool(config.budget_tokens)
        )
    return config.mode != "off"


def _type_of(config: ReasoningConfig) -> str:
    return spelling(config.extras) or "adaptive"


def _is_adaptive(config: ReasoningConfig, target: Target, losses: Losses) -> bool:
    if QUIRK_ADAPTIVE_THINKING in target.quirks:
        return True
    if config.mode == "adaptive" and config.budget_tokens is None:
        losses.approximated("reasoning", "a budget in place of adaptive thinking")
    return False


def _member(type_: str, config: ReasoningConfig, losses: Losses) -> Block:
    member: Block = {"type": type_}
    if config.display is not None and type_ in ("enabled", "adaptive"):
        if config.display in _DISPLAYS:
            member["display"] = config.display
        else:
            # The Responses API's kinds of summary.
            member["display"] = "summarized"
            losses.approximated("reasoning.summary", "summarized")
    return member | own_extras(config.extras)


def _effort(config: ReasoningConfig, target: Target, losses: Losses) -> str | None:
    effort = config.effort
    if effort == "minimal":
        losses.approximated("reasoning_effort", "low")
        return "low"
    if effort == "xhigh" and QUIRK_EFFORT_XHIGH not in target.quirks:
        losses.approximated("reasoning_effort", "high")
        return "high"
    return effort


def _effort_of(budget: int) -> str:
    """The least effort that stands for so many tokens; never beyond "high", which every such model has."""
    return next((name for name in ("low", "medium") if budget <= EFFORT_BUDGETS[name]), "high")


def _budget(
    config: ReasoningConfig, max_tokens: int, output_max: int, losses: Losses
) -> tuple[int | None, int]:
    """The budget and the max_tokens that it needs; no budget where even the least does not fit the model.

    A budget that the API would take stays as it is. Any other, and what an effort stands for, leaves a quarter of
    max_tokens to the answer. Where that is too little for any budget, the least one comes on top of max_tokens: an
    answer of the wanted length remains possible.
    """
    room = max_tokens * 3 // 4
    wanted = config.budget_tokens
    if wanted is None:
        wanted = EFFORT_BUDGETS.get(config.effort or "medium", EFFORT_BUDGETS["medium"])
    elif BUDGET_MIN <= wanted < max_tokens:
        return wanted, max_tokens
    else:
        losses.approximated("reasoning.budget", f"{max(BUDGET_MIN, min(wanted, room))} tokens")
    if room >= BUDGET_MIN:
        return max(BUDGET_MIN, min(wanted, room)), max_tokens
    raised = max(max_tokens, min(max_tokens + BUDGET_MIN, output_max))
    if raised <= BUDGET_MIN:
        losses.dropped("reasoning", "no budget fits the token limit")
        return None, max_tokens
    losses.approximated("max_tokens", f"raised to {raised} to make room for thinking")
    return BUDGET_MIN, raised
