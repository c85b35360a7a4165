"""A request of the hub, written for a Claude upstream.

What cannot be carried is refused (`UnsupportedFeature`), what is only tuning is dropped and noticed. The body is always
of wire version 2023-06-01, whatever the client spoke. NOTES.md has the whole table of what becomes of what.
"""

from __future__ import annotations

from collections.abc import Iterator

from bytespike.core.content import TextPart
from bytespike.core.dialect import Target, Written
from bytespike.core.losses import Losses
from bytespike.core.renaming import renamed_tools
from bytespike.core.request import NO_SAMPLING, ChatRequest
from bytespike.core.tools import ToolChoice
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.protocols.anthropic_messages.betas import betas_for
from bytespike.protocols.anthropic_messages.blocks_write import Block, PromptBlocks, cache_control
from bytespike.protocols.anthropic_messages.fields import own_extras
from bytespike.protocols.anthropic_messages.names import (
    NAME,
    QUIRK_NO_SAMPLING,
    TOOL_NAME_CHARS_MAX,
    TRANSLATED_VERSION,
)
from bytespike.protocols.anthropic_messages.output_format import JSON_OBJECT_INSTRUCTION, write_output_format
from bytespike.protocols.anthropic_messages.thinking import held_output_tokens, plan_thinking
from bytespike.protocols.anthropic_messages.tools import (
    allowed_subset,
    stand_in_tools,
    write_tool_choice,
    write_tools,
)
from bytespike.protocols.anthropic_messages.turns import Message, WrittenTurns, write_turns
from bytespike.wire import json

#: Anthropic's range; OpenAI's goes to 2.
TEMPERATURE_MAX = 1
#: With thinking, top_p may only be in this range and temperature only 1.
THINKING_TOP_P_MIN = 0.95
_NO_PARAMETER = "Anthropic has no such parameter"
_SERVICE_TIERS = {"auto": "auto", "standard_only": "standard_only", "default": "standard_only"}


def write_request(request: ChatRequest, target: Target) -> Written:
    """Raises `UnsupportedFeature`, and `InvalidRequest` where nothing is left to send."""
    losses = Losses(NAME)
    if request.candidates > 1:
        raise UnsupportedFeature("n: Claude models give one answer at a time", param="n")
    _notice_knobs(request, losses)
    turns = write_turns(request.turns, target, losses)
    body: Block = {"model": target.model, "max_tokens": _max_tokens(request, target, losses)}
    system = _system(request, turns, target, losses)
    if not turns.messages:
        system = _as_a_message(system, turns, losses)
    if system:
        plain = len(system) == 1 and system[0].keys() == {"type", "text"}
        body["system"] = system[0]["text"] if plain else system
    messages = [message.written() for message in turns.messages]
    body["messages"] = messages
    choice = _write_tools(request, turns, target, body, losses)
    thinks = _write_output(request, turns, target, body, choice, losses)
    if request.sampling is not NO_SAMPLING:
        _write_sampling(request, target, body, thinks, losses)
    _write_rest(request, body, losses)
    headers = [("anthropic-version", TRANSLATED_VERSION)]
    betas = betas_for(body, messages, _all_blocks(turns))
    if betas:
        headers.append(("anthropic-beta", ",".join(betas)))
    renamed = renamed_tools(request.tools, TOOL_NAME_CHARS_MAX)
    return Written(json.encode(body), losses.notices, tuple(headers), renamed)


def _notice_knobs(request: ChatRequest, losses: Losses) -> None:
    if request.logprobs is not None:
        losses.dropped("logprobs", _NO_PARAMETER)
    if request.sampling is not NO_SAMPLING:
        if request.sampling.seed is not None:
            losses.dropped("seed", _NO_PARAMETER)
        for name in ("frequency_penalty", "presence_penalty", "logit_bias"):
            if getattr(request.sampling, name):
                losses.dropped(name, _NO_PARAMETER)
    if request.verbosity is not None:
        losses.dropped("verbosity", _NO_PARAMETER)
    if request.prompt_cache_key is not None:
        losses.dropped("prompt_cache_key", _NO_PARAMETER)
    if request.metadata:
        losses.dropped("metadata", _NO_PARAMETER)
    if request.store:
        losses.dropped("store", _NO_PARAMETER)


def _max_tokens(request: ChatRequest, target: Target, losses: Losses) -> int:
    wanted = request.max_output_tokens
    if wanted is None:
        # The API wants a limit. The model's own may cost many times what was held.
        return held_output_tokens(target)
    if wanted > target.max_output_tokens:
        losses.approximated("max_tokens", f"the model's limit is {target.max_output_tokens}")
        return target.max_output_tokens
    return wanted


def _system(request: ChatRequest, turns: WrittenTurns, target: Target, losses: Losses) -> list[Block]:
    if not request.system and request.output_format is None:
        return turns.system
    for part in request.system:
        if not isinstance(part, TextPart):
            raise UnsupportedFeature("system: a system prompt can only be text", param="system")
    system = PromptBlocks(target, losses).blocks(request.system, "system") + turns.system
    if request.output_format is not None and request.output_format.kind == "json_object":
        losses.approximated("response_format", "json_object became an instruction")
        system.append({"type": "text", "text": JSON_OBJECT_INSTRUCTION})
    return system


def _as_a_message(system: list[Block], turns: WrittenTurns, losses: Losses) -> list[Block]:
    """A request that is all system prompt: elsewhere that is one, Anthropic wants a message. Gives what remains."""
    if not system:
        raise InvalidRequest("messages: at least one message with content is required", param="messages")
    turns.messages.append(Message("user", system, {}))
    losses.approximated("messages.role", "a lone system prompt became the user turn")
    return []


def _write_tools(
    request: ChatRequest, turns: WrittenTurns, target: Target, body: Block, losses: Losses
) -> ToolChoice | None:
    """Gives the choice that was written, if any."""
    choice = request.tool_choice
    tools = allowed_subset(request.tools, choice)
    if (
        not tools
        and turns.tool_names
        and "tools" in target.capabilities
        and "mcp_servers" not in own_extras(request.extras)
    ):
        tools = stand_in_tools(turns.tool_names)
        choice = ToolChoice("none")
        losses.approximated("tools", "tools of the history were defined again and cannot be called")
    if not tools:
        if choice is not None and choice.mode in ("required", "named"):
            raise UnsupportedFeature("tool_choice: there is no tool to choose", param="tool_choice")
        return None
    offered = write_tools(tools, target, losses)
    if offered:
        body["tools"] = offered
    if choice is None:
        return None
    losses.foreign_extras(choice.extras, "tool_choice.")
    written = write_tool_choice(choice)
    if written is not None:
        body["tool_choice"] = written
    return choice


def _write_output(
    request: ChatRequest,
    turns: WrittenTurns,
    target: Target,
    body: Block,
    choice: ToolChoice | None,
    losses: Losses,
) -> bool:
    """Thinking, effort and format. Gives whether the model will think."""
    if request.reasoning is None and request.output_format is None and NAME not in request.extras:
        return False
    max_tokens = body["max_tokens"]
    plan = plan_thinking(
        request.reasoning,
        target,
        max_tokens if isinstance(max_tokens, int) else target.max_output_tokens,
        losses,
        tool_forced=choice is not None and choice.mode in ("required", "named"),
        loop_without_thinking=turns.loop_without_thinking,
    )
    body["max_tokens"] = plan.max_tokens
    if plan.thinking is not None:
        body["thinking"] = plan.thinking
    config: Block = {}
    if plan.effort is not None:
        config["effort"] = plan.effort
    format_ = write_output_format(request.output_format, target, losses)
    if format_ is not None:
        config["format"] = format_
    kept = own_extras(request.extras).get("output_config")
    if isinstance(kept, dict):
        config |= kept
    if config:
        body["output_config"] = config
    return plan.thinks


def _write_sampling(request: ChatRequest, target: Target, body: Block, thinks: bool, losses: Losses) -> None:
    sampling = request.sampling
    given: dict[str, int | float] = {}
    if sampling.temperature is not None:
        given["temperature"] = sampling.temperature
        if sampling.temperature > TEMPERATURE_MAX:
            given["temperature"] = TEMPERATURE_MAX
            losses.approximated("temperature", "the highest is 1")
    if sampling.top_p is not None:
        given["top_p"] = sampling.top_p
    if sampling.top_k is not None:
        given["top_k"] = sampling.top_k
    refused = _refused_sampling(given, target, thinks)
    for name, why in refused.items():
        # Temperature 1 and top_p 1 are the defaults: without them nothing is lost.
        if name == "top_k" or given[name] != 1:
            losses.dropped(name, why)
    body |= {name: value for name, value in given.items() if name not in refused}


def _refused_sampling(given: dict[str, int | float], target: Target, thinks: bool) -> dict[str, str]:
    """Which parameters the API would refuse, and why."""
    if QUIRK_NO_SAMPLING in target.quirks:
        return dict.fromkeys(given, "the model takes no sampling parameters")
    refused: dict[str, str] = {}
    if thinks:
        allowed = {"temperature": given.get("temperature") == 1, "top_k": False}
        allowed["top_p"] = given.get("top_p", 0) >= THINKING_TOP_P_MIN
        refused = {name: "not with thinking" for name in given if not allowed[name]}
    elif "temperature" in given and "top_p" in given:
        default = given["temperature"] == 1 and given["top_p"] != 1
        less = "temperature" if default else "top_p"
        refused = {less: "Claude models take temperature or top_p and not both"}
    return refused


def _write_rest(request: ChatRequest, body: Block, losses: Losses) -> None:
    extras = own_extras(request.extras)
    if request.stream:
        body["stream"] = True
    if request.stop:
        stop = [sequence for sequence in request.stop if sequence.strip()]
        if len(stop) < len(request.stop):
            losses.dropped("stop", "blank sequences are refused")
        if stop:
            body["stop_sequences"] = stop
    metadata: Block = {}
    if request.user_id is not None:
        metadata["user_id"] = request.user_id
    kept = extras.get("metadata")
    if isinstance(kept, dict):
        metadata |= kept
    if metadata:
        body["metadata"] = metadata
    if request.service_tier is not None:
        tier = _SERVICE_TIERS.get(request.service_tier)
        if tier is None:
            losses.dropped("service_tier", "Anthropic has no such tier")
        else:
            body["service_tier"] = tier
    if request.cache is not None:
        body["cache_control"] = cache_control(request.cache, losses)
    if extras:
        body |= {key: value for key, value in extras.items() if key not in ("metadata", "output_config")}
    if request.extras:
        losses.foreign_extras(request.extras)


def _all_blocks(turns: WrittenTurns) -> Iterator[Block]:
    for message in turns.messages:
        for block in message.content:
            yield block
            inner = block.get("content")
            if block["type"] == "tool_result" and isinstance(inner, list):
                yield from inner
