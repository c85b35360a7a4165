"""Notices in the words of whoever asked.

A writer knows the hub and its own dialect, not the client's, so it names what it drops as the hub does: `max_tokens`,
`reasoning_effort`. A caller of Gemini knows neither. Here a request's notices get the caller's own paths, once, where the request
has been written. What has the same name in the hub and in a dialect is in no table, and neither is what is no member but a
kind of content (documents, search_result, server tools).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import structs

from bytespike.core.notices import Notice
from bytespike.protocols.anthropic_messages.names import NAME as MESSAGES
from bytespike.protocols.gemini.names import BODY_PREFIX
from bytespike.protocols.gemini.names import NAME as GEMINI
from bytespike.protocols.openai_chat.names import NAME as CHAT
from bytespike.protocols.openai_responses.names import NAME as RESPONSES

_CONFIG: Final = "generationConfig."
_THINKING: Final = "generationConfig.thinkingConfig"
_CALLING: Final = "toolConfig.functionCallingConfig"

#: By the client's dialect: what it calls a feature of the hub.
_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    MESSAGES: {
        "stop": "stop_sequences",
        "user_id": "metadata.user_id",
        "reasoning": "thinking",
        "reasoning.budget": "thinking.budget_tokens",
        "reasoning.display": "thinking.display",
        "reasoning_effort": "output_config.effort",
        "response_format": "output_config.format",
        "response_format.schema": "output_config.format.schema",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "messages.reasoning": "messages.thinking",
        "web_search.max_uses": "tools.max_uses",
        "web_search.user_location": "tools.user_location",
        "documents.title": "document.title",
        "documents.context": "document.context",
        "documents.citations": "document.citations",
    },
    CHAT: {
        "user_id": "safety_identifier",
        "reasoning": "reasoning_effort",
        "tools.strict": "tools.function.strict",
        "tools.web_search": "web_search_options",
        "web_search.user_location": "web_search_options.user_location",
        "web_search.search_context_size": "web_search_options.search_context_size",
        "documents.filename": "file.filename",
        "messages.system": "messages.role",
        "tool_calls.arguments": "messages.tool_calls.function.arguments",
    },
    RESPONSES: {
        "max_tokens": "max_output_tokens",
        "user_id": "safety_identifier",
        "reasoning.display": "reasoning.summary",
        "reasoning_effort": "reasoning.effort",
        "response_format": "text.format",
        "response_format.schema": "text.format.schema",
        "verbosity": "text.verbosity",
        "logprobs": "top_logprobs",
        "web_search.user_location": "tools.user_location",
        "web_search.search_context_size": "tools.search_context_size",
        "image_url.detail": "input_image.detail",
        "documents.filename": "input_file.filename",
        "messages.system": "input.role",
        "tool_calls.arguments": "input.arguments",
    },
    GEMINI: {
        "max_tokens": f"{_CONFIG}maxOutputTokens",
        "stop": f"{_CONFIG}stopSequences",
        "temperature": f"{_CONFIG}temperature",
        "top_p": f"{_CONFIG}topP",
        "top_k": f"{_CONFIG}topK",
        "seed": f"{_CONFIG}seed",
        "frequency_penalty": f"{_CONFIG}frequencyPenalty",
        "presence_penalty": f"{_CONFIG}presencePenalty",
        "logprobs": f"{_CONFIG}logprobs",
        "response_format": f"{_CONFIG}responseMimeType",
        "response_format.schema": f"{_CONFIG}responseSchema",
        "responseModalities": f"{_CONFIG}responseModalities",
        "mediaResolution": f"{_CONFIG}mediaResolution",
        "speechConfig": f"{_CONFIG}speechConfig",
        "imageConfig": f"{_CONFIG}imageConfig",
        "reasoning": _THINKING,
        "reasoning.budget": f"{_THINKING}.thinkingBudget",
        "thinking.budget_tokens": f"{_THINKING}.thinkingBudget",
        "reasoning.display": f"{_THINKING}.includeThoughts",
        "reasoning_effort": f"{_THINKING}.thinkingLevel",
        "service_tier": "serviceTier",
        "tool_choice.allowed_tools": f"{_CALLING}.allowedFunctionNames",
        "tools.web_search": "tools.googleSearch",
        "tool_result.content": "functionResponse.parts",
        "tool_result.is_error": "functionResponse.response",
        "messages.reasoning": "contents.parts.thought",
        "messages.role": "contents.role",
    },
}
#: What comes before a member's own name, likewise.
_PREFIXES: Final[Mapping[str, tuple[str, str]]] = {
    RESPONSES: ("messages.", "input."),
    GEMINI: (BODY_PREFIX, ""),
}
#: A place in a list, as some dialects write it in the paths of their errors.
_PLACE: Final = re.compile(r"\.([0-9]+)(?=\.|$)")


def in_callers_names(notices: tuple[Notice, ...], dialect: str) -> tuple[Notice, ...]:
    """The notices of a request that a client of `dialect` has made, by its own members."""
    if not notices:
        return notices
    names = _NAMES.get(dialect, {})
    prefix, own = _PREFIXES.get(dialect, ("", ""))
    told: list[Notice] = []
    for notice in notices:
        feature = names.get(notice.feature)
        if feature is None:
            feature = _PLACE.sub(r"[\1]", notice.feature)
            if prefix and feature.startswith(prefix):
                feature = own + feature.removeprefix(prefix)
        told.append(notice if feature == notice.feature else structs.replace(notice, feature=feature))
    return tuple(told)
