"""Tool definitions, both ways.

`function` and `custom` are the caller's own; a `namespace` groups such (see `tool_names`); `web_search` and its dated and
preview versions search at the provider. Every other type is a tool that only OpenAI knows.

A tool that runs at the provider may be an extra: an agent offers search or image generation beside its own tools, and
gets its work done without them. Then it is marked `optional`, and a target that lacks it leaves it out with a notice. A
request whose only tools run at the provider, or that forces one, is about that tool: it is refused where the tool is
lacking. Tools that the client itself runs (shell, apply_patch, computer) and those that hold the caller's data
(file_search, mcp) are never extras.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bytespike.core.dialect import Target
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.tools import CustomTool, ForeignTool, FunctionTool, Tool, WebSearchTool
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.openai_responses import quirks as q
from bytespike.protocols.openai_responses.names import (
    NAME,
    aside,
    noted,
    own,
    wire_members,
    wire_name,
)
from bytespike.protocols.openai_responses.tool_names import ToolNames
from bytespike.wire import fields as f

WEB_SEARCH_PREFIX: Final = "web_search"
_FUNCTION: Final = frozenset({"type", "name", "description", "parameters", "strict"})
_CUSTOM: Final = frozenset({"type", "name", "description", "format"})
_SEARCH: Final = frozenset({"type", "filters", "search_context_size", "user_location"})
_FILTERS: Final = frozenset({"allowed_domains", "blocked_domains"})
_EXTRAS_OF_AGENTS: Final = frozenset(
    {"image_generation", "code_interpreter", "tool_search", "programmatic_tool_calling"}
)
#: A choice of any other type forces a tool that runs at the provider.
_UNFORCED: Final = frozenset({"function", "custom", "allowed_tools"})

# --- reading ---------------------------------------------------------------------------------------------------


def read_tools(values: Sequence[JSON], choice: JSON, names: ToolNames, key: str = "tools") -> list[Tool]:
    """`choice`: the request's `tool_choice`. Raises `Wrong` under `key`."""
    found = f.objects([*values], key)
    kind = choice.get("type") if isinstance(choice, dict) else None
    forced = isinstance(kind, str) and kind not in _UNFORCED
    extra = not forced and any(tool.get("type") in ("function", "custom", "namespace") for tool in found)
    tools: list[Tool] = []
    for index, tool in enumerate(found):
        try:
            tools.extend(_tool(tool, names, extra))
        except f.Wrong as wrong:
            raise wrong.under(key, index) from None
    return tools


def _tool(tool: JSONObject, names: ToolNames, extra: bool) -> list[Tool]:
    kind = f.text(tool, "type")
    if kind == "namespace":
        return _namespace(tool, names)
    if kind == "function":
        return [_function(tool, {})]
    if kind == "custom":
        return [_custom(tool, {})]
    if kind.startswith(WEB_SEARCH_PREFIX):
        return [_search(tool, kind, extra)]
    name = tool.get("name")
    return [
        ForeignTool(
            NAME,
            kind,
            name if isinstance(name, str) else kind,
            tool,
            optional=extra and kind in _EXTRAS_OF_AGENTS,
        )
    ]


def _namespace(tool: JSONObject, names: ToolNames) -> list[Tool]:
    namespace = f.text(tool, "name")
    about = f.optional_text(tool, "description")
    tools: list[Tool] = []
    for index, inner in enumerate(f.objects(f.array_at(tool, "tools"), "tools")):
        try:
            kind = f.text(inner, "type")
            if kind not in ("function", "custom"):
                raise f.Wrong("must be 'function' or 'custom'", "type")
            name = f.text(inner, "name")
            note: JSONObject = {
                "_namespace": {"name": namespace, "description": about, "tool": name},
                "_description": inner.get("description"),
            }
            flat: JSONObject = {**inner, "name": names.flat(namespace, name)}
            if index == 0 and about:
                flat["description"] = _about(namespace, about, f.optional_text(inner, "description"))
            tools.append(_function(flat, note) if kind == "function" else _custom(flat, note))
        except f.Wrong as wrong:
            raise wrong.under("tools", index) from None
    return tools


def _about(namespace: str, about: str, description: str | None) -> str:
    """What is said of the group stands with its first tool: the model must know it, and need not read it twice."""
    head = f"[Tools of {namespace}: {about}]"
    return f"{head}\n\n{description}" if description else head


def _function(tool: JSONObject, note: JSONObject) -> FunctionTool:
    # An absent `strict` is not the same as false here: the API then enforces the schema where it can.
    return FunctionTool(
        f.text(tool, "name"),
        f.optional_text(tool, "description"),
        f.optional_object(tool, "parameters"),
        f.optional_flag(tool, "strict"),
        extras=aside({**f.rest(tool, _FUNCTION), **note, "_type": "function"}),
    )


def _custom(tool: JSONObject, note: JSONObject) -> CustomTool:
    syntax: str | None = None
    grammar: str | None = None
    given = f.optional_object(tool, "format")
    if given is not None and given.get("type") == "grammar":
        try:
            syntax, grammar = f.text(given, "syntax"), f.text(given, "definition")
        except f.Wrong as wrong:
            raise wrong.under("format") from None
    elif given is not None:
        note = {**note, "_format": given}
    return CustomTool(
        f.text(tool, "name"),
        f.optional_text(tool, "description"),
        syntax,
        grammar,
        extras=aside({**f.rest(tool, _CUSTOM), **note}),
    )


def _search(tool: JSONObject, kind: str, extra: bool) -> WebSearchTool:
    filters = f.optional_object(tool, "filters") or {}
    location = f.optional_object(tool, "user_location")
    place: JSONObject | None = None
    if location is not None:
        place = {key: value for key, value in location.items() if key != "type" and value is not None}
    note: JSONObject = {**f.rest(tool, _SEARCH), "_type": kind}
    rest = f.rest(filters, _FILTERS)
    if rest:
        note["filters"] = rest
    try:
        allowed, blocked = _domains(filters, "allowed_domains"), _domains(filters, "blocked_domains")
    except f.Wrong as wrong:
        raise wrong.under("filters") from None
    # Whether only the provider's cache is searched is between the client and OpenAI.
    if "external_web_access" in note:
        note["_access"] = note.pop("external_web_access")
    return WebSearchTool(
        allowed_domains=allowed,
        blocked_domains=blocked,
        user_location=place,
        context_size=f.optional_text(tool, "search_context_size"),
        optional=extra,
        extras=aside(note),
    )


def _domains(filters: JSONObject, key: str) -> tuple[str, ...] | None:
    return f.texts(filters, key) if filters.get(key) is not None else None


# --- writing ---------------------------------------------------------------------------------------------------


def write_tools(tools: Sequence[Tool], target: Target, losses: Losses) -> list[JSON]:
    """The `tools` of a request. Raises `UnsupportedFeature`."""
    written: list[JSON] = []
    groups: dict[str, list[JSON]] = {}
    for index, tool in enumerate(tools):
        entry = _write(tool, f"tools[{index}]", target, losses)
        if entry is None:
            continue
        group = {} if isinstance(tool, (WebSearchTool, ForeignTool)) else noted(tool.extras, "_namespace")
        if not group:
            written.append(entry)
            continue
        entry["name"] = group["tool"]
        described = (
            own(tool.extras).get("_description")
            if not isinstance(tool, (WebSearchTool, ForeignTool))
            else None
        )
        entry.pop("description", None)
        if described is not None:
            entry["description"] = described
        name = str(group["name"])
        if name not in groups:
            groups[name] = []
            head: JSONObject = {"type": "namespace", "name": name, "description": group["description"] or ""}
            written.append({**head, "tools": groups[name]})
        groups[name].append(entry)
    if written and "tools" not in target.capabilities:
        raise UnsupportedFeature(
            "This model takes no tools. Choose one with the capability 'tools'.", param="tools"
        )
    return written


def _write(tool: Tool, where: str, target: Target, losses: Losses) -> JSONObject | None:
    match tool:
        case FunctionTool():
            entry = _write_function(tool)
        case CustomTool():
            if q.NO_CUSTOM_TOOLS in target.quirks:
                raise UnsupportedFeature(
                    f"The free-form tool '{tool.name}' needs a model that takes tools of type 'custom'.",
                    param=where,
                )
            entry = _write_custom(tool)
        case WebSearchTool():
            if "web_search" not in target.capabilities:
                if tool.optional:
                    losses.dropped("tools.web_search", "the model has no search of its own")
                    return None
                raise UnsupportedFeature(
                    "This model has no web search of its own. Choose one with the capability 'web_search'.",
                    param=where,
                )
            entry = _write_search(tool, losses)
        case ForeignTool():
            if tool.dialect == NAME:
                return dict(tool.raw)
            if tool.optional:
                losses.dropped(f"tools.{tool.kind[:40]}", f"only {tool.dialect} has it")
                return None
            raise UnsupportedFeature(
                f"The tool '{tool.name}' of type '{tool.kind}' only exists at its own provider; "
                "this model cannot be given it. Remove it, or choose a model of that provider.",
                param=where,
            )
    if tool.cache is not None:
        losses.cache_mark()
    losses.foreign_extras(tool.extras, "tools.")
    return entry


def _write_function(tool: FunctionTool) -> JSONObject:
    entry: JSONObject = {"type": "function", "name": wire_name(tool.name)}
    if tool.description is not None:
        entry["description"] = tool.description
    # Without parameters the API takes null, which means none.
    entry["parameters"] = tool.parameters
    # Elsewhere an absent `strict` means that nothing is enforced; here it would mean the opposite.
    entry["strict"] = tool.strict if tool.strict is not None or NAME in tool.extras else False
    entry.update(wire_members(tool.extras))
    return entry


def _write_custom(tool: CustomTool) -> JSONObject:
    entry: JSONObject = {"type": "custom", "name": wire_name(tool.name)}
    if tool.description is not None:
        entry["description"] = tool.description
    form = own(tool.extras).get("_format")
    if tool.grammar is not None:
        entry["format"] = {"type": "grammar", "syntax": tool.syntax or "lark", "definition": tool.grammar}
    elif isinstance(form, dict):
        entry["format"] = form
    entry.update(wire_members(tool.extras))
    return entry


def _write_search(tool: WebSearchTool, losses: Losses) -> JSONObject:
    told = own(tool.extras)
    entry: JSONObject = {"type": told.get("_type") or "web_search"}
    filters: JSONObject = dict(noted(tool.extras, "filters"))
    for key, domains in (
        ("allowed_domains", tool.allowed_domains),
        ("blocked_domains", tool.blocked_domains),
    ):
        if domains is not None:
            filters[key] = [*domains]
    if tool.context_size is not None:
        entry["search_context_size"] = tool.context_size
    if tool.user_location is not None:
        entry["user_location"] = {"type": "approximate", **tool.user_location}
    if "_access" in told:
        entry["external_web_access"] = told["_access"]
    if tool.max_uses is not None:
        losses.dropped("tools.max_uses", "the provider decides how often to search")
    entry.update(wire_members(tool.extras))
    if filters:
        entry["filters"] = filters
    return entry
