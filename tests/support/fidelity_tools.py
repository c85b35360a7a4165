"""Probes of tools, and of how the model is to choose among them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from bytespike.core.request import ChatRequest
from bytespike.core.tools import CustomTool, ForeignTool, FunctionTool, WebSearchTool
from tests.support.fidelity import Asked, C, G, M, R
from tests.support.fidelity_words import (
    SCHEMA,
)

TOOL: dict[str, dict[str, Any]] = {
    M: {"tools": [{"name": "weather", "description": "Tells it.", "input_schema": SCHEMA}]},
    C: {
        "tools": [
            {
                "type": "function",
                "function": {"name": "weather", "description": "Tells it.", "parameters": SCHEMA},
            }
        ]
    },
    R: {
        "tools": [
            {
                "type": "function",
                "name": "weather",
                "description": "Tells it.",
                "parameters": SCHEMA,
                "strict": None,
            }
        ]
    },
    G: {
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "weather", "description": "Tells it.", "parametersJsonSchema": SCHEMA}
                ]
            }
        ]
    },
}


def function(request: ChatRequest) -> FunctionTool | None:
    return next((tool for tool in request.tools if isinstance(tool, FunctionTool)), None)


def with_tool(dialect: str, **members: Any) -> dict[str, Any]:
    """The tool twice, and members beside them."""
    one = json.dumps(TOOL[dialect]["tools"][0])
    two = one.replace("weather", "clock")
    if dialect == G:
        (first,) = json.loads(one)["functionDeclarations"]
        (second,) = json.loads(two)["functionDeclarations"]
        return {"tools": [{"functionDeclarations": [first, second]}], **members}
    return {"tools": [json.loads(one), json.loads(two)], **members}


def calling(mode: str, *names: str) -> dict[str, Any]:
    """Gemini's toolConfig."""
    told: dict[str, Any] = {"mode": mode}
    if names:
        told["allowedFunctionNames"] = list(names)
    return {"toolConfig": {"functionCallingConfig": told}}


def tools() -> Iterator[tuple[str, Asked]]:
    def defined(request: ChatRequest) -> bool:
        tool = function(request)
        return tool is not None and (tool.name, tool.description, tool.parameters) == (
            "weather",
            "Tells it.",
            SCHEMA,
        )

    def strict(request: ChatRequest) -> bool:
        tool = function(request)
        return tool is not None and tool.strict is True

    yield "tools", Asked(defined, TOOL)
    yield (
        "tool_strict",
        Asked(
            strict,
            {
                M: {"tools": [{**TOOL[M]["tools"][0], "strict": True}]},
                C: {
                    "tools": [
                        {
                            "type": "function",
                            "function": {**TOOL[C]["tools"][0]["function"], "strict": True},
                        }
                    ]
                },
                R: {"tools": [{**TOOL[R]["tools"][0], "strict": True}]},
            },
        ),
    )
    yield "tool_choice_auto", choosing("auto", {"type": "auto"}, "auto", "auto", calling("AUTO"))
    yield (
        "tool_choice_required",
        choosing("required", {"type": "any"}, "required", "required", calling("ANY")),
    )
    yield "tool_choice_none", choosing("none", {"type": "none"}, "none", "none", calling("NONE"))
    yield (
        "tool_choice_named",
        choosing(
            "named",
            {"type": "tool", "name": "clock"},
            {"type": "function", "function": {"name": "clock"}},
            {"type": "function", "name": "clock"},
            calling("ANY", "clock"),
        ),
    )
    allowed = [{"type": "function", "function": {"name": name}} for name in ("weather", "clock")]
    flat = [{"type": "function", "name": name} for name in ("weather", "clock")]
    third = json.loads(json.dumps(TOOL).replace("weather", "news"))

    def subset(request: ChatRequest) -> bool:
        choice = request.tool_choice
        if choice is None or choice.mode != "required":
            return False
        offered = {tool.name for tool in request.tools if isinstance(tool, FunctionTool)}
        return set(choice.names or offered) == {"weather", "clock"}

    yield (
        "tool_choice_allowed",
        Asked(
            subset,
            {
                C: {
                    "tools": [*with_tool(C)["tools"], *third[C]["tools"]],
                    "tool_choice": {
                        "type": "allowed_tools",
                        "allowed_tools": {"mode": "required", "tools": allowed},
                    },
                },
                R: {
                    "tools": [*with_tool(R)["tools"], *third[R]["tools"]],
                    "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": flat},
                },
                G: {
                    "tools": [*with_tool(G)["tools"], *third[G]["tools"]],
                    **calling("ANY", "weather", "clock"),
                },
            },
        ),
    )
    for value in (True, False):
        yield (
            "parallel_on" if value else "parallel_off",
            Asked(
                # Where nothing can be said, several calls are allowed.
                lambda request, value=value: (
                    (None if request.tool_choice is None else request.tool_choice.parallel)
                    in ((True, None) if value else (False,))
                ),
                {
                    M: with_tool(M, tool_choice={"type": "auto", "disable_parallel_tool_use": not value}),
                    C: with_tool(C, parallel_tool_calls=value),
                    R: with_tool(R, parallel_tool_calls=value),
                },
            ),
        )
    yield from custom_tools()
    yield from searches()
    yield (
        "own_tools",
        Asked(
            lambda request: any(isinstance(tool, ForeignTool) for tool in request.tools),
            {
                M: {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
                R: {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
                G: {"tools": [{"codeExecution": {}}]},
            },
        ),
    )


def choosing(mode: str, messages: Any, chat: Any, responses: Any, gemini: dict[str, Any]) -> Asked:
    def there(request: ChatRequest) -> bool:
        choice = request.tool_choice
        if choice is None:
            return mode == "auto"
        return choice.mode == mode and (mode != "named" or choice.names == ("clock",))

    return Asked(
        there,
        {
            M: with_tool(M, tool_choice=messages),
            C: with_tool(C, tool_choice=chat),
            R: with_tool(R, tool_choice=responses),
            G: with_tool(G, **gemini),
        },
    )


def custom_tools() -> Iterator[tuple[str, Asked]]:
    def custom(test: Callable[[CustomTool], bool]) -> Callable[[ChatRequest], bool]:
        return lambda request: any(isinstance(tool, CustomTool) and test(tool) for tool in request.tools)

    yield (
        "custom_tool",
        Asked(
            custom(lambda tool: tool.name == "sql"),
            {
                C: {"tools": [{"type": "custom", "custom": {"name": "sql", "description": "Runs it."}}]},
                R: {"tools": [{"type": "custom", "name": "sql", "description": "Runs it."}]},
            },
        ),
    )
    grammar = {"syntax": "regex", "definition": "[0-9]+"}
    yield (
        "custom_grammar",
        Asked(
            custom(lambda tool: (tool.syntax, tool.grammar) == ("regex", "[0-9]+")),
            {
                C: {
                    "tools": [
                        {
                            "type": "custom",
                            "custom": {"name": "n", "format": {"type": "grammar", "grammar": grammar}},
                        }
                    ]
                },
                R: {"tools": [{"type": "custom", "name": "n", "format": {"type": "grammar", **grammar}}]},
            },
        ),
    )


def searches() -> Iterator[tuple[str, Asked]]:
    def searching(test: Callable[[WebSearchTool], bool]) -> Callable[[ChatRequest], bool]:
        return lambda request: any(isinstance(tool, WebSearchTool) and test(tool) for tool in request.tools)

    search = {"type": "web_search_20250305", "name": "web_search"}
    yield (
        "web_search",
        Asked(
            searching(lambda tool: True),
            {
                M: {"tools": [search]},
                C: {"web_search_options": {}},
                R: {"tools": [{"type": "web_search"}]},
                G: {"tools": [{"googleSearch": {}}]},
            },
        ),
    )
    yield (
        "web_search_domains",
        Asked(
            searching(lambda tool: tool.allowed_domains == ("example.com",)),
            {
                M: {"tools": [{**search, "allowed_domains": ["example.com"]}]},
                R: {"tools": [{"type": "web_search", "filters": {"allowed_domains": ["example.com"]}}]},
            },
        ),
    )
    place = {"type": "approximate", "city": "Paris", "country": "FR"}
    yield (
        "web_search_place",
        Asked(
            searching(
                lambda tool: tool.user_location is not None and tool.user_location.get("city") == "Paris"
            ),
            {
                M: {"tools": [{**search, "user_location": place}]},
                C: {
                    "web_search_options": {
                        "user_location": {
                            "type": "approximate",
                            "approximate": {"city": "Paris", "country": "FR"},
                        }
                    }
                },
                R: {"tools": [{"type": "web_search", "user_location": place}]},
            },
        ),
    )
    yield (
        "web_search_uses",
        Asked(searching(lambda tool: tool.max_uses == 3), {M: {"tools": [{**search, "max_uses": 3}]}}),
    )
