"""OpenAI's Images API, as the adapter writes and reads it: the SDK's own types, its documented examples, recorded answers."""

from __future__ import annotations

import base64
import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, get_type_hints

import pytest
from openai.types import ImageGenCompletedEvent, ImageGenPartialImageEvent, ImagesResponse
from openai.types.image_edit_params import ImageEditParamsStreaming
from openai.types.image_generate_params import ImageGenerateParamsNonStreaming, ImageGenerateParamsStreaming
from pydantic import TypeAdapter

from bytespike.errors import ContentPolicyViolation, GatewayError, UpstreamError
from bytespike.media.adapter import UpstreamCall
from bytespike.media.adapters.openai_images import OpenAIImages
from bytespike.media.drawing import Drawing, Partial, Step, Tokens
from bytespike.media.order import Order, Picture
from tests.support.recordings import ROOT

ADAPTER = OpenAIImages()
PNG = b"\x89PNG\r\n\x1a\n--boundary\r\n" + bytes(range(256))
REFERENCE = Picture("reference", "image/png", base64.b64encode(PNG).decode())
MASK = Picture("mask", "image/png", base64.b64encode(PNG[::-1]).decode())
#: The example of the API reference.
COMPLETED = {
    "type": "image_generation.completed",
    "b64_json": "QUJD",
    "created_at": 1620000000,
    "size": "1024x1024",
    "quality": "high",
    "background": "transparent",
    "output_format": "png",
    "usage": {
        "total_tokens": 100,
        "input_tokens": 50,
        "output_tokens": 50,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    },
}
PARTIAL = {**COMPLETED, "type": "image_generation.partial_image", "partial_image_index": 0}


def order(**changes: Any) -> Order:
    return Order("image", "A cute baby sea otter", **changes)


def call_of(made: Order) -> UpstreamCall:
    (call,) = ADAPTER.ask(made, "gpt-image-2").calls
    return call


def checked(body: dict[str, Any], kind: Any) -> dict[str, Any]:
    """A body whose members are the SDK's, with values that it allows."""
    TypeAdapter(kind).validate_python(body)
    assert body.keys() <= get_type_hints(kind).keys()
    return body


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)


def steps(data: bytes, cut: int = 0) -> list[Step]:
    reader = ADAPTER.reader()
    size = cut or len(data) or 1
    found = [step for at in range(0, len(data), size) for step in reader.feed(data[at : at + size])]
    return [*found, *reader.end()]


def test_the_documented_request_of_a_generation() -> None:
    call = call_of(order(n=1, width=1024, height=1024, size="1024x1024"))
    assert (call.method, call.target, dict(call.headers)) == (
        b"POST",
        b"/images/generations",
        {b"content-type": b"application/json"},
    )
    assert json.loads(call.body) == {
        "model": "gpt-image-2",
        "prompt": "A cute baby sea otter",
        "n": 1,
        "size": "1024x1024",
    }


def test_everything_that_may_be_asked_for_is_the_sdks() -> None:
    made = order(
        n=2,
        size="auto",
        quality="high",
        background="transparent",
        output_format="webp",
        output_compression=50,
        user="u1",
        extras={"moderation": "low", "safety_identifier": "s1"},
    )
    body = checked(json.loads(call_of(made).body), ImageGenerateParamsNonStreaming)
    assert body["moderation"] == "low"
    assert "response_format" not in body, "GPT Image refuses it"


def test_a_stream_says_how_many_partial_images() -> None:
    body = checked(
        json.loads(call_of(order(stream=True, partial_images=2)).body), ImageGenerateParamsStreaming
    )
    assert (body["stream"], body["partial_images"]) == (True, 2)


def test_an_edit_is_a_form_with_files() -> None:
    made = order(
        pictures=(REFERENCE, REFERENCE, MASK),
        stream=True,
        partial_images=1,
        extras={"input_fidelity": "high", "moderation": "low"},
    )
    call = call_of(made)
    assert call.target == b"/images/edits"
    content_type = dict(call.headers)[b"content-type"]
    message = BytesParser(policy=HTTP).parsebytes(b"content-type: " + content_type + b"\r\n\r\n" + call.body)
    fields: dict[str, Any] = {}
    files: list[tuple[str, str | None, str, bytes]] = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if part.get_filename() is None:
            fields[name] = part.get_payload()
        else:
            files.append((name, part.get_filename(), part.get_content_type(), part.get_payload(decode=True)))
    assert fields == {
        "model": "gpt-image-2",
        "prompt": "A cute baby sea otter",
        "n": "1",
        "stream": "true",
        "partial_images": "1",
        "input_fidelity": "high",
    }
    assert fields.keys() <= get_type_hints(ImageEditParamsStreaming).keys()
    assert files == [
        ("image[]", "image0.png", "image/png", PNG),
        ("image[]", "image1.png", "image/png", PNG),
        ("mask", "mask.png", "image/png", PNG[::-1]),
    ]


def test_the_documented_answer() -> None:
    told = {
        "created": 1713833628,
        "data": [{"b64_json": "QUJD"}],
        "background": "opaque",
        "output_format": "png",
        "size": "1024x1024",
        "quality": "high",
        "usage": COMPLETED["usage"],
    }
    ImagesResponse.model_validate(told, strict=True)
    found = ADAPTER.read(json.dumps(told).encode())
    assert [each.data for each in found.images] == ["QUJD"]
    assert (found.quality, found.size, found.background, found.output_format) == (
        "high",
        "1024x1024",
        "opaque",
        "png",
    )
    assert found.tokens == Tokens(50, 50, 10, 40)


@pytest.mark.traffic
@pytest.mark.skipif(not ROOT.is_dir(), reason="no recorded traffic here")
@pytest.mark.parametrize("folder", ["openai-images-media", "xai-media"])
def test_recorded_answers_are_read(folder: str) -> None:
    seen = 0
    for path in sorted((ROOT / "streams" / folder).glob("*.json")):
        told = json.loads(path.read_text())
        if "/images/" not in told["path"]:
            continue
        seen += 1
        body = json.dumps(told["response"]).encode()
        if told["status"] == 200:
            found = ADAPTER.read(body)
            assert [(each.data, each.url, each.revised_prompt) for each in found.images] == [
                (each.get("b64_json", ""), each.get("url", ""), each.get("revised_prompt", ""))
                for each in told["response"]["data"]
            ]
        else:
            error = ADAPTER.refused(told["status"], {}, body)
            assert error.about == "request"
            assert error.message == told["response"]["error"]["message"]
            assert error.param == told["response"]["error"]["param"]
    assert seen


@pytest.mark.parametrize("cut", [0, 1, 7, 1000])
def test_a_stream_is_read_however_it_is_cut(cut: int) -> None:
    ImageGenPartialImageEvent.model_validate(PARTIAL, strict=True)
    ImageGenCompletedEvent.model_validate(COMPLETED, strict=True)
    second = {**PARTIAL, "partial_image_index": 1, "b64_json": "REVG"}
    found = steps(sse(PARTIAL, second, COMPLETED), cut)
    assert found[:2] == [Partial(0, "QUJD"), Partial(1, "REVG")]
    (last,) = found[2:]
    assert isinstance(last, Drawing)
    assert last.images[0].data == "QUJD"
    assert last.tokens == Tokens(50, 50, 10, 40)


def test_an_edits_events_are_read_too() -> None:
    partial = {**PARTIAL, "type": "image_edit.partial_image"}
    found = steps(sse(partial, {**COMPLETED, "type": "image_edit.completed"}))
    assert [type(step) for step in found] == [Partial, Drawing]


@pytest.mark.parametrize("events", [(), (PARTIAL,)])
def test_a_stream_that_ends_before_its_picture_has_failed(events: tuple[dict[str, Any], ...]) -> None:
    last = steps(sse(*events))[-1]
    assert isinstance(last, UpstreamError)


@pytest.mark.parametrize(
    "data",
    [
        b"data: {broken\n\n",
        b"data: [1]\n\n",
        b'data: {"type": 7}\n\n',
        b'data: {"type": "image_generation.partial_image", "b64_json": 1}\n\n',
    ],
)
def test_nonsense_in_a_stream_is_the_upstreams_failure_and_nothing_is_read_after_it(data: bytes) -> None:
    reader = ADAPTER.reader()
    (failed,) = reader.feed(data)
    assert isinstance(failed, UpstreamError)
    assert reader.feed(sse(COMPLETED)) == []
    assert reader.end() == []


def test_an_error_in_a_stream_says_whose_fault_it_is() -> None:
    blocked = {"type": "error", "error": {"code": "moderation_blocked", "message": "no", "type": "x"}}
    (policy,) = steps(sse(blocked))
    assert isinstance(policy, ContentPolicyViolation)
    broken = {"type": "error", "error": {"type": "server_error", "code": "server_error", "message": "oops"}}
    (failed,) = steps(sse(PARTIAL, broken))[1:]
    assert isinstance(failed, GatewayError)
    assert failed.about == "upstream"


@pytest.mark.parametrize(
    ("status", "error", "kind", "about"),
    [
        (
            400,
            {"code": "moderation_blocked", "type": "image_generation_user_error"},
            "content_policy_violation",
            "request",
        ),
        (400, {"code": "invalid_value", "param": "size"}, "invalid_param", "request"),
        (401, {"code": "invalid_api_key"}, "no_available_channel", "channel"),
        (429, {"code": "rate_limit_exceeded"}, "no_available_channel", "channel"),
        (500, {"code": "server_error"}, "upstream_error", "upstream"),
    ],
)
def test_refusals(status: int, error: dict[str, Any], kind: str, about: str) -> None:
    found = ADAPTER.refused(status, {}, json.dumps({"error": {"message": "m", **error}}).encode())
    assert (found.code, found.about) == (kind, about)
