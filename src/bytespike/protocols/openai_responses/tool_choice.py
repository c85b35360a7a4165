"""How the model is to choose among its tools, both ways.

`tool_choice` is "none", "auto", "required", `{"type": "function" | "custom", "name"}`, `{"type": "allowed_tools", "mode",
"tools"}`, or the name of a tool that runs at the provider, which no other dialect can force.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from bytespike.core.dialect import Target
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.tools import CustomTool, FunctionTool, Tool, ToolChoice
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.openai_responses import quirks as q
from bytespike.protocols.openai_responses.names import aside, noted, own, wire_name
from bytespike.protocols.openai_responses.tool_names import ToolNames
from bytespike.wire import fields as f

_MODES: Final[dict[str, Literal["auto", "none", "required"]]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
}


def read_tool_choice(body: JSONObject, names: ToolNames) -> ToolChoice | None:
    """`tool_choice` and `parallel_tool_calls`. Raises `Wrong`, `UnsupportedFeature`."""
    parallel = f.optional_flag(body, "parallel_tool_calls")
    choice = body.get("tool_choice")
    if choice is None:
        return ToolChoice(parallel=parallel) if parallel is not None else None
    try:
        return _choice(choice, parallel, names)
    except f.Wrong as wrong:
        raise wrong.under("tool_choice") from None


def _choice(choice: JSON, parallel: bool | None, names: ToolNames) -> ToolChoice:
    if isinstance(choice, str):
        mode = _MODES.get(choice)
        if mode is None:
            raise f.Wrong("must be 'none', 'auto', 'required' or an object")
        return ToolChoice(mode, parallel=parallel)
    if not isinstance(choice, dict):
        raise f.Wrong(f"must be a string or an object, not {f.kind_of(choice)}")
    match choice.get("type"):
        case "function" | "custom" as kind:
            return ToolChoice("named", (_named(choice, names),), kind, parallel, aside({"_choice": choice}))
        case "allowed_tools":
            return _allowed(choice, parallel, names)
        # Some clients leave the type out.
        case None if "mode" in choice and "tools" in choice:
            return _allowed(choice, parallel, names)
        case None if "name" in choice:
            return ToolChoice("named", (_named(choice, names),), parallel=parallel)
        case str(kind):
            raise UnsupportedFeature(
                f"tool_choice: a tool of type '{kind[:60]}' can only be forced at its own provider. "
                "Use 'auto' or 'required', or choose a model of OpenAI.",
                param="tool_choice",
            )
        case _:
            raise f.Wrong("must be a string", "type")


def _named(entry: JSONObject, names: ToolNames) -> str:
    # Chat's way of nesting the name is seen often enough.
    inner = entry.get("function")
    name = inner.get("name") if isinstance(inner, dict) and "name" not in entry else f.text(entry, "name")
    if not isinstance(name, str):
        raise f.missing("name")
    namespace = f.optional_text(entry, "namespace")
    return names.flat(namespace, name) if namespace else names.anywhere(name)


def _allowed(choice: JSONObject, parallel: bool | None, names: ToolNames) -> ToolChoice:
    mode = choice.get("mode")
    if mode not in ("auto", "required"):
        raise f.Wrong("must be 'auto' or 'required'", "mode")
    found: list[str] = []
    for index, tool in enumerate(f.objects(f.array_at(choice, "tools"), "tools")):
        if tool.get("type") in ("function", "custom", None):
            try:
                found.append(_named(tool, names))
            except f.Wrong as wrong:
                raise wrong.under("tools", index) from None
        else:
            found.append(_hosted(tool, index))
    return ToolChoice(
        "auto" if mode == "auto" else "required",
        tuple(found),
        parallel=parallel,
        extras=aside({"_choice": choice}),
    )


def _hosted(tool: JSONObject, index: int) -> str:
    """The hub's name of a tool that runs at the provider."""
    kind = tool.get("type")
    if not isinstance(kind, str):
        raise f.Wrong("must be a string", "tools", index, "type")
    name = tool.get("name")
    return "web_search" if kind.startswith("web_search") else name if isinstance(name, str) else kind


# --- writing ---------------------------------------------------------------------------------------------------


def write_tool_choice(
    body: JSONObject, choice: ToolChoice | None, tools: Sequence[Tool], target: Target, losses: Losses
) -> None:
    """Set `tool_choice` and `parallel_tool_calls`; may narrow `tools`. Raises `UnsupportedFeature`."""
    if choice is None:
        return
    if choice.parallel is not None and "tools" in body:
        if q.NO_PARALLEL_TOOL_CALLS in target.quirks:
            losses.dropped("parallel_tool_calls", "the model decides how many tools it calls")
        else:
            body["parallel_tool_calls"] = choice.parallel
    losses.foreign_extras(choice.extras, "tool_choice.")
    if choice.mode is None:
        return
    if choice.mode in ("required", "named") and "tools" not in body:
        raise UnsupportedFeature("tool_choice: there is no tool to choose.", param="tool_choice")
    spelt = own(choice.extras).get("_choice")
    if isinstance(spelt, dict):
        body["tool_choice"] = spelt
    elif choice.mode == "named":
        body["tool_choice"] = _entry(choice.names[0] if choice.names else "", choice.kind, tools)
    elif not choice.names or choice.mode == "none":
        body["tool_choice"] = choice.mode
    elif q.NO_ALLOWED_TOOLS in target.quirks:
        allowed = {wire_name(name) for name in choice.names}
        body["tools"] = [
            entry
            for entry in f.array_at(body, "tools")
            if isinstance(entry, dict) and entry.get("name", entry.get("type")) in allowed
        ]
        body["tool_choice"] = choice.mode
        losses.approximated("tool_choice.allowed_tools", "the other tools were left out")
    else:
        entries: list[JSON] = [_entry(name, "function", tools) for name in choice.names]
        body["tool_choice"] = {"type": "allowed_tools", "mode": choice.mode, "tools": entries}


def _entry(name: str, kind: str, tools: Sequence[Tool]) -> JSONObject:
    for tool in tools:
        if isinstance(tool, (FunctionTool, CustomTool)) and tool.name == name:
            kind = "custom" if isinstance(tool, CustomTool) else "function"
            return {"type": kind, "name": noted(tool.extras, "_namespace").get("tool", wire_name(name))}
    # Anthropic names its search like any other tool.
    return {"type": "web_search"} if name == "web_search" else {"type": kind, "name": wire_name(name)}
