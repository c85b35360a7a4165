"""How the model is to choose among its tools, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.tools import CustomTool, Tool, ToolChoice
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.openai_chat import quirks as q
from bytespike.protocols.openai_chat.names import aside, own, wire_name
from bytespike.wire import fields as f

_MODES: Final[dict[str, Literal["auto", "none", "required"]]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",  # Mistral's older word; it takes both
}


def read_tool_choice(body: JSONObject) -> ToolChoice | None:
    """`tool_choice`, the deprecated `function_call`, and `parallel_tool_calls`. Raises `Wrong`."""
    parallel = f.optional_flag(body, "parallel_tool_calls")
    choice = body.get("tool_choice")
    legacy = body.get("function_call")
    if choice is not None:
        try:
            return _choice(choice, parallel)
        except f.Wrong as wrong:
            raise wrong.under("tool_choice") from None
    if legacy is not None:
        return _legacy_choice(legacy, parallel)
    return ToolChoice(parallel=parallel) if parallel is not None else None


def _choice(choice: JSON, parallel: bool | None) -> ToolChoice:
    if isinstance(choice, str):
        mode = _MODES.get(choice)
        if mode is None:
            raise f.Wrong("must be 'none', 'auto', 'required' or an object")
        return ToolChoice(mode, parallel=parallel)
    if not isinstance(choice, dict):
        raise f.Wrong(f"must be a string or an object, not {f.kind_of(choice)}")
    match choice.get("type"):
        case "function" | "custom" as kind:
            try:
                name = f.text(f.object_at(choice, kind), "name")
            except f.Wrong as wrong:
                raise wrong.under(kind) if isinstance(choice.get(kind), dict) else wrong from None
            return ToolChoice("named", (name,), kind, parallel)
        case "allowed_tools":
            return _allowed(choice, parallel)
        case _:
            raise f.Wrong("must be 'function', 'custom' or 'allowed_tools'", "type")


def _allowed(choice: JSONObject, parallel: bool | None) -> ToolChoice:
    # The SDK nests the two members under `allowed_tools`; OpenAI's API also takes them beside the type.
    inner = choice.get("allowed_tools")
    given = inner if isinstance(inner, dict) else choice
    mode = given.get("mode")
    if mode not in ("auto", "required"):
        raise f.Wrong("must be 'auto' or 'required'", "allowed_tools", "mode")
    tools = f.objects(f.array_at(given, "tools"), "tools")
    names: list[str] = []
    for index, tool in enumerate(tools):
        kind = tool.get("type")
        inner = tool.get(kind) if isinstance(kind, str) else None
        name = inner.get("name") if isinstance(inner, dict) else tool.get("name")
        if not isinstance(name, str):
            raise f.Wrong("must name a tool", "allowed_tools", "tools", index)
        names.append(name)
    return ToolChoice("auto" if mode == "auto" else "required", tuple(names), parallel=parallel)


def _legacy_choice(choice: JSON, parallel: bool | None) -> ToolChoice:
    kept = aside({"_legacy": True})
    if choice == "auto" or choice == "none":
        return ToolChoice("auto" if choice == "auto" else "none", parallel=parallel, extras=kept)
    if isinstance(choice, dict):
        try:
            return ToolChoice("named", (f.text(choice, "name"),), parallel=parallel, extras=kept)
        except f.Wrong as wrong:
            raise wrong.under("function_call") from None
    raise f.Wrong("must be 'none', 'auto' or an object", "function_call")


# --- writing ---------------------------------------------------------------------------------------------------


def write_tool_choice(
    body: JSONObject, choice: ToolChoice, tools: Sequence[Tool], quirks: frozenset[str], losses: Losses
) -> None:
    """Set `tool_choice`, `function_call` and `parallel_tool_calls`; may narrow `tools`. Raises `UnsupportedFeature`."""
    mine = own(choice.extras)
    if choice.parallel is not None and "tools" in body:
        if q.NO_PARALLEL_TOOL_CALLS in quirks:
            losses.dropped("parallel_tool_calls", "the model decides how many tools it calls")
        else:
            body["parallel_tool_calls"] = choice.parallel
    if choice.mode is None:
        return
    if mine.get("_legacy"):
        body["function_call"] = (
            {"name": wire_name(choice.names[0])} if choice.mode == "named" else choice.mode
        )
        return
    _check_forced(choice, quirks)
    if choice.mode == "named":
        # Without free-form tools every tool is a function.
        kind = "function" if q.NO_CUSTOM_TOOLS in quirks else choice.kind
        body["tool_choice"] = {"type": kind, kind: {"name": wire_name(choice.names[0])}}
    elif not choice.names or choice.mode == "none":
        body["tool_choice"] = choice.mode
    elif q.NO_ALLOWED_TOOLS in quirks:
        allowed = {wire_name(name) for name in choice.names}
        body["tools"] = [
            entry
            for entry in f.array_at(body, "tools")
            if isinstance(entry, dict) and _entry_name(entry) in allowed
        ]
        body["tool_choice"] = choice.mode
        losses.approximated("tool_choice.allowed_tools", "the other tools were left out")
    else:
        body["tool_choice"] = _write_allowed(choice, tools)


def _check_forced(choice: ToolChoice, quirks: frozenset[str]) -> None:
    forced = choice.mode in ("required", "named")
    if q.TOOL_CHOICE_AUTO_ONLY in quirks and choice.mode != "auto":
        raise UnsupportedFeature("This model takes only tool_choice 'auto'.", param="tool_choice")
    if forced and q.TOOL_CHOICE_NO_REQUIRED in quirks:
        raise UnsupportedFeature(
            "This model cannot be forced to call a tool; use tool_choice 'auto' or 'none'.",
            param="tool_choice",
        )


def _write_allowed(choice: ToolChoice, tools: Sequence[Tool]) -> JSONObject:
    custom = {tool.name for tool in tools if isinstance(tool, CustomTool)}
    entries: list[JSON] = []
    for name in choice.names:
        kind = "custom" if name in custom else "function"
        entries.append({"type": kind, kind: {"name": wire_name(name)}})
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": entries}}


def _entry_name(entry: JSONObject) -> JSON:
    kind = entry.get("type")
    inner = entry.get(kind) if isinstance(kind, str) else None
    return inner.get("name") if isinstance(inner, dict) else None
