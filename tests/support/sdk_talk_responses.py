"""Conversations with the `openai` SDK through Responses: by items, or by `previous_response_id`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import openai
from openai.types.responses import Response

from tests.support.sdk_talk import PLAIN, Attachment, Called, Finish, Image, Refused, Result, Said, Wishes


class ResponsesTalk:
    """Everything is sent each time, and nothing is stored."""

    def __init__(self, sdk: openai.OpenAI) -> None:
        self._sdk = sdk
        self.items: list[Any] = []

    def user(self, text: str, *attachments: Attachment) -> None:
        content = [_attached(each) for each in attachments]
        self.items.append({"role": "user", "content": [*content, {"type": "input_text", "text": text}]})

    def results(self, results: Sequence[Result]) -> None:
        self.items += [
            {"type": "function_call_output", "call_id": result.call.id, "output": result.text}
            for result in results
        ]

    def answer(self, model: str, wishes: Wishes = PLAIN, *, stream: bool = False) -> Said:
        ask = {"model": model, "input": self.items, **_asked(wishes), **self._keeping(wishes)}
        try:
            if stream:
                with self._sdk.responses.stream(**ask) as events:
                    response = _last(list(events))
            else:
                response = self._sdk.responses.create(**ask)
        except openai.APIError as error:
            status = getattr(error, "status_code", 0)
            raise Refused(type(error), status, error.message, error.code or "") from error
        self._went_on(response)
        return _said(response)

    def _keeping(self, wishes: Wishes) -> dict[str, Any]:
        return {"store": False, "include": ["reasoning.encrypted_content"]}

    def _went_on(self, response: Response) -> None:
        for item in response.output:
            dumped = item.model_dump(exclude_none=True)
            # What the streaming helper adds for its users is no part of the wire.
            dumped.pop("parsed_arguments", None)
            for part in dumped.get("content") or ():
                part.pop("parsed", None)
            self.items.append(dumped)


class ChainedTalk(ResponsesTalk):
    """Only what is new is sent: the gateway keeps the rest."""

    def __init__(self, sdk: openai.OpenAI) -> None:
        super().__init__(sdk)
        self.previous: str | None = None

    def _keeping(self, wishes: Wishes) -> dict[str, Any]:
        return {"previous_response_id": self.previous} if self.previous else {}

    def _went_on(self, response: Response) -> None:
        self.previous = response.id
        self.items = []


def _last(events: Sequence[Any]) -> Response:
    """The helper has a name for a response that is whole, but none for one that was cut short or that failed."""
    event = events[-1]
    if event.type == "response.failed":
        error = event.response.error
        raise Refused(openai.APIError, 0, error.message, error.code)
    assert event.type in ("response.completed", "response.incomplete"), event.type
    return event.response


def _attached(each: Attachment) -> dict[str, Any]:
    if isinstance(each, Image):
        return {
            "type": "input_image",
            "image_url": each.url or f"data:image/png;base64,{each.data}",
            "detail": "auto",
        }
    if each.url:
        return {"type": "input_file", "file_url": each.url}
    return {
        "type": "input_file",
        "filename": "paper.pdf",
        "file_data": f"data:application/pdf;base64,{each.data}",
    }


def _asked(wishes: Wishes) -> dict[str, Any]:
    ask: dict[str, Any] = {"max_output_tokens": wishes.max_tokens}
    if wishes.system:
        ask["instructions"] = wishes.system
    tools: list[Any] = [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.schema,
            "strict": True,
        }
        for tool in wishes.tools
    ]
    if wishes.search:
        tools.append({"type": "web_search"})
    if tools:
        ask["tools"] = tools
    if wishes.choice is not None:
        names: dict[str, Any] = {"any": "required", "none": "none"}
        ask["tool_choice"] = names.get(wishes.choice) or {"type": "function", "name": wishes.choice}
    if not wishes.parallel:
        ask["parallel_tool_calls"] = False
    if wishes.schema is not None:
        ask["text"] = {
            "format": {"type": "json_schema", "name": "wanted", "schema": wishes.schema, "strict": True}
        }
    if wishes.think:
        ask["reasoning"] = {"effort": "high", "summary": "auto"}
    assert not wishes.stop, "Responses has no stop sequences"
    return ask


def _said(response: Response) -> Said:
    text, reasoning = "", ""
    refused = False
    calls: list[Called] = []
    cited: list[str] = []
    for item in response.output:
        match item.type:
            case "message":
                for part in item.content:
                    if part.type == "refusal":
                        refused = True
                        text += part.refusal
                    else:
                        text += part.text
                        cited += [url for each in part.annotations if (url := getattr(each, "url", None))]
            case "reasoning":
                reasoning += "".join(part.text for part in (*item.summary, *(item.content or ())))
            case "function_call":
                calls.append(Called(item.call_id, item.name, json.loads(item.arguments)))
            case _:
                pass
    usage = response.usage
    assert usage is not None
    return Said(
        text=text,
        model=response.model,
        finish=_finish(response, refused=refused, calls=bool(calls)),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        reasoning=reasoning,
        reasoning_tokens=usage.output_tokens_details.reasoning_tokens,
        calls=tuple(calls),
        cited=tuple(cited),
    )


def _finish(response: Response, *, refused: bool, calls: bool) -> Finish:
    if response.status == "incomplete":
        why = response.incomplete_details
        if why is not None and why.reason == "max_output_tokens":
            return "length"
        return "refusal" if why is not None and why.reason == "content_filter" else "other"
    if refused:
        return "refusal"
    return "tool_calls" if calls else "stop"
