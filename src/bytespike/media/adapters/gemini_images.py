"""Gemini's image output, which the nano-banana family is asked in: generateContent, with pictures among the parts of its
answer.

    generationConfig: {responseModalities: ["TEXT", "IMAGE"], imageConfig: {aspectRatio, imageSize}, seed}

One call draws one picture. Models that think draw drafts on the way (parts with `thought: true`): those are neither
delivered nor billed. A refusal is a 200 without a picture: a prompt that is blocked, or a candidate whose finishReason
says why.

Source: ai.google.dev/gemini-api/docs/image-generation; the types of the google-genai SDK (`ImageConfig`, `FinishReason`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.notices import Notice
from bytespike.errors import ContentPolicyViolation, GatewayError, UpstreamError
from bytespike.media.adapter import UpstreamCall
from bytespike.media.adapters.answers import MESSAGE_CHARS_MAX, read, refusal
from bytespike.media.adapters.seeds import seeds
from bytespike.media.drawing import Asked, Drawing, Drawn, Tokens
from bytespike.media.order import Order
from bytespike.protocols.gemini import errors as gemini_errors
from bytespike.wire import json

API: Final = "Gemini's generateContent"
_JSON: Final = (b"content-type", b"application/json")
_AVOID: Final = "\n\nAvoid: "
#: Reasons with which a safety system ends an answer.
_POLICY: Final = frozenset(
    {
        "SAFETY",
        "IMAGE_SAFETY",
        "PROHIBITED_CONTENT",
        "IMAGE_PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "RECITATION",
        "IMAGE_RECITATION",
    }
)


class _Blob(Struct, rename="camel"):
    data: str = ""


class _Part(Struct, rename="camel"):
    text: str | None = None
    thought: bool = False
    inline_data: _Blob | None = None


class _Content(Struct):
    parts: list[_Part] | None = None


class _Candidate(Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None


class _Feedback(Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class _Modality(Struct, rename="camel"):
    modality: str = ""
    token_count: int = 0


class _Usage(Struct, rename="camel"):
    prompt_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    prompt_tokens_details: list[_Modality] | None = None


class _Answer(Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None


_answer = msgspec.json.Decoder(_Answer)


class GeminiImages:
    """`media.drawing.ImageAdapter` for Gemini's image output."""

    def ask(self, order: Order, upstream_model: str) -> Asked:
        del upstream_model  # in the path
        parts: list[JSON] = [
            {"inlineData": {"mimeType": each.media_type, "data": each.data}} for each in order.pictures
        ]
        notices: list[Notice] = []
        text = order.prompt
        if order.negative_prompt:
            text += _AVOID + order.negative_prompt
            notices.append(Notice("negative_prompt", "approximated", "said in the prompt"))
        parts.append({"text": text})
        config: JSONObject = {"responseModalities": ["TEXT", "IMAGE"]}
        picture: JSONObject = {}
        if order.aspect_ratio:
            picture["aspectRatio"] = order.aspect_ratio
        if order.resolution:
            picture["imageSize"] = order.resolution
        if picture:
            config["imageConfig"] = picture
        body: JSONObject = {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}
        calls: list[UpstreamCall] = []
        for seed in seeds(order):
            if seed is not None:
                config["seed"] = seed
            calls.append(UpstreamCall(b"POST", b"", (_JSON,), json.encode(body)))
        return Asked(tuple(calls), tuple(notices))

    def read(self, body: bytes) -> Drawing:
        answer = read(_answer, body, API)
        images: list[Drawn] = []
        said: list[str] = []
        for candidate in answer.candidates or ():
            for part in (candidate.content.parts if candidate.content is not None else None) or ():
                if part.thought:
                    continue
                if part.inline_data is not None and part.inline_data.data:
                    images.append(Drawn(part.inline_data.data))
                elif part.text:
                    said.append(part.text)
        if not images:
            raise _none(answer, "".join(said))
        return Drawing(tuple(images), text="".join(said), tokens=_tokens(answer.usage_metadata))

    def reader(self) -> None:
        """It is not asked to stream: what comes by and by are words."""

    def refused(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> GatewayError:
        return refusal(gemini_errors.read_error, status, headers, body)


def _none(answer: _Answer, said: str) -> GatewayError:
    """Why there is no picture, as far as the answer says so. It is about the request: another channel has the same model."""
    feedback = answer.prompt_feedback
    if feedback is not None and feedback.block_reason:
        message = feedback.block_reason_message or f"The prompt was blocked ({feedback.block_reason})."
        return _about_request(ContentPolicyViolation(message[:MESSAGE_CHARS_MAX], param="prompt"))
    for candidate in answer.candidates or ():
        if candidate.finish_reason in _POLICY:
            message = candidate.finish_message or f"The image was refused ({candidate.finish_reason})."
            return _about_request(ContentPolicyViolation(message[:MESSAGE_CHARS_MAX], param="prompt"))
    if said:
        return _about_request(
            UpstreamError(f"The model answered in words and drew nothing: {said[:MESSAGE_CHARS_MAX]}")
        )
    return UpstreamError("The upstream's answer has no image.")


def _about_request(error: GatewayError) -> GatewayError:
    error.about = "request"
    return error


def _tokens(usage: _Usage | None) -> Tokens | None:
    if usage is None:
        return None
    pictures = sum(each.token_count for each in usage.prompt_tokens_details or () if each.modality == "IMAGE")
    return Tokens(
        usage.prompt_token_count,
        usage.candidates_token_count + usage.thoughts_token_count,
        max(usage.prompt_token_count - pictures, 0),
        pictures,
    )
