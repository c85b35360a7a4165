"""OpenAI Chat Completions: reading a request as strictly as the API does.

Sources: the SDK's `completion_create_params.py` and the types it names; the errors recorded from the API. What depends
on a model is left to the model's owner, but for one rule that the SDK states for a whole series: o-series models take
`max_completion_tokens`, not `max_tokens`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSONObject
from bytespike.providers.simulator import directives, tokens
from bytespike.providers.simulator.checks import Node, Problem
from bytespike.providers.simulator.directives import Directives
from bytespike.providers.simulator.exchange import World
from bytespike.providers.simulator.openai_chat_messages import (
    Message,
    history,
    latest,
    read_messages,
    results,
)
from bytespike.providers.simulator.openai_chat_strict import check_strict
from bytespike.providers.simulator.openai_words import (
    EFFORTS,
    NAME,
    empty_array,
    object_schema,
    refuse,
    spelt,
    stream_options,
    tier_reported,
    too_long,
    word,
)
from bytespike.providers.simulator.prefix_cache import NO_CACHING, Bill, Segment, bill
from bytespike.providers.simulator.prompt import Prompt, Tool

FIELDS = frozenset(
    {
        "messages", "model", "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
        "max_completion_tokens", "max_tokens", "metadata", "modalities", "moderation", "n", "parallel_tool_calls",
        "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
        "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
        "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity",
        "web_search_options",
    }
)  # fmt: skip
CHOICES_MAX = 128
STOPS_MAX = 4
TOP_LOGPROBS_MAX = 20
_O_SERIES = re.compile(r"o\d")


class Asked(Struct, frozen=True):
    """A request that keeps the rules. `logprobs`: how many alternatives, None for no log probabilities.
    `stream_usage` and `obfuscate`: the stream options. `tier`: the service tier to report."""

    prompt: Prompt
    sim: Directives
    bill: Bill
    stream: bool
    choices: int
    logprobs: int | None
    stream_usage: bool
    obfuscate: bool
    tier: str


def read_request(body: JSONObject, headers: Mapping[str, str], account: str, world: World) -> Asked:
    """A checked request. `account` keeps prompt caches apart. Raises `Fault`, `BadDirective`."""
    try:
        return _read(Node(body), headers.get(directives.HEADER), account, world)
    except Problem as problem:
        raise word(problem) from None


def _read(node: Node, header: str | None, account: str, world: World) -> Asked:
    if not node.has("model"):
        raise refuse("you must provide a model parameter")
    model = node.text("model")
    messages = read_messages(node)
    current = latest(messages)
    given = results(messages)
    sim = directives.resolve(world.defaults, header, (message.text for message in current), bool(given))
    if not sim.reasoning_content:
        node.only(FIELDS)
    tools = list(node.optional_objects("tools"))
    offered = _tools(node, tools)
    chosen, forced = _tool_choice(node, offered, tools)
    schema, json_object = _format(node, messages)
    options = stream_options(node, ("include_usage", "include_obfuscation"))
    counted, segments = _count(tools, messages)
    cached = world.cache.figures(f"openai {account} {model}", segments) if segments else NO_CACHING
    _tuning(node)
    said = " ".join(message.text for message in current if message.role == "user" and message.text)
    parts = [part for message in messages for part in message.parts]
    return Asked(
        prompt=Prompt(
            model=model,
            text=directives.split(said)[0],
            turns=len(messages),
            input_tokens=counted,
            tools=chosen,
            forced=forced,
            parallel=node.flag("parallel_tool_calls") is not False,
            results=given,
            thinks=_thinks(node, sim),
            search="always" if node.optional_object("web_search_options") is not None else "no",
            schema=schema,
            json_object=json_object,
            max_tokens=_max_tokens(node, model),
            stops=_stops(node),
            images=tuple(part.image for message in current for part in message.parts if part.image),
            documents=tuple(part.document for part in parts if part.document is not None),
            history=history(messages),
        ),
        sim=sim,
        bill=bill(counted, cached, sim),
        stream=node.flag("stream") is True,
        choices=node.optional_integer("n", 1, CHOICES_MAX) or 1,
        logprobs=_logprobs(node),
        stream_usage=options is not None and options.flag("include_usage") is True,
        obfuscate=options is None or options.flag("include_obfuscation") is not False,
        tier=tier_reported(node),
    )


# --- settings --------------------------------------------------------------------------------------------------


def _max_tokens(node: Node, model: str) -> int | None:
    old = node.optional_integer("max_tokens", 1)
    new = node.optional_integer("max_completion_tokens", 1)
    if old is not None and new is not None:
        raise refuse(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
            "invalid_parameter_combination",
        )
    if old is not None and _O_SERIES.match(model):
        raise refuse(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    return old if old is not None else new


def _stops(node: Node) -> tuple[str, ...]:
    stop = node.value.get("stop")
    if isinstance(stop, str):
        return (stop,)
    stops = node.texts("stop")
    if len(stops) > STOPS_MAX:
        raise too_long("stop", "array", STOPS_MAX, len(stops))
    return stops


def _tuning(node: Node) -> None:
    """Settings that the simulator checks and then does nothing with."""
    node.optional_number("temperature", 0, 2)
    node.optional_number("top_p", 0, 1)
    node.optional_number("frequency_penalty", -2, 2)
    node.optional_number("presence_penalty", -2, 2)
    node.optional_integer("seed", -(2**63), 2**63 - 1)
    node.optional_one_of("verbosity", ("low", "medium", "high"))
    node.flag("store")
    for name in ("user", "safety_identifier", "prompt_cache_key"):
        node.optional_text(name)
    for name in ("metadata", "logit_bias", "prediction"):
        node.optional_object(name)


def _thinks(node: Node, sim: Directives) -> bool:
    effort = node.optional_one_of("reasoning_effort", EFFORTS)
    if sim.reasoning_content:
        # A compatible vendor thinks unless it is told not to.
        thinking = node.value.get("thinking")
        return not (isinstance(thinking, dict) and thinking.get("type") == "disabled") and effort != "none"
    return effort not in (None, "none")


def _logprobs(node: Node) -> int | None:
    wanted = node.flag("logprobs") is True
    top = node.optional_integer("top_logprobs", 0, TOP_LOGPROBS_MAX)
    if top is not None and not wanted:
        raise refuse(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
            "top_logprobs",
            "invalid_value",
        )
    return (top or 0) if wanted else None


# --- tools -----------------------------------------------------------------------------------------------------


def _tools(node: Node, tools: list[Node]) -> tuple[Tool, ...]:
    if node.has("tools") and not tools:
        raise empty_array("tools")
    for name in ("tool_choice", "parallel_tool_calls"):
        if not tools and node.has(name) and node.value[name] != "none":
            raise refuse(
                f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.", name
            )
    return tuple(_tool(tool) for tool in tools)


def _tool(tool: Node) -> Tool:
    kind = tool.one_of("type", ("function", "custom"))
    inner = tool.object(kind)
    name = inner.text("name")
    where = spelt((*inner.path, "name"))
    if NAME.fullmatch(name) is None:
        raise refuse(
            f"Invalid '{where}': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'.",
            where,
            "invalid_value",
        )
    inner.optional_text("description")
    if kind == "custom":
        inner.optional_object("format")
        return Tool(name, free_form=True)
    parameters = inner.optional_object("parameters")
    schema = parameters.value if parameters is not None else None
    object_schema(schema, name, spelt((*inner.path, "parameters")))
    if inner.flag("strict") and schema is not None:
        check_strict(
            schema, f"function '{name}'", spelt((*inner.path, "parameters")), "invalid_function_parameters"
        )
    return Tool(name, schema)


def _tool_choice(node: Node, offered: tuple[Tool, ...], tools: list[Node]) -> tuple[tuple[Tool, ...], bool]:
    """The tools that may be called, and whether one must be."""
    if isinstance(node.value.get("tool_choice"), str):
        mode = node.one_of("tool_choice", ("none", "auto", "required"))
        return (() if mode == "none" else offered), mode == "required"
    choice = node.optional_object("tool_choice")
    if choice is None:
        return offered, False
    kind = choice.one_of("type", ("function", "custom", "allowed_tools"))
    if kind == "allowed_tools":
        allowed = choice.object("allowed_tools")
        mode = allowed.one_of("mode", ("auto", "required"))
        names = {_allowed_name(tool) for tool in allowed.objects("tools")}
        return tuple(tool for tool in offered if tool.name in names), mode == "required"
    name = choice.object(kind).text("name")
    named = tuple(tool for tool in offered if tool.name == name)
    if not named:
        raise refuse(f"Tool choice '{name}' not found in 'tools' parameter.", "tool_choice")
    return named, True


def _allowed_name(tool: Node) -> str:
    return tool.object(tool.one_of("type", ("function", "custom"))).text("name")


# --- structured output -----------------------------------------------------------------------------------------


def _format(node: Node, messages: list[Message]) -> tuple[JSONObject | None, bool]:
    form = node.optional_object("response_format")
    if form is None:
        return None, False
    match form.one_of("type", ("text", "json_object", "json_schema")):
        case "json_object":
            if not any("json" in message.text.lower() for message in messages):
                raise refuse(
                    "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
                    "messages",
                )
            return None, True
        case "json_schema":
            inner = form.object("json_schema")
            name = inner.text("name")
            where = spelt((*inner.path, "name"))
            if NAME.fullmatch(name) is None:
                raise refuse(f"Invalid '{where}': string does not match pattern.", where, "invalid_value")
            schema = inner.optional_object("schema")
            if schema is None:
                return {}, False
            if inner.flag("strict"):
                check_strict(schema.value, f"response_format '{name}'", "response_format", None)
            return schema.value, False
        case _:
            return None, False


# --- counting --------------------------------------------------------------------------------------------------


def _tool_tokens(tool: Node) -> int:
    inner = tool.object(tool.text("type"))
    schema = inner.value.get("parameters", inner.value.get("format"))
    size = tokens.count(inner.text("name")) + tokens.count(inner.optional_text("description") or "")
    return size + (tokens.count_bytes(msgspec.json.encode(schema)) if schema is not None else 0)


def _count(tools: list[Node], messages: list[Message]) -> tuple[int, list[Segment]]:
    """All input tokens, and the prompt as the cache sees it (empty if nothing is marked)."""
    sizes = [_tool_tokens(tool) for tool in tools]
    parts = [part for message in messages for part in message.parts]
    total = sum(sizes) + sum(part.tokens for part in parts)
    if all(part.keep_s is None for part in parts):
        return total, []
    heads = [Segment(msgspec.json.encode(tool.value), size) for tool, size in zip(tools, sizes, strict=True)]
    return total, [*heads, *(part.segment() for part in parts)]
