"""Tool definitions and tool choice, both ways.

Wire facts: `ToolUnionParam`, `BetaToolUnionParam` and `ToolChoiceParam` of the official SDK. A tool without a type, or
of type "custom", is the caller's own; `web_search_<date>` is the provider's search; every other type is a tool that
only Anthropic knows.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from bytespike.core import tools as t
from bytespike.core.dialect import Target
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.anthropic_messages.blocks_write import Block, cache_control
from bytespike.protocols.anthropic_messages.fields import (
    SPELLING,
    Fields,
    cache_and_rest,
    extras_of,
    own_extras,
    spelling,
)
from bytespike.protocols.anthropic_messages.names import NAME, wire_name
from bytespike.protocols.anthropic_messages.tool_ids import CUSTOM_INPUT

WEB_SEARCH_PREFIX = "web_search_"
#: The search tool for requests that come from another dialect: the version that every current model takes.
WEB_SEARCH_TYPE = "web_search_20250305"

_FUNCTION = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})
_SEARCH = frozenset(
    {"type", "name", "max_uses", "allowed_domains", "blocked_domains", "user_location", "cache_control"}
)
#: The member of a request that has its MCP servers; it is kept among the request's extras.
MCP_SERVERS = "mcp_servers"
_MCP_TOOLSET = "mcp_toolset"
#: Of the servers' names, as an error tells them.
_NAMES_CHARS_MAX = 100
_CHOICE = frozenset({"type", "name", "disable_parallel_tool_use"})
_Mode: TypeAlias = Literal["auto", "none", "required", "named"]
_MODES: dict[str, _Mode] = {"auto": "auto", "any": "required", "none": "none", "tool": "named"}
_CHOICE_TYPES = {mode: type_ for type_, mode in _MODES.items()}


def read_tool(tool: Fields) -> t.Tool:
    """Raises `WireError`."""
    type_ = tool.optional_string("type")
    if type_ is None or type_ == "custom":
        cache, rest = cache_and_rest(tool, _FUNCTION)
        return t.FunctionTool(
            tool.string("name"),
            tool.optional_string("description"),
            tool.object("input_schema").obj,
            tool.optional_boolean("strict"),
            cache,
            extras_of(rest),
        )
    if type_.startswith(WEB_SEARCH_PREFIX):
        return _read_search(tool)
    cache, _ = cache_and_rest(tool, frozenset({"cache_control"}))
    return t.ForeignTool(NAME, type_, tool.optional_string("name") or "", tool.obj, cache)


def read_servers(servers: JSON, tools: tuple[t.Tool, ...]) -> tuple[t.Tool, ...]:
    """The tools, and one that stands for MCP servers which no toolset names: the API's first form of them, in which a
    server alone offers its tools. So whoever has no such servers knows of it."""
    if not isinstance(servers, list) or not servers:
        return tools
    if any(isinstance(tool, t.ForeignTool) and tool.kind == _MCP_TOOLSET for tool in tools):
        return tools
    names = [str(server.get("name")) for server in servers if isinstance(server, dict)]
    return (*tools, t.ForeignTool(NAME, MCP_SERVERS, ", ".join(names)[:_NAMES_CHARS_MAX], {}))


def _read_search(tool: Fields) -> t.WebSearchTool:
    cache, rest = cache_and_rest(tool, _SEARCH)
    rest[SPELLING] = tool.string("type")
    location = tool.optional_object("user_location")
    place: JSONObject | None = None
    if location is not None:
        place = {key: value for key, value in location.obj.items() if key != "type" and value is not None}
    return t.WebSearchTool(
        max_uses=tool.optional_integer("max_uses"),
        allowed_domains=tool.optional_strings("allowed_domains"),
        blocked_domains=tool.optional_strings("blocked_domains"),
        user_location=place,
        cache=cache,
        extras=extras_of(rest),
    )


def read_tool_choice(choice: Fields) -> t.ToolChoice:
    """Raises `WireError`."""
    mode = _MODES.get(choice.string("type"))
    if mode is None:
        raise choice.wrong("type", "Input should be 'auto', 'any', 'tool' or 'none'")
    serial = choice.optional_boolean("disable_parallel_tool_use")
    return t.ToolChoice(
        mode=mode,
        names=(choice.string("name"),) if mode == "named" else (),
        parallel=None if serial is None else not serial,
        extras=extras_of(choice.rest(_CHOICE)),
    )


def write_tools(tools: tuple[t.Tool, ...], target: Target, losses: Losses) -> list[Block]:
    """Raises `UnsupportedFeature` for tools that the target or Anthropic does not have."""
    if tools and "tools" not in target.capabilities:
        raise UnsupportedFeature("tools: this model cannot call tools", param="tools")
    written = [_write_tool(tool, f"tools.{i}", target, losses) for i, tool in enumerate(tools)]
    return [block for block in written if block is not None]


def _write_tool(tool: t.Tool, path: str, target: Target, losses: Losses) -> Block | None:
    """None for an extra of another provider's, which the request can do without, and for what is no member of `tools`."""
    match tool:
        case t.FunctionTool():
            block = _function(tool, target, losses)
        case t.CustomTool():
            block = _custom(tool, path, losses)
        case t.WebSearchTool():
            if "web_search" not in target.capabilities and tool.optional:
                losses.dropped("tools.web_search", "the model has no web search")
                return None
            if "web_search" not in target.capabilities:
                raise UnsupportedFeature(f"{path}: this model has no web search", param=path)
            block = _search(tool, losses)
        case t.ForeignTool():
            if tool.dialect != NAME and tool.optional:
                losses.dropped(f"tools.{tool.kind[:40]}", f"only {tool.dialect} has it")
                return None
            if tool.dialect != NAME:
                raise UnsupportedFeature(
                    f"{path}: Claude models have no tool of type {tool.kind[:60]}", param=path
                )
            return None if tool.kind == MCP_SERVERS else dict(tool.raw)
    if tool.cache is not None:
        block["cache_control"] = cache_control(tool.cache, losses)
    losses.foreign_extras(tool.extras, "tools.")
    return block | own_extras(tool.extras)


def _function(tool: t.FunctionTool, target: Target, losses: Losses) -> Block:
    block: Block = {"name": wire_name(tool.name)}
    if tool.description is not None:
        block["description"] = tool.description
    block["input_schema"] = _object_schema(tool.parameters)
    if tool.strict is not None:
        if "json_schema" in target.capabilities:
            block["strict"] = tool.strict
        elif tool.strict:
            losses.dropped("tools.strict", "the model cannot enforce schemas")
    return block


def _object_schema(parameters: JSONObject | None) -> JSONObject:
    """`input_schema` must say that it is an object; other dialects let it be left out."""
    if parameters is None:
        return {"type": "object", "properties": {}}
    return parameters if "type" in parameters else {"type": "object", **parameters}


def _custom(tool: t.CustomTool, path: str, losses: Losses) -> Block:
    losses.approximated(path, "a free-form tool became a function with one string")
    what = tool.description or ""
    if tool.grammar:
        what += f"\n\nThe input must match this {tool.syntax or ''} grammar:\n{tool.grammar}"
    block: Block = {"name": wire_name(tool.name)}
    if what.strip():
        block["description"] = what.strip()
    block["input_schema"] = {
        "type": "object",
        "properties": {
            CUSTOM_INPUT: {"type": "string", "description": "The whole input of the tool, as text."}
        },
        "required": [CUSTOM_INPUT],
        "additionalProperties": False,
    }
    return block


def _search(tool: t.WebSearchTool, losses: Losses) -> Block:
    block: Block = {"type": spelling(tool.extras) or WEB_SEARCH_TYPE, "name": "web_search"}
    if tool.max_uses is not None:
        block["max_uses"] = tool.max_uses
    if tool.allowed_domains is not None:
        block["allowed_domains"] = list(tool.allowed_domains)
    if tool.blocked_domains is not None:
        block["blocked_domains"] = list(tool.blocked_domains)
    if tool.user_location is not None:
        block["user_location"] = {"type": "approximate", **tool.user_location}
    if tool.context_size is not None:
        losses.dropped("web_search.search_context_size", "Anthropic has no such setting")
    return block


def allowed_subset(tools: tuple[t.Tool, ...], choice: t.ToolChoice | None) -> tuple[t.Tool, ...]:
    """OpenAI's allowed tools: Anthropic has no such choice, so the others are not offered at all."""
    if choice is None or choice.mode not in ("auto", "required") or not choice.names:
        return tools
    return tuple(tool for tool in tools if tool_name(tool) in choice.names)


def tool_name(tool: t.Tool) -> str:
    return "web_search" if isinstance(tool, t.WebSearchTool) else tool.name


def write_tool_choice(choice: t.ToolChoice) -> Block | None:
    """None where the choice says nothing that is not the default."""
    mode = choice.mode
    if mode is None:
        if choice.parallel is None:
            return None
        mode = "auto"
    block: Block = {"type": _CHOICE_TYPES[mode]}
    if mode == "named":
        block["name"] = wire_name(choice.names[0]) if choice.names else ""
    if choice.parallel is not None and mode != "none":
        block["disable_parallel_tool_use"] = not choice.parallel
    return block | own_extras(choice.extras)


def stand_in_tools(names: list[str]) -> tuple[t.Tool, ...]:
    """Definitions for tools that a history speaks of and the request no longer offers: Anthropic wants every request
    with tool blocks to define tools. They go with a choice of "none", so that the model cannot call them."""
    return tuple(t.FunctionTool(name) for name in dict.fromkeys(names))
