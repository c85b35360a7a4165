"""Anthropic Messages: reading a request as strictly as the API does.

Sources: the SDK's `message_create_params.py` and the types it names; the errors recorded from the API. Version
2026-10-21 refuses what the SDK of that version no longer has: temperature, top_p and top_k, documents in assistant
turns, citations on the user's text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSONObject
from bytespike.providers.simulator import directives, tokens
from bytespike.providers.simulator.anthropic_blocks import (
    VERSION_2026,
    VERSIONS,
    Block,
    Wire,
    check_block,
    dotted,
    keep_s,
    refuse,
    text_block,
)
from bytespike.providers.simulator.anthropic_grammar import check_grammar
from bytespike.providers.simulator.anthropic_turns import Transcript, check_thinking_leads, read_transcript
from bytespike.providers.simulator.checks import Node, Problem
from bytespike.providers.simulator.directives import Directives
from bytespike.providers.simulator.exchange import Fault, World
from bytespike.providers.simulator.prefix_cache import NO_CACHING, Bill, Segment, bill
from bytespike.providers.simulator.prompt import Line, Prompt, Tool

FIELDS = frozenset(
    {
        "max_tokens", "messages", "model", "cache_control", "container", "diagnostics", "inference_geo", "metadata",
        "output_config", "service_tier", "speed", "stop_sequences", "stream", "system", "thinking", "tool_choice",
        "tools", "user_profile_id", "temperature", "top_p", "top_k",
    }
)  # fmt: skip
TOOL_FIELDS = frozenset(
    {
        "type", "name", "description", "input_schema", "strict", "cache_control", "allowed_callers", "defer_loading",
        "eager_input_streaming", "input_examples",
    }
)  # fmt: skip
MARKS_MAX = 4
BUDGET_TOKENS_MIN = 1024
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
EFFORTS = ("low", "medium", "high", "xhigh", "max")

_PATH: JSONObject = {"type": "string"}
#: Inputs of the tools whose schema is Anthropic's own, as far as the simulator calls them.
_OWN_SCHEMAS: dict[str, JSONObject] = {
    "bash": {
        "type": "object",
        "properties": {"command": {"const": "echo simulator"}},
        "required": ["command"],
    },
    "text_editor": {
        "type": "object",
        "properties": {"command": {"const": "view"}, "path": _PATH},
        "required": ["command", "path"],
    },
    "memory": {
        "type": "object",
        "properties": {"command": {"const": "view"}, "path": {"const": "/memories"}},
        "required": ["command", "path"],
    },
}


class Asked(Struct, frozen=True):
    """A request that keeps the rules. `shows_thinking`: display is not "omitted"."""

    prompt: Prompt
    sim: Directives
    bill: Bill
    stream: bool
    shows_thinking: bool


def word(problem: Problem) -> Fault:
    """What is wrong with a field, in the API's words."""
    match problem.kind:
        case "missing":
            text = "Field required"
        case "type":
            article = "an" if problem.expected == "object" else "a valid"
            text = f"Input should be {article} {problem.expected}"
        case "value":
            names = [f"'{name}'" for name in problem.allowed]
            text = (
                f"Input should be {', '.join(names[:-1])} or {names[-1]}"
                if names[1:]
                else f"Input should be {names[0]}"
            )
        case "unknown":
            text = "Extra inputs are not permitted"
        case "below":
            text = f"Input should be greater than or equal to {problem.bound:g}"
        case "above":
            text = f"Input should be less than or equal to {problem.bound:g}"
    return refuse(f"{dotted(problem.path)}: {text}")


def check_version(headers: Mapping[str, str]) -> str:
    """The `anthropic-version` of a request. Raises `Fault`."""
    version = headers.get("anthropic-version")
    if version is None:
        raise refuse("anthropic-version: header is required")
    if version not in VERSIONS:
        raise refuse(f'anthropic-version: "{version}" is not a valid version')
    return version


def read_request(
    body: JSONObject, headers: Mapping[str, str], account: str, world: World, *, counting: bool = False
) -> Asked:
    """A checked request. `account` keeps prompt caches apart; `counting` is for count_tokens, which needs no
    `max_tokens` and leaves the cache alone. Raises `Fault`, `BadDirective`."""
    wire = Wire(check_version(headers), bool(headers.get("anthropic-beta")))
    try:
        return _read(Node(body), headers.get(directives.HEADER), account, world, wire, counting)
    except Problem as problem:
        raise word(problem) from None


def _read(node: Node, header: str | None, account: str, world: World, wire: Wire, counting: bool) -> Asked:
    model = node.text("model")
    max_tokens = node.optional_integer("max_tokens", 0) if counting else node.integer("max_tokens", 0)
    if node.has("thread"):
        # The API says so of requests that it cannot thread; the simulator keeps no conversations of this dialect.
        unsupported: JSONObject = {"error_code": "thread_unsupported_request", "unsupported": ["model"]}
        raise Fault(400, "thread: message threads are not available for this model", details=(unsupported,))
    if not wire.lenient:
        node.only(FIELDS)
    system = _system(node, wire)
    transcript = read_transcript(node, wire, world.seed)
    latest = transcript.latest()
    results = transcript.results()
    sim = directives.resolve(world.defaults, header, (block.text for block in latest), bool(results))
    tools = list(node.optional_objects("tools"))
    offered = _tools(tools, wire)
    chosen, forced, parallel = _tool_choice(node, offered, tools)
    thinks, budget, shows = _thinking(node, max_tokens, forced, bool(results), transcript)
    _sampling(node, wire, budget is not None)
    counted, segments = _count(node, tools, system, transcript)
    cached = NO_CACHING if counting else world.cache.figures(f"anthropic {account} {model}", segments)
    said = " ".join(block.text for block in latest if block.kind == "text")
    return Asked(
        prompt=Prompt(
            model=model,
            text=directives.split(said)[0],
            turns=len(transcript.turns),
            input_tokens=counted,
            tools=chosen,
            forced=forced,
            parallel=parallel,
            results=results,
            thinks=thinks,
            thinking_budget=budget,
            search="offered" if any(_is_search(tool) for tool in tools) else "no",
            schema=_output_schema(node),
            max_tokens=max_tokens,
            stops=_stops(node),
            images=tuple(block.image for block in latest if block.image),
            documents=transcript.documents(),
            history=(*(Line("system", block.text) for block in system), *transcript.history()),
        ),
        sim=sim,
        bill=bill(counted, cached, sim),
        stream=node.flag("stream") is True,
        shows_thinking=shows,
    )


def _system(node: Node, wire: Wire) -> list[Block]:
    if not node.has("system"):
        return []
    system = node.value["system"]
    if isinstance(system, str):
        return [text_block(system, node)] if system else []
    if not isinstance(system, list):
        node.fail("type", "system", "list")
    return [check_block(block, "system", wire) for block in node.objects("system")]


def _sampling(node: Node, wire: Wire, manual_thinking: bool) -> None:
    if wire.version == VERSION_2026:
        for name in ("temperature", "top_p", "top_k"):
            if name in node.value:
                raise Problem("unknown", (name,))
    temperature = node.optional_number("temperature", 0, 1)
    node.optional_number("top_p", 0, 1)
    node.optional_integer("top_k", 0)
    if manual_thinking and temperature not in (None, 1.0):
        raise refuse("`temperature` may only be set to 1 when thinking is enabled.")
    if manual_thinking and node.has("top_k"):
        raise refuse("`top_k` must be unset when thinking is enabled.")
    node.optional_one_of("service_tier", ("auto", "standard_only"))
    metadata = node.optional_object("metadata")
    if metadata is not None:
        metadata.only(("user_id",))
        metadata.optional_text("user_id")


def _stops(node: Node) -> tuple[str, ...]:
    stops = node.texts("stop_sequences")
    if any(not stop.strip() for stop in stops):
        raise refuse("stop_sequences: each stop sequence must contain non-whitespace")
    return stops


def _thinking(
    node: Node, max_tokens: int | None, forced: bool, after_results: bool, transcript: Transcript
) -> tuple[bool, int | None, bool]:
    """Whether to think, the budget of manual thinking, and whether to show the thoughts."""
    thinking = node.optional_object("thinking")
    if thinking is None:
        return False, None, True
    kind = thinking.one_of("type", ("enabled", "disabled", "between_tools", "adaptive"))
    shows = thinking.optional_one_of("display", ("summarized", "omitted")) != "omitted"
    if kind != "enabled":
        return kind == "adaptive" or (kind == "between_tools" and after_results), None, shows
    budget = thinking.at("enabled").integer("budget_tokens", BUDGET_TOKENS_MIN)
    if max_tokens is not None and max_tokens <= budget:
        raise refuse("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if forced:
        raise refuse("Thinking may not be enabled when tool_choice forces tool use.")
    check_thinking_leads(transcript.turns)
    return True, budget, shows


# --- tools -----------------------------------------------------------------------------------------------------


def _is_search(tool: Node) -> bool:
    kind = tool.value.get("type")
    return isinstance(kind, str) and kind.startswith("web_search_")


def _tools(tools: list[Node], wire: Wire) -> tuple[Tool, ...]:
    """The tools that the simulator can call: the caller's own, and those that the caller runs for Anthropic."""
    offered: list[Tool] = []
    names: set[str] = set()
    for tool in tools:
        kind = tool.optional_text("type") or "custom"
        if kind == "custom":
            offered.append(_custom_tool(tool, wire))
        else:
            own = next(
                (schema for word, schema in _OWN_SCHEMAS.items() if kind.startswith(f"{word}_2")), None
            )
            if own is not None:
                offered.append(Tool(tool.text("name"), own))
        keep_s(tool)
        name = tool.optional_text("name")
        if name is not None:
            if name in names:
                raise refuse("tools: Tool names must be unique.")
            names.add(name)
    return tuple(offered)


def _custom_tool(tool: Node, wire: Wire) -> Tool:
    custom = tool.at("custom")
    if not wire.lenient:
        custom.only(TOOL_FIELDS)
    name = custom.text("name")
    if TOOL_NAME.fullmatch(name) is None:
        raise refuse(f"{dotted(custom.path)}.name: String should match pattern '^{TOOL_NAME.pattern}$'")
    custom.optional_text("description")
    schema = custom.object("input_schema")
    schema.one_of("type", ("object",))
    if custom.flag("strict"):
        check_grammar(schema.value, dotted(schema.path))
    return Tool(name, schema.value, deferred=custom.flag("defer_loading") is True)


def _tool_choice(
    node: Node, offered: tuple[Tool, ...], tools: list[Node]
) -> tuple[tuple[Tool, ...], bool, bool]:
    """The tools that may be called, whether one must be, and whether several may be."""
    choice = node.optional_object("tool_choice")
    if choice is None:
        return offered, False, True
    if not tools:
        raise refuse("tool_choice may only be specified while providing tools.")
    kind = choice.one_of("type", ("auto", "any", "tool", "none"))
    parallel = choice.flag("disable_parallel_tool_use") is not True
    if kind == "none":
        return (), False, parallel
    if kind == "tool":
        name = choice.text("name")
        named = tuple(tool for tool in offered if tool.name == name)
        if not named and all(tool.value.get("name") != name for tool in tools):
            raise refuse(f"tool_choice.tool.name: Tool '{name}' not found in provided tools")
        return named, True, parallel
    return offered, kind == "any", parallel


# --- structured output -----------------------------------------------------------------------------------------


def _output_schema(node: Node) -> JSONObject | None:
    config = node.optional_object("output_config")
    form = None
    if config is not None:
        config.optional_one_of("effort", EFFORTS)
        form = config.optional_object("format")
    # The beta's older name for it.
    form = form if form is not None else node.optional_object("output_format")
    if form is None:
        return None
    form.one_of("type", ("json_schema",))
    schema = form.object("schema")
    check_grammar(schema.value, dotted(schema.path))
    return schema.value


# --- counting --------------------------------------------------------------------------------------------------


def _tool_tokens(tool: Node) -> int:
    name, description = tool.value.get("name"), tool.value.get("description")
    total = tokens.count(name) if isinstance(name, str) else 0
    total += tokens.count(description) if isinstance(description, str) else 0
    schema = tool.value.get("input_schema")
    return total + (tokens.count_bytes(msgspec.json.encode(schema)) if schema is not None else 0)


def _count(
    node: Node, tools: list[Node], system: list[Block], transcript: Transcript
) -> tuple[int, list[Segment]]:
    """All input tokens, and the prompt as the cache sees it (empty if nothing is marked)."""
    blocks = [*system, *transcript.blocks]
    sizes = [_tool_tokens(tool) for tool in tools]
    total = sum(sizes) + sum(block.tokens for block in blocks)
    marks = [keep for keep in (*map(keep_s, tools), *(block.keep_s for block in blocks)) if keep is not None]
    whole = keep_s(node)
    if not marks and whole is None:
        return total, []
    if len(marks) > MARKS_MAX:
        raise refuse(
            f"A maximum of {MARKS_MAX} blocks with cache_control may be provided. Found {len(marks)}."
        )
    if sorted(marks, reverse=True) != marks:
        raise refuse("cache_control.ttl: a ttl='1h' block must not come after a ttl='5m' block")
    segments = [
        Segment(Block("tool", tool, size).segment_content(), size, keep_s(tool))
        for tool, size in zip(tools, sizes, strict=True)
    ]
    segments += [Segment(block.segment_content(), block.tokens, block.keep_s) for block in blocks]
    if whole is not None and segments[-1].keep_s is None:
        segments[-1] = msgspec.structs.replace(segments[-1], keep_s=whole)
    return total, segments
