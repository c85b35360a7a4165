"""Ark's image generation API, as the adapter writes and reads it: the vendor's documented examples."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.errors import ContentPolicyViolation, UpstreamError
from bytespike.media.adapters.ark_images import ArkImages
from bytespike.media.drawing import Drawing, Step, Tokens
from bytespike.media.order import Order, Picture

ADAPTER = ArkImages()
MODEL = "doubao-seedream-4-0-250828"
REFERENCE = Picture("reference", "image/png", "iVBORw0KGgo=")
REFUSED = {"code": "OutputImageSensitiveContentDetected", "message": "It may contain sensitive information."}


def order(**changes: Any) -> Order:
    return Order("image", "A vivid close-up editorial portrait", **changes)


def bodies(made: Order) -> list[dict[str, Any]]:
    return [json.loads(call.body) for call in ADAPTER.ask(made, MODEL).calls]


def sse(*events: dict[str, Any]) -> bytes:
    framed = (b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)
    return b"".join([*framed, b"data: [DONE]\n\n"])


def steps(data: bytes) -> list[Step]:
    reader = ADAPTER.reader()
    return [*reader.feed(data), *reader.end()]


def test_the_documented_request_for_one_picture() -> None:
    (call,) = ADAPTER.ask(order(size="2K", watermark=False), MODEL).calls
    assert (call.method, call.target) == (b"POST", b"/images/generations")
    assert json.loads(call.body) == {
        "model": MODEL,
        "prompt": "A vivid close-up editorial portrait",
        "size": "2K",
        "sequential_image_generation": "disabled",
        "response_format": "b64_json",
        "watermark": False,
    }


def test_one_picture_is_given_as_text_and_several_as_a_list() -> None:
    (one,) = bodies(order(pictures=(REFERENCE,)))
    assert one["image"] == "data:image/png;base64,iVBORw0KGgo="
    (two,) = bodies(order(pictures=(REFERENCE, REFERENCE)))
    assert two["image"] == ["data:image/png;base64,iVBORw0KGgo="] * 2


def test_sides_are_said_in_pixels() -> None:
    (body,) = bodies(order(size="1024x1024", width=1920, height=1920, output_format="png", seed=3))
    assert (body["size"], body["output_format"], body["seed"]) == ("1920x1920", "png", 3)


def test_several_pictures_are_several_calls_with_a_seed_each() -> None:
    assert [body.get("seed") for body in bodies(order(n=3, seed=5))] == [5, 6, 7]
    assert [body.get("seed") for body in bodies(order(n=2))] == [None, None]
    assert all(body["sequential_image_generation"] == "disabled" for body in bodies(order(n=2)))
    assert not any("stream" in body for body in bodies(order(n=2, stream=True)))


def test_a_sequence_is_one_call_for_so_many() -> None:
    (body,) = bodies(order(n=4, stream=True, seed=5, extras={"sequential_image_generation": "auto"}))
    assert body["sequential_image_generation"] == "auto"
    assert body["sequential_image_generation_options"] == {"max_images": 4}
    assert (body["stream"], body["seed"]) == (True, 5)


def test_a_negative_prompt_is_said_in_the_prompt_and_told() -> None:
    asked = ADAPTER.ask(order(negative_prompt="fog"), MODEL)
    assert json.loads(asked.calls[0].body)["prompt"].endswith("\n\nAvoid: fog")
    assert [str(notice) for notice in asked.notices] == ["negative_prompt: approximated (said in the prompt)"]


def test_the_documented_answer() -> None:
    told = {
        "model": MODEL,
        "created": 1757321139,
        "data": [{"url": "https://ark.example/a.jpeg", "size": "3104x1312"}],
        "usage": {"generated_images": 1, "output_tokens": 15908, "total_tokens": 15908},
    }
    found = ADAPTER.read(json.dumps(told).encode())
    assert [each.url for each in found.images] == ["https://ark.example/a.jpeg"]
    assert (found.size, found.tokens, found.failed) == ("3104x1312", Tokens(output=15908), None)


def test_pictures_of_a_sequence_may_fail_one_by_one() -> None:
    told = {"data": [{"b64_json": "QUJD", "size": "2048x2048"}, {"error": REFUSED}]}
    found = ADAPTER.read(json.dumps(told).encode())
    assert len(found.images) == 1
    assert isinstance(found.failed, ContentPolicyViolation)
    with pytest.raises(ContentPolicyViolation):
        ADAPTER.read(json.dumps({"data": [{"error": REFUSED}]}).encode())
    with pytest.raises(UpstreamError):
        ADAPTER.read(b'{"data": []}')


def test_the_documented_stream() -> None:
    found = steps(
        sse(
            {
                "type": "image_generation.partial_succeeded",
                "model": MODEL,
                "created": 1589478378,
                "image_index": 0,
                "b64_json": "QUJD",
                "size": "2048x2048",
            },
            {
                "type": "image_generation.partial_failed",
                "model": MODEL,
                "created": 1589478378,
                "image_index": 1,
                "error": REFUSED,
            },
            {
                "type": "image_generation.completed",
                "model": MODEL,
                "created": 1589478378,
                "usage": {"generated_images": 1, "output_tokens": 16384, "total_tokens": 16384},
            },
        )
    )
    first, second, last = found
    assert isinstance(first, Drawing)
    assert first.images[0].data == "QUJD"
    assert isinstance(second, Drawing)
    assert second.images == ()
    assert isinstance(second.failed, ContentPolicyViolation)
    assert last == Drawing(tokens=Tokens(output=16384))


def test_a_stream_that_breaks_off_or_fails() -> None:
    assert isinstance(steps(b"")[-1], UpstreamError)
    (failed,) = steps(b'data: {"error": {"code": "InternalServiceError", "message": "oops"}}\n\n')
    assert isinstance(failed, UpstreamError)


@pytest.mark.parametrize(
    ("status", "code", "kind", "about"),
    [
        (400, "InputTextSensitiveContentDetected", "content_policy_violation", "request"),
        (400, "InvalidParameter", "invalid_param", "request"),
        (403, "AccountOverdueError", "no_available_channel", "channel"),
        (429, "ModelAccountIpmRateLimitExceeded", "no_available_channel", "channel"),
        (404, "ModelNotOpen", "no_available_channel", "channel"),
    ],
)
def test_refusals(status: int, code: str, kind: str, about: str) -> None:
    body = json.dumps({"error": {"code": code, "message": "m", "param": "", "type": "BadRequest"}}).encode()
    found = ADAPTER.refused(status, {}, body)
    assert (found.code, found.about) == (kind, about)
