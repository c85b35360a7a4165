"""Tool definitions, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import structs

from bytespike.core.content import CacheMark
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.tools import CustomTool, ForeignTool, FunctionTool, Tool, WebSearchTool
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.free_form import CUSTOM_INPUT
from bytespike.protocols.openai_chat import quirks as q
from bytespike.protocols.openai_chat.names import (
    NAME,
    aside,
    own,
    wire_members,
    wire_name,
)
from bytespike.wire import fields as f

_TOOL_MEMBERS: Final = frozenset({"type", "function", "custom", "cache_control"})
_FUNCTION_MEMBERS: Final = frozenset({"name", "description", "parameters", "strict"})
_CUSTOM_MEMBERS: Final = frozenset({"name", "description", "format"})
_SEARCH_MEMBERS: Final = frozenset({"search_context_size", "user_location"})
_LOCATION_MEMBERS: Final = ("city", "region", "country", "timezone")

# --- reading ---------------------------------------------------------------------------------------------------


def read_tools(body: JSONObject) -> list[Tool]:
    """`tools`, the deprecated `functions`, and `web_search_options`. Raises `Wrong`."""
    tools: list[Tool] = []
    for key, legacy in (("tools", False), ("functions", True)):
        values = f.optional_array(body, key)
        for index, tool in enumerate(f.objects(values, key) if values else []):
            try:
                tools.append(_function(tool, {"_legacy": True}) if legacy else _tool(tool))
            except f.Wrong as wrong:
                raise wrong.under(key, index) from None
    options = f.optional_object(body, "web_search_options")
    if options is not None:
        try:
            tools.append(_web_search(options))
        except f.Wrong as wrong:
            raise wrong.under("web_search_options") from None
    return tools


def _tool(tool: JSONObject) -> Tool:
    # Mistral's SDK leaves the type out.
    kind = f.optional_text(tool, "type") or ("function" if "function" in tool else None)
    if kind is None:
        raise f.missing("type")
    if kind == "function":
        return _nested(tool, "function")
    if kind == "custom":
        return _nested(tool, "custom")
    name = tool.get("name")
    return ForeignTool(NAME, kind, name if isinstance(name, str) else kind, tool)


def _nested(tool: JSONObject, key: str) -> Tool:
    inner = f.object_at(tool, key)
    beside: JSONObject = {}
    if len(tool) > 2:
        outer = f.rest(tool, _TOOL_MEMBERS)
        if outer:
            beside["_tool"] = outer
    cache = f.optional_object(tool, "cache_control")
    try:
        read = _function(inner, beside) if key == "function" else _custom(inner, beside)
    except f.Wrong as wrong:
        raise wrong.under(key) from None
    if cache is None:
        return read
    kept = aside({**own(read.extras), "_cache_control": cache})
    return structs.replace(read, cache=CacheMark(f.optional_text(cache, "ttl")), extras=kept)


def _function(inner: JSONObject, beside: JSONObject) -> FunctionTool:
    kept = {**f.rest(inner, _FUNCTION_MEMBERS), **beside}
    return FunctionTool(
        f.text(inner, "name"),
        f.optional_text(inner, "description"),
        f.optional_object(inner, "parameters"),
        f.optional_flag(inner, "strict"),
        extras=aside(kept),
    )


def _custom(inner: JSONObject, beside: JSONObject) -> CustomTool:
    syntax: str | None = None
    grammar: str | None = None
    given = f.optional_object(inner, "format")
    if given is not None and given.get("type") == "grammar":
        try:
            rules = f.object_at(given, "grammar")
            syntax, grammar = f.text(rules, "syntax"), f.text(rules, "definition")
        except f.Wrong as wrong:
            raise wrong.under("format") from None
    elif given is not None:
        beside = {**beside, "format": given}
    return CustomTool(
        f.text(inner, "name"),
        f.optional_text(inner, "description"),
        syntax,
        grammar,
        extras=aside({**f.rest(inner, _CUSTOM_MEMBERS), **beside}),
    )


def _web_search(options: JSONObject) -> WebSearchTool:
    location = f.optional_object(options, "user_location")
    kept = f.rest(options, _SEARCH_MEMBERS)
    where: JSONObject | None = None
    if location is not None:
        where = f.optional_object(location, "approximate")
        if where is None:
            where = {key: location[key] for key in _LOCATION_MEMBERS if key in location}
    return WebSearchTool(
        user_location=where,
        context_size=f.optional_text(options, "search_context_size"),
        extras=aside(kept),
    )


# --- writing ---------------------------------------------------------------------------------------------------


def write_tools(
    body: JSONObject,
    tools: Sequence[Tool],
    quirks: frozenset[str],
    capabilities: frozenset[str],
    losses: Losses,
) -> None:
    """Set `tools`, `functions` and `web_search_options`. Raises `UnsupportedFeature`."""
    written: list[JSON] = []
    functions: list[JSON] = []
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        match tool:
            case FunctionTool():
                entry = _write_function(tool, quirks, losses)
                (functions if own(tool.extras).get("_legacy") else written).append(entry)
            case CustomTool():
                written.append(_write_custom(tool, where, quirks, losses))
            case WebSearchTool() if tool.optional and "web_search" not in capabilities:
                losses.dropped("tools.web_search", "the model has no search of its own")
            case WebSearchTool():
                body["web_search_options"] = _write_search(tool, where, capabilities, losses)
            case ForeignTool() if tool.optional and tool.dialect != NAME:
                losses.dropped(f"tools.{tool.kind[:40]}", f"only {tool.dialect} has it")
            case ForeignTool():
                if tool.dialect != NAME:
                    raise UnsupportedFeature(
                        f"The tool '{tool.name}' of type '{tool.kind}' only exists at its own provider; "
                        "this model cannot be given it. Remove it, or choose a model of that provider.",
                        param=where,
                    )
                written.append(tool.raw)
    if (written or functions) and "tools" not in capabilities:
        raise UnsupportedFeature(
            "This model takes no tools. Choose one with the capability 'tools'.", param="tools"
        )
    if written:
        body["tools"] = written
    if functions:
        body["functions"] = functions


def _write_function(tool: FunctionTool, quirks: frozenset[str], losses: Losses) -> JSONObject:
    function: JSONObject = {"name": wire_name(tool.name)}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        if q.NO_STRICT in quirks:
            losses.dropped("tools.strict", "the model does not enforce schemas")
        else:
            function["strict"] = tool.strict
    function.update(wire_members(tool.extras))
    if own(tool.extras).get("_legacy"):
        return function
    return _outer("function", function, tool, quirks, losses)


def _write_custom(tool: CustomTool, where: str, quirks: frozenset[str], losses: Losses) -> JSONObject:
    if q.NO_CUSTOM_TOOLS in quirks:
        return _write_function(_stand_in(tool, where, losses), quirks, losses)
    custom: JSONObject = {"name": wire_name(tool.name)}
    if tool.description is not None:
        custom["description"] = tool.description
    if tool.grammar is not None:
        rules: JSONObject = {"syntax": tool.syntax or "lark", "definition": tool.grammar}
        custom["format"] = {"type": "grammar", "grammar": rules}
    custom.update(wire_members(tool.extras))
    return _outer("custom", custom, tool, quirks, losses)


def _stand_in(tool: CustomTool, where: str, losses: Losses) -> FunctionTool:
    """A function of one string, for a target that has no free-form tools."""
    losses.approximated(where, "a free-form tool became a function with one string")
    what = tool.description or ""
    if tool.grammar:
        what += f"\n\nThe input must match this {tool.syntax or ''} grammar:\n{tool.grammar}"
    text: JSONObject = {"type": "string", "description": "The whole input of the tool, as text."}
    parameters: JSONObject = {
        "type": "object",
        "properties": {CUSTOM_INPUT: text},
        "required": [CUSTOM_INPUT],
        "additionalProperties": False,
    }
    return FunctionTool(tool.name, what.strip() or None, parameters, cache=tool.cache)


def _outer(
    kind: str, inner: JSONObject, tool: FunctionTool | CustomTool, quirks: frozenset[str], losses: Losses
) -> JSONObject:
    mine = own(tool.extras)
    outer: JSONObject = {"type": kind, kind: inner}
    beside = mine.get("_tool")
    if isinstance(beside, dict):
        outer.update(beside)
    marked = mine.get("_cache_control")
    if isinstance(marked, dict):
        outer["cache_control"] = marked
    elif tool.cache is not None:
        if q.CACHE_CONTROL in quirks:
            outer["cache_control"] = cache_control(tool.cache)
        else:
            losses.cache_mark()
    losses.foreign_extras(tool.extras, "tools.")
    return outer


def cache_control(mark: CacheMark) -> JSONObject:
    """A mark in Anthropic's spelling, which OpenRouter and Alibaba take."""
    return {"type": "ephemeral"} if mark.ttl is None else {"type": "ephemeral", "ttl": mark.ttl}


def _write_search(
    tool: WebSearchTool, where: str, capabilities: frozenset[str], losses: Losses
) -> JSONObject:
    if "web_search" not in capabilities:
        raise UnsupportedFeature(
            "This model has no web search of its own. Choose one with the capability 'web_search'.",
            param=where,
        )
    for name, domains in (
        ("allowed_domains", tool.allowed_domains),
        ("blocked_domains", tool.blocked_domains),
    ):
        if domains:
            raise UnsupportedFeature(
                f"This model's web search cannot be restricted to domains; remove {name}.",
                param=f"{where}.{name}",
            )
    if tool.max_uses is not None:
        losses.dropped("tools.max_uses", "the provider decides how often to search")
    if tool.cache is not None:
        losses.cache_mark()
    losses.foreign_extras(tool.extras, "tools.")
    options: JSONObject = dict(wire_members(tool.extras))
    if tool.context_size is not None:
        options["search_context_size"] = tool.context_size
    if tool.user_location is not None:
        options["user_location"] = {"type": "approximate", "approximate": tool.user_location}
    return options
