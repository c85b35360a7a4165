"""Conversations with the `anthropic` SDK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anthropic
from anthropic.types import Message

from tests.support.sdk_talk import PLAIN, Attachment, Called, Finish, Image, Refused, Result, Said, Wishes

_FINISHES: dict[str | None, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "refusal",
}


def open_sdk(url: str, key: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)


class AnthropicTalk:
    def __init__(self, sdk: anthropic.Anthropic) -> None:
        self._sdk = sdk
        self.messages: list[Any] = []

    def user(self, text: str, *attachments: Attachment) -> None:
        content: list[Any] = [_attached(each) for each in attachments]
        self.messages.append({"role": "user", "content": [*content, {"type": "text", "text": text}]})

    def results(self, results: Sequence[Result]) -> None:
        blocks = [
            {
                "type": "tool_result",
                "tool_use_id": result.call.id,
                "content": [{"type": "text", "text": result.text}],
                **({"is_error": True} if result.failed else {}),
            }
            for result in results
        ]
        self.messages.append({"role": "user", "content": blocks})

    def answer(self, model: str, wishes: Wishes = PLAIN, *, stream: bool = False) -> Said:
        ask = {"model": model, "messages": self.messages, **_asked(wishes)}
        try:
            if stream:
                with self._sdk.messages.stream(**ask) as events:
                    for _ in events:
                        pass
                    message = events.get_final_message()
            else:
                message = self._sdk.messages.create(**ask)
        except anthropic.APIError as error:
            raise Refused(type(error), getattr(error, "status_code", 0), error.message) from error
        self.messages.append({"role": "assistant", "content": message.content})
        return _said(message)


def _attached(each: Attachment) -> dict[str, Any]:
    source: dict[str, Any]
    if each.url:
        source = {"type": "url", "url": each.url}
    else:
        media_type = "image/png" if isinstance(each, Image) else "application/pdf"
        source = {"type": "base64", "media_type": media_type, "data": each.data}
    return {"type": "image" if isinstance(each, Image) else "document", "source": source}


def _asked(wishes: Wishes) -> dict[str, Any]:
    ask: dict[str, Any] = {"max_tokens": wishes.max_tokens}
    if wishes.system:
        ask["system"] = wishes.system
    tools: list[Any] = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.schema}
        for tool in wishes.tools
    ]
    if wishes.search:
        tools.append({"type": "web_search_20250305", "name": "web_search", "max_uses": 3})
    if tools:
        ask["tools"] = tools
    if wishes.choice is not None or not wishes.parallel:
        kind = wishes.choice if wishes.choice in ("any", "none", None) else "tool"
        ask["tool_choice"] = {"type": kind or "auto"}
        if kind == "tool":
            ask["tool_choice"]["name"] = wishes.choice
        if not wishes.parallel:
            ask["tool_choice"]["disable_parallel_tool_use"] = True
    if wishes.schema is not None:
        ask["output_config"] = {"format": {"type": "json_schema", "schema": wishes.schema}}
    if wishes.think:
        ask["thinking"] = {"type": "enabled", "budget_tokens": 2000}
    if wishes.stop:
        ask["stop_sequences"] = list(wishes.stop)
    return ask


def _said(message: Message) -> Said:
    text, reasoning = "", ""
    calls: list[Called] = []
    cited: list[str] = []
    for block in message.content:
        match block.type:
            case "text":
                text += block.text
                cited += [url for each in block.citations or () if (url := getattr(each, "url", None))]
            case "thinking":
                reasoning += block.thinking
            case "tool_use":
                calls.append(Called(block.id, block.name, block.input))
            case _:
                pass
    usage = message.usage
    return Said(
        text=text,
        model=message.model,
        finish=_FINISHES.get(message.stop_reason, "other"),
        input_tokens=usage.input_tokens
        + (usage.cache_read_input_tokens or 0)
        + (usage.cache_creation_input_tokens or 0),
        output_tokens=usage.output_tokens,
        reasoning=reasoning,
        calls=tuple(calls),
        cited=tuple(cited),
    )
