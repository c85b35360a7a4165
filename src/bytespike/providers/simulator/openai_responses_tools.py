"""OpenAI Responses: the tools that a request offers, and which of them may be called.

From the SDK's `tool_param.py` and the types it names. The simulator calls functions, custom tools and those in
namespaces, and plays web search; other built-in tools are taken and never used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from bytespike.providers.simulator import tokens
from bytespike.providers.simulator.checks import Node
from bytespike.providers.simulator.openai_chat_strict import check_strict
from bytespike.providers.simulator.openai_responses_items import Item
from bytespike.providers.simulator.openai_words import NAME, object_schema, refuse, spelt
from bytespike.providers.simulator.prompt import Tool

_SEARCHES = (
    "web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11",
)  # fmt: skip
TYPES = (
    "function", "custom", "namespace", "tool_search", *_SEARCHES, "file_search", "code_interpreter", "mcp",
    "image_generation", "local_shell", "shell", "apply_patch", "computer", "computer_use_preview",
    "programmatic_tool_calling",
)  # fmt: skip
_FUNCTION = frozenset(
    {
        "type", "name", "description", "parameters", "strict", "defer_loading", "allowed_callers", "output_schema",
        "async",
    }
)  # fmt: skip
_CUSTOM = frozenset({"type", "name", "description", "format", "defer_loading", "allowed_callers", "async"})
_NAMESPACE = frozenset({"type", "name", "description", "tools"})
_SEARCH = frozenset(
    {"type", "filters", "search_context_size", "user_location", "external_web_access", "search_content_types"}
)
_CHOICES = (
    "function", "custom", "allowed_tools", "mcp", "apply_patch", "shell", "programmatic_tool_calling", "file_search",
    *_SEARCHES, "computer", "computer_use_preview", "computer_use", "image_generation", "code_interpreter",
)  # fmt: skip


class Offered(Struct, frozen=True):
    """What may be called: the caller's `tools`, whether one must be, and web search: "no", "offered", "always"."""

    tools: tuple[Tool, ...]
    forced: bool
    searches: bool
    must_search: bool
    token_count: int


def read_tools(node: Node, items: Sequence[Item]) -> Offered:
    """The tools of a request, with those that its items add. Raises `Problem`, `Fault`."""
    nodes = [*node.optional_objects("tools"), *_added(items)]
    tools = tuple(tool for found in nodes for tool in _tool(found))
    searches = any(found.value.get("type") in _SEARCHES for found in nodes)
    chosen, forced, must_search = _choice(node, tools, nodes)
    return Offered(chosen, forced, searches, must_search, sum(_token_count(found) for found in nodes))


def _added(items: Iterable[Item]) -> Iterator[Node]:
    for item in items:
        if item.kind in ("additional_tools", "tool_search_output"):
            yield from item.node.objects("tools")


def _tool(node: Node) -> Iterator[Tool]:
    kind = node.one_of("type", TYPES)
    if kind == "namespace":
        node.only(_NAMESPACE)
        name = _name(node)
        node.text("description")
        for inner in node.objects("tools"):
            inner.one_of("type", ("function", "custom"))
            yield _own(inner, name)
    elif kind in ("function", "custom"):
        yield _own(node, "")
    elif kind in _SEARCHES:
        node.only(_SEARCH)
        node.optional_one_of("search_context_size", ("low", "medium", "high"))
        filters = node.optional_object("filters")
        if filters is not None:
            filters.only(("allowed_domains", "blocked_domains"))
            filters.texts("allowed_domains")


def _own(node: Node, namespace: str) -> Tool:
    """A function or a custom tool."""
    kind = node.text("type")
    name = _name(node)
    node.only(_FUNCTION if kind == "function" else _CUSTOM)
    node.optional_text("description")
    deferred = node.flag("defer_loading") is True
    if kind == "custom":
        form = node.optional_object("format")
        if form is not None and form.one_of("type", ("text", "grammar")) == "grammar":
            form.one_of("syntax", ("lark", "regex"))
            form.text("definition")
        return Tool(name, free_form=True, namespace=namespace, deferred=deferred)
    parameters = node.optional_object("parameters")
    schema = parameters.value if parameters is not None else None
    where = spelt((*node.path, "parameters"))
    object_schema(schema, name, where)
    if node.flag("strict") and schema is not None:
        check_strict(schema, f"function '{name}'", where, "invalid_function_parameters")
    return Tool(name, schema, namespace=namespace, deferred=deferred)


def _name(node: Node) -> str:
    name = node.text("name")
    if NAME.fullmatch(name) is None:
        where = spelt((*node.path, "name"))
        raise refuse(
            f"Invalid '{where}': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'.",
            where,
            "invalid_value",
        )
    return name


def _choice(
    node: Node, offered: tuple[Tool, ...], nodes: Sequence[Node]
) -> tuple[tuple[Tool, ...], bool, bool]:
    """The tools that may be called, whether one must be, and whether a search must be done."""
    if isinstance(node.value.get("tool_choice"), str):
        mode = node.one_of("tool_choice", ("none", "auto", "required"))
        return (() if mode == "none" else offered), mode == "required", False
    choice = node.optional_object("tool_choice")
    if choice is None:
        return offered, False, False
    kind = choice.one_of("type", _CHOICES)
    if kind == "allowed_tools":
        mode = choice.one_of("mode", ("auto", "required"))
        names = {tool.optional_text("name") for tool in choice.objects("tools")}
        allowed = tuple(tool for tool in offered if tool.name in names or tool.namespace in names)
        return allowed, mode == "required", False
    if kind in ("function", "custom"):
        name = choice.text("name")
        named = tuple(tool for tool in offered if tool.name == name and tool.free_form == (kind == "custom"))
        if not named:
            raise refuse(f"Tool choice '{kind}' not found in 'tools' parameter.", "tool_choice")
        return named, True, False
    if all(found.value.get("type") != kind for found in nodes):
        raise refuse(f"Tool choice '{kind}' not found in 'tools' parameter.", "tool_choice")
    return offered, False, kind in _SEARCHES


def _token_count(node: Node) -> int:
    """Name, description and compact schema; of a namespace, those of its tools besides."""
    name, description = node.value.get("name"), node.value.get("description")
    total = tokens.count(name) if isinstance(name, str) else 0
    total += tokens.count(description) if isinstance(description, str) else 0
    schema = node.value.get("parameters", node.value.get("format"))
    total += tokens.count_bytes(msgspec.json.encode(schema)) if schema is not None else 0
    if node.value.get("type") == "namespace":
        total += sum(_token_count(inner) for inner in node.objects("tools"))
    return total
