"""Gemini: reading a request as strictly as the API does.

Sources: the SDK's types, the API's documentation, recorded requests and errors. What depends on a model is left to the
model's owner, but for thought signatures (`gemini_contents`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator import directives, tokens
from bytespike.providers.simulator import gemini_contents as contents_of
from bytespike.providers.simulator.checks import Node
from bytespike.providers.simulator.directives import Directives
from bytespike.providers.simulator.exchange import Fault, World
from bytespike.providers.simulator.gemini_contents import Content, Part
from bytespike.providers.simulator.gemini_errors import invalid, refuse, unreadable
from bytespike.providers.simulator.gemini_proto import API
from bytespike.providers.simulator.prefix_cache import NO_CACHING, Bill, bill
from bytespike.providers.simulator.prompt import Line, Prompt, Tool
from bytespike.providers.simulator.proto_json import Violation

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
CANDIDATES_MAX = 8
STOPS_MAX = 5
LOGPROBS_MAX = 20
JSON_TYPE = "application/json"
ENUM_TYPE = "text/x.enum"
MIME_TYPES = ("text/plain", JSON_TYPE, ENUM_TYPE, "application/xml", "application/yaml")
_RANGES = (("temperature", 0.0, 2.0), ("top_p", 0.0, 1.0), ("presence_penalty", -2.0, 2.0),
           ("frequency_penalty", -2.0, 2.0))  # fmt: skip
_TYPES = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"})


class Asked(Struct, frozen=True):
    """A request that keeps the rules. `candidates`: how many answers. `shows_thoughts`: thoughts come as parts of their
    own. `logprobs`: how many alternatives, None for no log probabilities. `plain_enum`: a bare word, not JSON."""

    prompt: Prompt
    sim: Directives
    bill: Bill
    candidates: int
    shows_thoughts: bool
    logprobs: int | None
    plain_enum: bool


def read_request(body: JSONObject, headers: Mapping[str, str], model: str, world: World) -> Asked:
    """A checked GenerateContentRequest. Raises `Fault`, `BadDirective`."""
    try:
        node = Node(API.read("GenerateContentRequest", body))
    except Violation as violation:
        raise unreadable(violation) from None
    return _read(node, headers.get(directives.HEADER), model, world)


def read_count(body: JSONObject, headers: Mapping[str, str], model: str, world: World) -> Asked:
    """The same of a CountTokensRequest, which holds contents or a whole request. Raises `Fault`, `BadDirective`."""
    try:
        node = Node(API.read("CountTokensRequest", body))
    except Violation as violation:
        raise unreadable(violation) from None
    whole = node.optional_object("generateContentRequest")
    if whole is not None and node.has("contents"):
        raise refuse(
            "Invalid input: contents and generate_content_request are mutually exclusive. Please set only one of them."
        )
    return _read(whole if whole is not None else node, headers.get(directives.HEADER), model, world)


def _read(node: Node, header: str | None, model: str, world: World) -> Asked:
    contents = contents_of.read_contents(node, model, world.seed)
    instruction = contents_of.read_instruction(node)
    if node.has("cachedContent"):
        raise Fault(403, "CachedContent not found (or permission denied)")
    current = contents_of.latest(contents)
    given = contents_of.results(contents)
    parts = [part for content in current for part in content.parts]
    sim = directives.resolve(world.defaults, header, (part.text for part in parts), bool(given))
    config = node.optional_object("generationConfig") or Node({})
    _check_config(config)
    declared = _declared(node)
    tools, forced = _allowed(node, tuple(declared))
    counted = _count(node, instruction, contents)
    thinks, budget, shows = _thinking(config)
    return Asked(
        prompt=Prompt(
            model=model,
            text=directives.split(" ".join(part.text for part in parts if part.kind == "text" and part.text))[
                0
            ],
            turns=len(contents),
            input_tokens=counted,
            tools=tools,
            forced=forced,
            results=given,
            thinks=thinks,
            thinking_budget=budget,
            search=_searching(node),
            schema=_schema(config),
            json_object=config.value.get("responseMimeType") == JSON_TYPE,
            max_tokens=config.optional_integer("maxOutputTokens", 1),
            stops=config.texts("stopSequences"),
            images=tuple(part.image for part in parts if part.image),
            documents=tuple(
                part.document for content in contents for part in content.parts if part.document is not None
            ),
            history=(*(Line("system", part.text) for part in instruction), *contents_of.history(contents)),
        ),
        sim=sim,
        bill=bill(counted, NO_CACHING, sim),
        candidates=config.optional_integer("candidateCount", 1) or 1,
        shows_thoughts=shows or sim.thinking is not None,
        logprobs=(config.optional_integer("logprobs", 0) or 0) if config.flag("responseLogprobs") else None,
        plain_enum=config.value.get("responseMimeType") == ENUM_TYPE,
    )


# --- settings --------------------------------------------------------------------------------------------------


def _check_config(config: Node) -> None:
    """Bounds and combinations. Raises `Fault`."""
    for name, least, most in _RANGES:
        value = config.value.get(_camel(name))
        if isinstance(value, int | float) and not least <= value <= most:
            raise invalid(f"generation_config.{name}", f"{name} must be in the range [{least}, {most}].")
    for name, least, most in (
        ("candidate_count", 1, CANDIDATES_MAX),
        ("max_output_tokens", 1, 2**31),
        ("logprobs", 0, LOGPROBS_MAX),
    ):
        value = config.value.get(_camel(name))
        if isinstance(value, int) and not least <= value <= most:
            raise invalid(f"generation_config.{name}", f"{name} must be in the range [{least}, {most}].")
    if len(config.texts("stopSequences")) > STOPS_MAX:
        raise invalid("generation_config.stop_sequences", f"at most {STOPS_MAX} stop sequences are allowed")
    if config.has("logprobs") and not config.flag("responseLogprobs"):
        raise refuse("Logprobs is only allowed when response_logprobs is true.")
    _check_format(config)


def _check_format(config: Node) -> None:
    mime_type = config.optional_text("responseMimeType") or "text/plain"
    if mime_type not in MIME_TYPES:
        raise invalid(
            "generation_config.response_mime_type", f"allowed mimetypes are {', '.join(MIME_TYPES)}."
        )
    schemas = [name for name in ("responseSchema", "responseJsonSchema") if config.has(name)]
    if len(schemas) > 1:
        raise refuse("Only one of response_schema and response_json_schema may be set.")
    if schemas and mime_type not in (JSON_TYPE, ENUM_TYPE):
        raise invalid(
            "generation_config.response_mime_type",
            f"{schemas[0]} needs a response_mime_type of '{JSON_TYPE}' or '{ENUM_TYPE}'.",
        )
    if schemas and not isinstance(config.value[schemas[0]], dict):
        raise invalid("generation_config.response_json_schema", "must be an object")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _thinking(config: Node) -> tuple[bool, int | None, bool]:
    """Whether to think, within which budget, and whether to show the thoughts."""
    thinking = config.optional_object("thinkingConfig")
    if thinking is None:
        return False, None, False
    if thinking.has("thinkingBudget") and thinking.has("thinkingLevel"):
        raise refuse("You can only set only one of thinking budget and thinking level.")
    budget = thinking.value.get("thinkingBudget")
    if isinstance(budget, int) and budget < -1:
        raise invalid("generation_config.thinking_config.thinking_budget", "must be -1, 0 or more")
    shows = thinking.flag("includeThoughts") is True
    if budget == 0:
        if shows:
            raise refuse("Unable to include thoughts when thinking is disabled.")
        return False, None, False
    wanted = shows or budget is not None or thinking.has("thinkingLevel")
    return wanted, budget if isinstance(budget, int) and budget > 0 else None, shows


def _schema(config: Node) -> JSONObject | None:
    for name in ("responseSchema", "responseJsonSchema"):
        schema = config.optional_object(name)
        if schema is not None:
            return json_schema(schema.value)
    return None


# --- tools -----------------------------------------------------------------------------------------------------


def _searching(node: Node) -> Literal["no", "offered"]:
    names = ("googleSearch", "googleSearchRetrieval")
    found = any(name in tool.value for tool in node.optional_objects("tools") for name in names)
    return "offered" if found else "no"


def _declared(node: Node) -> list[Tool]:
    """The functions of a request. Raises `Fault`."""
    found: dict[str, Tool] = {}
    for at, tool in enumerate(node.optional_objects("tools")):
        for place, function in enumerate(tool.optional_objects("functionDeclarations")):
            where = f"tools[{at}].function_declarations[{place}]"
            name = function.optional_text("name") or ""
            if NAME.fullmatch(name) is None:
                raise invalid(
                    f"{where}.name",
                    "Invalid function name. Must start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), "
                    "underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 128.",
                )
            if name in found:
                raise refuse(f"Duplicate function declaration found: {name}")
            found[name] = Tool(name, _parameters(function, where))
    return list(found.values())


def _parameters(function: Node, where: str) -> JSONObject | None:
    own, plain = function.optional_object("parameters"), function.value.get("parametersJsonSchema")
    if own is not None and plain is not None:
        raise invalid(where, "parameters and parameters_json_schema are mutually exclusive")
    if own is not None:
        if own.value.get("type") not in (None, "OBJECT"):
            raise invalid(f"{where}.parameters.type", "should be OBJECT")
        return json_schema(own.value)
    if plain is None:
        return None
    if not isinstance(plain, dict):
        raise invalid(f"{where}.parameters_json_schema", "must be an object")
    return json_schema(plain)


def _allowed(node: Node, declared: tuple[Tool, ...]) -> tuple[tuple[Tool, ...], bool]:
    """The functions that may be called, and whether one must be. Raises `Fault`."""
    config = node.optional_object("toolConfig")
    calling = config.optional_object("functionCallingConfig") if config is not None else None
    if calling is None:
        return declared, False
    mode = calling.optional_text("mode") or "AUTO"
    names = calling.texts("allowedFunctionNames")
    if names:
        if mode not in ("ANY", "VALIDATED"):
            raise refuse(
                "Allowed function names should only be set when the function calling mode is ANY or VALIDATED."
            )
        for name in names:
            if all(tool.name != name for tool in declared):
                raise refuse(f"Allowed function name {name} is not found in the function declarations.")
        declared = tuple(tool for tool in declared if tool.name in names)
    if mode == "ANY" and not declared:
        raise refuse("Function calling mode ANY needs at least one function declaration.")
    return (() if mode == "NONE" else declared), mode == "ANY"


def json_schema(schema: JSONObject) -> JSONObject:
    """A schema in JSON Schema's own spelling: types in lower case."""
    plain: JSONObject = {}
    for name, value in schema.items():
        match name, value:
            case "type", str(kind):
                plain[name] = kind.lower() if kind in _TYPES else kind
            case "type", list(kinds):
                plain[name] = [
                    kind.lower() if isinstance(kind, str) and kind in _TYPES else kind for kind in kinds
                ]
            case (("properties" | "$defs" | "definitions" | "defs"), dict(children)):
                plain[name] = {key: _plain(child) for key, child in children.items()}
            case (("items" | "additionalProperties" | "anyOf" | "oneOf" | "allOf" | "prefixItems"), _):
                plain[name] = _plain(value)
            case _:
                plain[name] = value
    return plain


def _plain(value: JSON) -> JSON:
    if isinstance(value, dict):
        return json_schema(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


# --- counting --------------------------------------------------------------------------------------------------


def _count(node: Node, instruction: Sequence[Part], contents: Sequence[Content]) -> int:
    """All input tokens."""
    total = sum(part.tokens for part in instruction)
    total += sum(part.tokens for content in contents for part in content.parts)
    for tool in node.optional_objects("tools"):
        for function in tool.optional_objects("functionDeclarations"):
            total += tokens.count(function.optional_text("name") or "")
            total += tokens.count(function.optional_text("description") or "")
            schema = function.value.get("parameters", function.value.get("parametersJsonSchema"))
            total += tokens.count_bytes(msgspec.json.encode(schema)) if schema is not None else 0
    return total
