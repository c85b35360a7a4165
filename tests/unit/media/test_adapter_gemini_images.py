"""Gemini's image output, as the adapter writes and reads it: the SDK's own types and the vendor's examples."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from bytespike.errors import ContentPolicyViolation, UpstreamError
from bytespike.media.adapters.gemini_images import GeminiImages
from bytespike.media.drawing import Tokens
from bytespike.media.order import Order, Picture

ADAPTER = GeminiImages()
REFERENCE = Picture("reference", "image/png", "iVBORw0KGgo=")


def order(**changes: Any) -> Order:
    return Order("image", "A nano banana dish", **changes)


def bodies(made: Order) -> list[dict[str, Any]]:
    found = [json.loads(call.body) for call in ADAPTER.ask(made, "gemini-3-pro-image-preview").calls]
    for body in found:
        types.GenerateContentConfig.model_validate(body["generationConfig"])
        for content in body["contents"]:
            types.Content.model_validate(content)
    return found


def answer(*parts: dict[str, Any], reason: str = "STOP", **more: Any) -> bytes:
    told = {
        "candidates": [
            {"content": {"role": "model", "parts": list(parts)}, "finishReason": reason, "index": 0}
        ],
        **more,
    }
    types.GenerateContentResponse.model_validate(told)
    return json.dumps(told).encode()


def image(data: str = "QUJD", **more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": "image/png", "data": data}, **more}


def test_the_documented_request() -> None:
    assert bodies(order(aspect_ratio="16:9", resolution="2K")) == [
        {
            "contents": [{"role": "user", "parts": [{"text": "A nano banana dish"}]}],
            "generationConfig": {
                "responseModalities": ["TEXT", "IMAGE"],
                "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
            },
        }
    ]


def test_what_was_not_asked_for_is_not_said() -> None:
    (body,) = bodies(order())
    assert body["generationConfig"] == {"responseModalities": ["TEXT", "IMAGE"]}


def test_pictures_stand_before_the_words() -> None:
    (body,) = bodies(order(pictures=(REFERENCE, REFERENCE)))
    parts = body["contents"][0]["parts"]
    assert [set(part) for part in parts] == [{"inlineData"}, {"inlineData"}, {"text"}]
    assert parts[0]["inlineData"] == {"mimeType": "image/png", "data": "iVBORw0KGgo="}


def test_several_pictures_are_several_calls_with_a_seed_each() -> None:
    assert [body["generationConfig"].get("seed") for body in bodies(order(n=3, seed=2**31 - 2))] == [
        2**31 - 2,
        2**31 - 1,
        0,
    ]


def test_the_call_goes_to_the_models_own_path() -> None:
    (call,) = ADAPTER.ask(order(), "gemini-2.5-flash-image").calls
    assert (call.method, call.target) == (b"POST", b"")


def test_words_and_a_picture() -> None:
    usage = {
        "promptTokenCount": 270,
        "candidatesTokenCount": 1290,
        "thoughtsTokenCount": 10,
        "totalTokenCount": 1570,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 12},
            {"modality": "IMAGE", "tokenCount": 258},
        ],
    }
    found = ADAPTER.read(answer({"text": "Here it is:"}, image(), usageMetadata=usage))
    assert [each.data for each in found.images] == ["QUJD"]
    assert (found.text, found.tokens) == ("Here it is:", Tokens(270, 1300, 12, 258))


def test_a_draft_of_a_model_that_thinks_is_not_delivered() -> None:
    found = ADAPTER.read(answer(image("RFJBRlQ=", thought=True), {"text": "hm", "thought": True}, image()))
    assert [each.data for each in found.images] == ["QUJD"]
    assert found.text == ""
    with pytest.raises(UpstreamError):
        ADAPTER.read(answer(image("RFJBRlQ=", thought=True)))


@pytest.mark.parametrize(
    "reason", ["IMAGE_SAFETY", "SAFETY", "PROHIBITED_CONTENT", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"]
)
def test_a_safety_systems_reasons_are_the_requests_fault(reason: str) -> None:
    assert reason in types.FinishReason.__members__
    with pytest.raises(ContentPolicyViolation) as refused:
        ADAPTER.read(answer(reason=reason))
    assert refused.value.about == "request"
    assert reason in refused.value.message


def test_a_prompt_that_is_blocked() -> None:
    told = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    types.GenerateContentResponse.model_validate(told)
    with pytest.raises(ContentPolicyViolation, match="PROHIBITED_CONTENT"):
        ADAPTER.read(json.dumps(told).encode())


@pytest.mark.parametrize("reason", ["NO_IMAGE", "IMAGE_OTHER", "OTHER", "MAX_TOKENS"])
def test_other_reasons_are_the_upstreams(reason: str) -> None:
    with pytest.raises(UpstreamError) as failed:
        ADAPTER.read(answer(reason=reason))
    assert failed.value.about == ""


def test_words_alone_are_told_as_what_the_model_said() -> None:
    with pytest.raises(UpstreamError, match="Which colour") as failed:
        ADAPTER.read(answer({"text": "Which colour?"}))
    assert failed.value.about == "request"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"candidates": 7}', b'{"candidates": []}'])
def test_an_answer_that_makes_no_sense(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        ADAPTER.read(body)


@pytest.mark.parametrize(
    ("status", "error", "about"),
    [
        (400, {"status": "INVALID_ARGUMENT", "message": "Invalid aspect ratio"}, "request"),
        (429, {"status": "RESOURCE_EXHAUSTED", "message": "quota"}, "channel"),
        (403, {"status": "PERMISSION_DENIED", "message": "no"}, "channel"),
        (503, {"status": "UNAVAILABLE", "message": "overloaded"}, "upstream"),
    ],
)
def test_refusals(status: int, error: dict[str, Any], about: str) -> None:
    body = json.dumps({"error": {"code": status, **error}}).encode()
    assert ADAPTER.refused(status, {}, body).about == about
