"""Tool definitions and how the model is to choose among them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from bytespike.core.content import CacheMark
from bytespike.core.json_types import NO_EXTRAS, Extras, JSONObject


class FunctionTool(Struct, frozen=True):
    """A tool that the caller runs. `parameters` is a JSON Schema; None means that the tool takes no arguments.

    `strict` asks the provider to enforce the schema (None: not said).
    """

    name: str
    description: str | None = None
    parameters: JSONObject | None = None
    strict: bool | None = None
    cache: CacheMark | None = None
    extras: Extras = NO_EXTRAS


class CustomTool(Struct, frozen=True):
    """A tool whose input is free text, optionally bound by a grammar (`syntax` "lark" or "regex")."""

    name: str
    description: str | None = None
    syntax: str | None = None
    grammar: str | None = None
    cache: CacheMark | None = None
    extras: Extras = NO_EXTRAS


class WebSearchTool(Struct, frozen=True):
    """Web search that runs at the provider. `kind` is the dialect's own versioned type name, kept in extras' place.

    `user_location`: the fields city, region, country, timezone, as far as they were given. `optional`: as in
    `ForeignTool`.
    """

    max_uses: int | None = None
    allowed_domains: tuple[str, ...] | None = None
    blocked_domains: tuple[str, ...] | None = None
    user_location: JSONObject | None = None
    context_size: str | None = None
    cache: CacheMark | None = None
    extras: Extras = NO_EXTRAS
    optional: bool = False


class ForeignTool(Struct, frozen=True):
    """A tool of a type that only its own dialect knows (bash, computer use, code execution, ...).

    `optional`: the request makes sense without it (an agent's toolbox offers it as an extra), so a target that lacks it
    leaves it out with a notice; any other is refused.
    """

    dialect: str
    kind: str
    name: str
    raw: JSONObject
    cache: CacheMark | None = None
    optional: bool = False


Tool: TypeAlias = FunctionTool | CustomTool | WebSearchTool | ForeignTool


class ToolChoice(Struct, frozen=True):
    """`mode`: "auto", "none", "required" (any tool) or "named". `names`: the one named tool, or for auto/required
    the allowed subset (OpenAI's allowed_tools; empty: all). `parallel` False allows one call at most (None: not said).
    """

    mode: Literal["auto", "none", "required", "named"] | None = None
    names: tuple[str, ...] = ()
    kind: Literal["function", "custom"] = "function"
    parallel: bool | None = None
    extras: Extras = NO_EXTRAS
