"""Tool definitions and the choice among them, both ways.

One object of `tools` may hold function declarations and several of the provider's own tools at once. Google Search is the
hub's web search; every other tool of the provider only Google has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from bytespike.core.dialect import Target
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.tools import CustomTool, ForeignTool, FunctionTool, Tool, ToolChoice, WebSearchTool
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.gemini.names import (
    FUNCTION_NAME_CHARS_MAX,
    NAME,
    QUIRK_OPENAPI_SCHEMA,
    aside,
    own,
    thinks_by_level,
    wire_members,
)
from bytespike.protocols.gemini.parts_in import CUSTOM_INPUT
from bytespike.protocols.gemini.parts_out import Wire
from bytespike.protocols.gemini.proto_json import camel_keys, optional_word
from bytespike.protocols.gemini.schemas import fitted, from_openapi, to_openapi
from bytespike.wire import fields as f

GOOGLE_SEARCH: Final = "googleSearch"
#: Spellings of web search: the current one, the one for Gemini 1.5, and Vertex AI's.
SEARCHES: Final = frozenset({GOOGLE_SEARCH, "googleSearchRetrieval", "enterpriseWebSearch"})
_DECLARATIONS: Final = "functionDeclarations"
_FUNCTION: Final = frozenset({"name", "description", "parameters", "parametersJsonSchema"})
#: google-genai, FunctionDeclaration.name.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")

# --- reading ---------------------------------------------------------------------------------------------------


def read_tools(body: JSONObject) -> list[Tool]:
    """`tools`. Raises `Wrong`."""
    values = f.optional_array(body, "tools")
    tools: list[Tool] = []
    for index, value in enumerate(f.objects(values, "tools") if values else []):
        try:
            for kind, member in camel_keys(value).items():
                if member is not None:
                    _read_tool(kind, member, tools)
        except f.Wrong as wrong:
            raise wrong.under("tools", index) from None
    return tools


def _read_tool(kind: str, member: JSON, tools: list[Tool]) -> None:
    if kind == _DECLARATIONS:
        # Some clients send one declaration where a list belongs.
        declared: list[JSON] = member if isinstance(member, list) else [member]
        for number, declaration in enumerate(f.objects(declared, kind)):
            try:
                tools.append(_function(camel_keys(declaration)))
            except f.Wrong as wrong:
                raise wrong.under(kind, number) from None
    elif kind in SEARCHES:
        if not isinstance(member, dict):
            raise f.Wrong(f"must be an object, not {f.kind_of(member)}", kind)
        told = camel_keys(member)
        blocked = f.texts(told, "excludeDomains")
        kept: JSONObject = {**f.rest(told, frozenset({"excludeDomains"})), "_type": kind}
        tools.append(WebSearchTool(blocked_domains=blocked or None, extras=aside(kept)))
    else:
        tools.append(ForeignTool(NAME, kind[:60], kind[:60], {kind: member}))


def _function(declaration: JSONObject) -> FunctionTool:
    parameters = f.optional_object(declaration, "parametersJsonSchema")
    kept = f.rest(declaration, _FUNCTION)
    told = f.optional_object(declaration, "parameters")
    if parameters is None and told is not None:
        kept["_parameters"] = told
        try:
            parameters = from_openapi(told)
        except f.Wrong as wrong:
            raise wrong.under("parameters") from None
    return FunctionTool(
        f.text(declaration, "name"),
        f.optional_text(declaration, "description"),
        parameters,
        extras=aside(kept),
    )


def read_tool_choice(config: JSONObject) -> ToolChoice | None:
    """`toolConfig.functionCallingConfig`. Raises `Wrong`."""
    told = f.optional_object(config, "functionCallingConfig")
    if told is None:
        return None
    told = camel_keys(told)
    try:
        names = f.texts(told, "allowedFunctionNames")
        mode = optional_word(told, "mode")
    except f.Wrong as wrong:
        raise wrong.under("functionCallingConfig") from None
    kept: JSONObject = f.rest(told, frozenset({"allowedFunctionNames", "mode"}))
    kept["_mode"] = mode or ""
    match mode:
        case "ANY" if len(names) == 1:
            return ToolChoice("named", names, extras=aside(kept))
        case "ANY":
            return ToolChoice("required", names, extras=aside(kept))
        case "NONE":
            return ToolChoice("none", extras=aside(kept))
        case None | "AUTO" | "VALIDATED" | "MODE_UNSPECIFIED":
            return ToolChoice("auto" if mode != "MODE_UNSPECIFIED" else None, names, extras=aside(kept))
        case _:
            raise f.Wrong("must be AUTO, ANY, NONE or VALIDATED", "functionCallingConfig", "mode")


# --- writing ---------------------------------------------------------------------------------------------------


class WrittenTools(NamedTuple):
    """`tools`; whether functions and the provider's own tools are among them."""

    tools: list[Wire]
    functions: bool
    own_tools: bool


def write_tools(tools: Sequence[Tool], target: Target, losses: Losses) -> WrittenTools:
    """Raises `UnsupportedFeature` for tools that the target or Google does not have."""
    declarations: list[Wire] = []
    others: list[Wire] = []
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        match tool:
            case FunctionTool():
                declarations.append(_write_function(tool, where, target, losses))
            case CustomTool():
                declarations.append(_write_custom(tool, where, target, losses))
            case WebSearchTool():
                if tool.optional and "web_search" not in target.capabilities:
                    losses.dropped(where, "the model has no web search")
                    continue
                others.append(_write_search(tool, where, target, losses))
            case ForeignTool():
                if tool.dialect != NAME and tool.optional:
                    losses.dropped(where, "only exists at its own provider")
                    continue
                if tool.dialect != NAME:
                    raise UnsupportedFeature(
                        f"{where}: the tool '{tool.name[:60]}' of type '{tool.kind[:60]}' only exists at its own "
                        "provider; Gemini models have none. Remove it, or choose a model of that provider.",
                        param=where,
                    )
                others.append(dict(tool.raw))
        if not isinstance(tool, ForeignTool) and tool.cache is not None:
            losses.cache_mark()
    if declarations and "tools" not in target.capabilities:
        raise UnsupportedFeature("tools: this model cannot call tools.", param="tools")
    # Functions come first, so that a cached prompt does not depend on what stands behind them.
    written: list[Wire] = [{_DECLARATIONS: declarations}] if declarations else []
    return WrittenTools([*written, *others], bool(declarations), bool(others))


def check_together(written: WrittenTools, target: Target) -> bool:
    """Whether functions and the provider's own tools come together, which has to be asked for. Raises
    `UnsupportedFeature` where the model cannot combine them (before Gemini 3)."""
    together = written.functions and written.own_tools
    if together and not thinks_by_level(target):
        raise UnsupportedFeature(
            "tools: this model cannot combine functions with its own tools such as web search; offer one or the "
            "other, or choose a newer model.",
            param="tools",
        )
    return together


def _check_name(name: str, where: str) -> str:
    if len(name) > FUNCTION_NAME_CHARS_MAX or not _NAME.fullmatch(name):
        raise UnsupportedFeature(
            f"{where}: the tool name '{name[:FUNCTION_NAME_CHARS_MAX]}' is not one that Gemini takes: it must begin "
            f"with a letter or underscore, hold only letters, digits and _.:-, and have at most "
            f"{FUNCTION_NAME_CHARS_MAX} characters.",
            param=where,
        )
    return name


def _write_function(tool: FunctionTool, where: str, target: Target, losses: Losses) -> Wire:
    function: Wire = {"name": _check_name(tool.name, where)}
    if tool.description is not None:
        function["description"] = tool.description
    told = own(tool.extras).get("_parameters")
    if told is not None:
        function["parameters"] = told
    elif tool.parameters is not None:
        _parameters(function, tool.parameters, f"{where}.parameters", target, losses)
    if tool.strict:
        losses.dropped("tools.strict", "the model does not enforce schemas of functions")
    losses.foreign_extras(tool.extras, "tools.")
    function.update(wire_members(tool.extras))
    return function


def _parameters(function: Wire, schema: JSONObject, where: str, target: Target, losses: Losses) -> None:
    if QUIRK_OPENAPI_SCHEMA not in target.quirks:
        function["parametersJsonSchema"] = fitted(schema, where, losses, enforced=False)
        return
    translated = to_openapi(schema, where, losses)
    # An object without properties is refused there; no parameters mean the same.
    if translated.get("properties") or translated.get("type") != "OBJECT":
        function["parameters"] = translated


def _write_custom(tool: CustomTool, where: str, target: Target, losses: Losses) -> Wire:
    losses.approximated(where, "a free-form tool became a function with one string")
    what = tool.description or ""
    if tool.grammar:
        what += f"\n\nThe input must match this {tool.syntax or ''} grammar:\n{tool.grammar}"
    function: Wire = {"name": _check_name(tool.name, where)}
    if what.strip():
        function["description"] = what.strip()
    schema: JSONObject = {
        "type": "object",
        "properties": {
            CUSTOM_INPUT: {"type": "string", "description": "The whole input of the tool, as text."}
        },
        "required": [CUSTOM_INPUT],
    }
    _parameters(function, schema, where, target, losses)
    losses.foreign_extras(tool.extras, "tools.")
    return function


def _write_search(tool: WebSearchTool, where: str, target: Target, losses: Losses) -> Wire:
    if "web_search" not in target.capabilities:
        raise UnsupportedFeature(f"{where}: this model has no web search.", param=where)
    mine = own(tool.extras)
    if tool.allowed_domains:
        raise UnsupportedFeature(
            f"{where}: Google Search cannot be restricted to domains; remove allowed_domains.",
            param=f"{where}.allowed_domains",
        )
    if tool.blocked_domains and not mine:
        raise UnsupportedFeature(
            f"{where}: Google Search cannot leave out domains; remove blocked_domains.",
            param=f"{where}.blocked_domains",
        )
    for name, value in (
        ("max_uses", tool.max_uses),
        ("user_location", tool.user_location),
        ("search_context_size", tool.context_size),
    ):
        if value is not None:
            losses.dropped(f"web_search.{name}", "Google Search has no such setting")
    losses.foreign_extras(tool.extras, "tools.")
    options: JSONObject = wire_members(tool.extras)
    if tool.blocked_domains:
        options["excludeDomains"] = [*tool.blocked_domains]
    kind = mine.get("_type")
    return {kind if isinstance(kind, str) else GOOGLE_SEARCH: options}


def write_tool_choice(choice: ToolChoice | None, tools: Sequence[Tool], losses: Losses) -> JSONObject | None:
    """`functionCallingConfig`; None where the default stands. Raises `UnsupportedFeature`."""
    if choice is None:
        return None
    losses.foreign_extras(choice.extras, "tool_choice.")
    if choice.parallel is False:
        losses.dropped("parallel_tool_calls", "the model decides how many functions it calls at once")
    mode = choice.mode
    mine = own(choice.extras)
    if mode is None and not mine:
        return None
    if mode in ("required", "named") and not tools:
        raise UnsupportedFeature("tool_choice: there is no tool to choose.", param="tool_choice")
    spelt = mine.get("_mode")
    if isinstance(spelt, str):
        written: JSONObject = {"mode": spelt} if spelt else {}
    elif mode == "none":
        return {"mode": "NONE"}
    elif mode == "auto":
        # VALIDATED is AUTO that can be told which functions are allowed.
        written = {"mode": "VALIDATED" if choice.names else "AUTO"}
    else:
        written = {"mode": "ANY"}
    if choice.names:
        written["allowedFunctionNames"] = [*choice.names]
    return {**written, **wire_members(choice.extras)}
