"""Conversations with the `openai` SDK through Chat Completions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from tests.support.sdk_talk import PLAIN, Attachment, Called, Finish, Image, Refused, Result, Said, Wishes

_FINISHES: dict[str | None, Finish] = {
    "stop": "stop",
    "tool_calls": "tool_calls",
    "length": "length",
    "content_filter": "refusal",
}


def open_sdk(url: str, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


class ChatTalk:
    def __init__(self, sdk: openai.OpenAI) -> None:
        self._sdk = sdk
        self.messages: list[Any] = []

    def user(self, text: str, *attachments: Attachment) -> None:
        content: list[Any] = [_attached(each) for each in attachments]
        self.messages.append({"role": "user", "content": [*content, {"type": "text", "text": text}]})

    def results(self, results: Sequence[Result]) -> None:
        # The dialect has no mark of failure: the text tells.
        self.messages += [
            {"role": "tool", "tool_call_id": result.call.id, "content": result.text} for result in results
        ]

    def answer(self, model: str, wishes: Wishes = PLAIN, *, stream: bool = False) -> Said:
        system = [{"role": "system", "content": wishes.system}] if wishes.system else []
        ask = {"model": model, "messages": [*system, *self.messages], **_asked(wishes)}
        try:
            completion = self._streamed(ask) if stream else self._sdk.chat.completions.create(**ask)
        except openai.APIError as error:
            status = getattr(error, "status_code", 0)
            raise Refused(type(error), status, error.message, error.code or "") from error
        message = completion.choices[0].message
        # Not the object itself: what the helper adds for its users (`parsed`) is no part of the wire.
        self.messages.append(_sent_back(message.model_dump(exclude_none=True)))
        return _said(completion)

    def _streamed(self, ask: dict[str, Any]) -> ChatCompletion:
        with self._sdk.chat.completions.stream(**ask, stream_options={"include_usage": True}) as events:
            for _ in events:
                pass
            try:
                return events.get_final_completion()
            except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
                # The helper has no final completion for an answer that was cut off.
                return events.current_completion_snapshot


def _sent_back(message: dict[str, Any]) -> dict[str, Any]:
    message.pop("parsed", None)
    for call in message.get("tool_calls", ()):
        call.get("function", {}).pop("parsed_arguments", None)
        call.pop("index", None)
    return message


def _attached(each: Attachment) -> dict[str, Any]:
    if isinstance(each, Image):
        return {
            "type": "image_url",
            "image_url": {"url": each.url or f"data:image/png;base64,{each.data}"},
        }
    assert each.data, "chat has no documents by URL"
    return {
        "type": "file",
        "file": {"filename": "paper.pdf", "file_data": f"data:application/pdf;base64,{each.data}"},
    }


def _asked(wishes: Wishes) -> dict[str, Any]:
    ask: dict[str, Any] = {"max_completion_tokens": wishes.max_tokens}
    if wishes.tools:
        ask["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.schema,
                    "strict": True,
                },
            }
            for tool in wishes.tools
        ]
    if wishes.choice == "any":
        ask["tool_choice"] = "required"
    elif wishes.choice == "none":
        ask["tool_choice"] = "none"
    elif wishes.choice is not None:
        ask["tool_choice"] = {"type": "function", "function": {"name": wishes.choice}}
    if not wishes.parallel:
        ask["parallel_tool_calls"] = False
    if wishes.schema is not None:
        ask["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "wanted", "schema": wishes.schema, "strict": True},
        }
    if wishes.think:
        ask["reasoning_effort"] = "high"
    if wishes.stop:
        ask["stop"] = list(wishes.stop)
    if wishes.search:
        ask["web_search_options"] = {}
    return ask


def _said(completion: ChatCompletion) -> Said:
    choice = completion.choices[0]
    message = choice.message
    usage = completion.usage
    assert usage is not None
    details = usage.completion_tokens_details
    calls = []
    for call in message.tool_calls or ():
        assert call.type == "function"
        calls.append(Called(call.id, call.function.name, json.loads(call.function.arguments)))
    return Said(
        text=message.content or message.refusal or "",
        model=completion.model,
        finish="refusal" if message.refusal else _FINISHES.get(choice.finish_reason, "other"),
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        reasoning=(message.model_extra or {}).get("reasoning_content") or "",
        reasoning_tokens=details.reasoning_tokens if details else None,
        calls=tuple(calls),
        cited=tuple(each.url_citation.url for each in message.annotations or ()),
    )
