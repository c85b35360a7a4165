"""OpenAI Responses: reading a request as strictly as the API does.

Sources: the SDK's `response_create_params.py` and the types it names; the errors recorded from the API. What depends on
a model is left to the model's owner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator import directives
from bytespike.providers.simulator import openai_responses_items as items_of
from bytespike.providers.simulator.checks import Node, Problem
from bytespike.providers.simulator.directives import Directives
from bytespike.providers.simulator.exchange import World
from bytespike.providers.simulator.openai_chat_messages import Part
from bytespike.providers.simulator.openai_chat_strict import check_strict
from bytespike.providers.simulator.openai_responses_items import Item, Shelf
from bytespike.providers.simulator.openai_responses_tools import Offered, read_tools
from bytespike.providers.simulator.openai_words import (
    EFFORTS,
    NAME,
    refuse,
    spelt,
    stream_options,
    tier_reported,
    too_long,
    word,
)
from bytespike.providers.simulator.prefix_cache import NO_CACHING, Bill, Segment, bill
from bytespike.providers.simulator.prompt import Line, Prompt
from bytespike.providers.simulator.tokens import count as count_tokens

#: `client_metadata` is not in the SDK; OpenAI's own Codex sends it.
FIELDS = frozenset(
    {
        "access_programs", "background", "background_options", "client_metadata", "context_management", "conversation",
        "image", "include", "input", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "model",
        "moderation", "parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key",
        "prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store",
        "stream", "stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p",
        "truncation", "user",
    }
)  # fmt: skip
#: Fields of the chat API, and where they are now.
_MOVED = {
    "response_format": "text.format",
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
}
INCLUDABLE = (
    "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
    "message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs",
    "reasoning.encrypted_content", "message.output_text.logprobs",
)  # fmt: skip
SUMMARIES = ("auto", "concise", "detailed")
OUTPUT_TOKENS_MIN = 16
TOP_LOGPROBS_MAX = 20
METADATA_PAIRS_MAX = 16
METADATA_KEY_CHARS_MAX = 64
METADATA_VALUE_CHARS_MAX = 512
CACHE_KEY_CHARS_MAX = 64


class Asked(Struct, frozen=True):
    """A request that keeps the rules.

    `body` as it came, to be echoed. `items`: the conversation, the request's own items last. `encrypts`, `sums_up`:
    whether reasoning shows its encrypted content, and a summary. `logprobs`: how many alternatives, None for no log
    probabilities. `sources`: a search lists its sources. `tier`: the service tier to report.
    """

    prompt: Prompt
    sim: Directives
    bill: Bill
    body: JSONObject
    items: tuple[JSONObject, ...]
    account: str
    stream: bool
    obfuscate: bool
    store: bool
    encrypts: bool
    sums_up: bool
    logprobs: int | None
    sources: bool
    tier: str


def read_request(body: JSONObject, headers: Mapping[str, str], account: str, world: World) -> Asked:
    """A checked request. `account` keeps prompt caches and stored responses apart. Raises `Fault`, `BadDirective`."""
    try:
        return _read(Node(body), headers.get(directives.HEADER), account, world)
    except Problem as problem:
        raise word(problem) from None


def _read(node: Node, header: str | None, account: str, world: World) -> Asked:
    model = node.text("model")
    shelf = Shelf(world.responses, account, world.seed)
    before = _before(node, shelf)
    own = items_of.raw_items(node, needed=before is None)
    items = items_of.read_items(before or (), own, shelf)
    current = items_of.latest(items)
    given = items_of.results(items)
    sim = directives.resolve(world.defaults, header, (item.text for item in current), bool(given))
    if not sim.reasoning_content:
        _known(node)
    offered = read_tools(node, items)
    schema, json_object = _format(node, items)
    include = _include(node)
    instructions = node.optional_text("instructions") or ""
    counted, segments = _count(instructions, offered, items)
    cached = world.cache.figures(f"openai {account} {model}", segments) if segments else NO_CACHING
    _tuning(node)
    thinks, sums_up = _reasoning(node, sim)
    options = stream_options(node, ("include_obfuscation",))
    return Asked(
        prompt=_prompt(node, model, items, offered, instructions, counted, schema, json_object, thinks),
        sim=sim,
        bill=bill(counted, cached, sim),
        body=node.value,
        items=(*(before or ()), *own),
        account=account,
        stream=node.flag("stream") is True,
        obfuscate=options is None or options.flag("include_obfuscation") is not False,
        store=node.flag("store") is not False,
        encrypts="reasoning.encrypted_content" in include,
        sums_up=sums_up,
        logprobs=_logprobs(node, include),
        sources="web_search_call.action.sources" in include,
        tier=tier_reported(node),
    )


def _prompt(
    node: Node,
    model: str,
    items: Sequence[Item],
    offered: Offered,
    instructions: str,
    counted: int,
    schema: JSONObject | None,
    json_object: bool,
    thinks: bool,
) -> Prompt:
    current = items_of.latest(items)
    messages = [item for item in current if item.kind == "message" and item.role == "user"]
    said = " ".join(item.text for item in messages if item.text)
    parts = [part for item in items for part in item.parts]
    return Prompt(
        model=model,
        text=directives.split(said)[0],
        turns=items_of.turns(items),
        input_tokens=counted,
        tools=offered.tools,
        forced=offered.forced,
        parallel=node.flag("parallel_tool_calls") is not False,
        results=items_of.results(items),
        thinks=thinks,
        search="always" if offered.must_search else "offered" if offered.searches else "no",
        schema=schema,
        json_object=json_object,
        max_tokens=node.optional_integer("max_output_tokens", OUTPUT_TOKENS_MIN),
        images=tuple(part.image for item in current for part in item.parts if part.image),
        documents=tuple(part.document for part in parts if part.document is not None),
        history=(Line("system", instructions), *items_of.history(items)),
    )


# --- settings --------------------------------------------------------------------------------------------------


def _known(node: Node) -> None:
    for name in node.value:
        if name in _MOVED:
            raise refuse(
                f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{_MOVED[name]}'. "
                "Try again with the new parameter.",
                name,
                "unsupported_parameter",
            )
    node.only(FIELDS)


def _before(node: Node, shelf: Shelf) -> tuple[JSONObject, ...] | None:
    """The conversation that the request goes on from; None if it begins one."""
    for name in ("background", "conversation", "prompt"):
        if node.value.get(name) not in (None, False):
            raise refuse(f"The simulator does not play '{name}'.", name, "unsupported_parameter")
    previous = node.optional_text("previous_response_id")
    if previous is None:
        if not node.has("input"):
            raise refuse(
                "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.",
                "input",
                "missing_required_parameter",
            )
        return None
    found = shelf.store.conversation(shelf.account, previous)
    if found is None:
        raise refuse(
            f"Previous response with id '{previous}' not found.",
            "previous_response_id",
            "previous_response_not_found",
        )
    return found


def _include(node: Node) -> frozenset[str]:
    for at, name in enumerate(node.texts("include")):
        if name not in INCLUDABLE:
            raise Problem("value", ("include", at), got=name, allowed=INCLUDABLE)
    return frozenset(node.texts("include"))


def _reasoning(node: Node, sim: Directives) -> tuple[bool, bool]:
    """Whether to think, and whether to sum the thoughts up."""
    reasoning = node.optional_object("reasoning")
    if reasoning is None:
        # A compatible vendor thinks unless it is told not to; a thought that was asked for is shown.
        return sim.reasoning_content, sim.thinking is not None
    reasoning.only(("context", "effort", "generate_summary", "mode", "summary"))
    effort = reasoning.optional_one_of("effort", EFFORTS)
    summary = reasoning.optional_one_of("summary", SUMMARIES)
    summary = summary or reasoning.optional_one_of("generate_summary", SUMMARIES)
    reasoning.optional_one_of("context", ("auto", "current_turn", "all_turns"))
    reasoning.optional_text("mode")
    return effort != "none", summary is not None or sim.thinking is not None


def _logprobs(node: Node, include: frozenset[str]) -> int | None:
    top = node.optional_integer("top_logprobs", 0, TOP_LOGPROBS_MAX)
    return (top or 0) if "message.output_text.logprobs" in include else None


def _tuning(node: Node) -> None:
    """Settings that the simulator checks and then does nothing with."""
    node.optional_number("temperature", 0.0, 2.0)
    node.optional_number("top_p", 0.0, 1.0)
    node.optional_integer("max_tool_calls", 1)
    node.optional_one_of("truncation", ("auto", "disabled"))
    node.optional_one_of("prompt_cache_retention", ("in_memory", "in-memory", "24h"))
    node.optional_text("user")
    for name in ("safety_identifier", "prompt_cache_key"):
        value = node.optional_text(name)
        if value is not None and len(value) > CACHE_KEY_CHARS_MAX:
            raise too_long(name, "string", CACHE_KEY_CHARS_MAX, len(value))
    for name in ("moderation", "client_metadata"):
        node.optional_object(name)
    cache = node.optional_object("prompt_cache_options")
    if cache is not None:
        cache.only(("comparison_response_id", "mode", "prewarm", "ttl"))
        cache.optional_one_of("mode", ("implicit", "explicit"))
        cache.optional_one_of("ttl", ("30m", "12h"))
    for management in node.optional_objects("context_management"):
        management.one_of("type", ("compaction",))
    _metadata(node)


def _metadata(node: Node) -> None:
    metadata = node.optional_object("metadata")
    if metadata is None:
        return
    if len(metadata.value) > METADATA_PAIRS_MAX:
        raise refuse(
            f"Invalid 'metadata': too many properties. Expected an object with at most {METADATA_PAIRS_MAX} properties, "
            f"but got an object with {len(metadata.value)} properties instead.",
            "metadata",
            "object_above_max_properties",
        )
    for name in metadata.value:
        value = metadata.text(name)
        for text, most in ((name, METADATA_KEY_CHARS_MAX), (value, METADATA_VALUE_CHARS_MAX)):
            if len(text) > most:
                raise too_long(spelt(("metadata", name)), "string", most, len(text))


# --- structured output -----------------------------------------------------------------------------------------


def _format(node: Node, items: Sequence[Item]) -> tuple[JSONObject | None, bool]:
    text = node.optional_object("text")
    if text is None:
        return None, False
    text.only(("format", "verbosity"))
    text.optional_one_of("verbosity", ("low", "medium", "high"))
    form = text.optional_object("format")
    if form is None:
        return None, False
    match form.one_of("type", ("text", "json_object", "json_schema")):
        case "json_object":
            if not any("json" in item.text.lower() for item in items):
                raise refuse(
                    "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
                    "'json_object'.",
                    "input",
                )
            return None, True
        case "json_schema":
            form.only(("type", "name", "schema", "strict", "description"))
            name = form.text("name")
            if NAME.fullmatch(name) is None:
                where = spelt((*form.path, "name"))
                raise refuse(f"Invalid '{where}': string does not match pattern.", where, "invalid_value")
            schema = form.object("schema")
            if form.flag("strict"):
                check_strict(
                    schema.value, f"response_format '{name}'", "text.format.schema", "invalid_json_schema"
                )
            return schema.value, False
        case _:
            return None, False


# --- counting --------------------------------------------------------------------------------------------------


def _count(instructions: str, offered: Offered, items: Sequence[Item]) -> tuple[int, list[Segment]]:
    """All input tokens, and the prompt as the cache sees it (empty if nothing is marked)."""
    parts: list[Part] = [part for item in items for part in item.parts]
    own = count_tokens(instructions)
    total = own + offered.token_count + sum(part.tokens for part in parts)
    if all(part.keep_s is None for part in parts):
        return total, []
    names: list[JSON] = [[tool.namespace, tool.name, tool.schema] for tool in offered.tools]
    head = Segment(msgspec.json.encode([names, instructions]), own + offered.token_count)
    return total, [head, *(part.segment() for part in parts)]
