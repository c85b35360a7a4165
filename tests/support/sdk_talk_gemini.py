"""Conversations with the `google-genai` SDK, by its chats."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from google import genai
from google.genai import errors
from google.genai import types as t

from tests.support.sdk_talk import PLAIN, Attachment, Called, Finish, Image, Refused, Result, Said, Wishes

_FINISHES: dict[str, Finish] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "refusal",
    "PROHIBITED_CONTENT": "refusal",
}


def open_sdk(url: str, key: str) -> genai.Client:
    return genai.Client(api_key=key, http_options=t.HttpOptions(base_url=url))


class GeminiTalk:
    def __init__(self, sdk: genai.Client) -> None:
        self._sdk = sdk
        self.history: list[t.Content] = []
        self._next: list[t.Part] = []

    def user(self, text: str, *attachments: Attachment) -> None:
        self._next += [*(_attached(each) for each in attachments), t.Part.from_text(text=text)]

    def results(self, results: Sequence[Result]) -> None:
        self._next += [
            t.Part(
                function_response=t.FunctionResponse(
                    id=result.call.id or None,
                    name=result.call.name,
                    response={"error" if result.failed else "output": result.text},
                )
            )
            for result in results
        ]

    def answer(self, model: str, wishes: Wishes = PLAIN, *, stream: bool = False) -> Said:
        chat = self._sdk.chats.create(model=model, config=_config(wishes), history=self.history)
        try:
            if stream:
                chunks = list(chat.send_message_stream(self._next))
            else:
                chunks = [chat.send_message(self._next)]
        except errors.APIError as error:
            raise Refused(type(error), error.code, error.message or "") from error
        self._next = []
        self.history = chat.get_history()
        return _said(chunks)


def _attached(each: Attachment) -> t.Part:
    mime_type = "image/png" if isinstance(each, Image) else "application/pdf"
    if each.url:
        return t.Part.from_uri(file_uri=each.url, mime_type=mime_type)
    return t.Part.from_bytes(data=base64.b64decode(each.data), mime_type=mime_type)


def _config(wishes: Wishes) -> t.GenerateContentConfig:
    config = t.GenerateContentConfig(max_output_tokens=wishes.max_tokens)
    if wishes.system:
        config.system_instruction = wishes.system
    tools: list[Any] = []
    if wishes.tools:
        tools.append(
            t.Tool(
                function_declarations=[
                    t.FunctionDeclaration(
                        name=tool.name, description=tool.description, parameters_json_schema=tool.schema
                    )
                    for tool in wishes.tools
                ]
            )
        )
    if wishes.search:
        tools.append(t.Tool(google_search=t.GoogleSearch()))
    if tools:
        config.tools = tools
    if wishes.choice is not None:
        mode = {"any": "ANY", "none": "NONE"}.get(wishes.choice, "ANY")
        names = None if wishes.choice in ("any", "none") else [wishes.choice]
        config.tool_config = t.ToolConfig(
            function_calling_config=t.FunctionCallingConfig(
                mode=t.FunctionCallingConfigMode(mode), allowed_function_names=names
            )
        )
    assert wishes.parallel, "Gemini has no word against parallel calls"
    if wishes.schema is not None:
        config.response_mime_type = "application/json"
        config.response_json_schema = wishes.schema
    if wishes.think:
        config.thinking_config = t.ThinkingConfig(include_thoughts=True, thinking_level=t.ThinkingLevel.HIGH)
    if wishes.stop:
        config.stop_sequences = list(wishes.stop)
    return config


def _said(chunks: Sequence[t.GenerateContentResponse]) -> Said:
    text, reasoning, finish = "", "", ""
    calls: list[Called] = []
    cited: tuple[str, ...] = ()
    usage = None
    for chunk in chunks:
        usage = chunk.usage_metadata or usage
        if chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
            finish = str(chunk.prompt_feedback.block_reason.value)
        for candidate in chunk.candidates or ():
            finish = candidate.finish_reason.value if candidate.finish_reason else finish
            grounding = candidate.grounding_metadata
            if grounding and grounding.grounding_chunks:
                # Each chunk of a stream that has grounding has all of it so far.
                pages = [each.web for each in grounding.grounding_chunks if each.web]
                cited = tuple(page.uri for page in pages if page.uri)
            for part in (candidate.content.parts if candidate.content else None) or ():
                if part.function_call is not None:
                    call = part.function_call
                    calls.append(Called(call.id or "", call.name or "", call.args or {}))
                elif part.thought:
                    reasoning += part.text or ""
                else:
                    text += part.text or ""
    assert usage is not None
    kind = _FINISHES.get(finish, "other")
    return Said(
        text=text,
        model=chunks[-1].model_version or "",
        finish="tool_calls" if kind == "stop" and calls else kind,
        input_tokens=usage.prompt_token_count or 0,
        output_tokens=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
        reasoning=reasoning,
        reasoning_tokens=usage.thoughts_token_count or 0,
        calls=tuple(calls),
        cited=cited,
    )
