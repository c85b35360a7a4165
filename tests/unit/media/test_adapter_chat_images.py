"""Pictures inside of a chat answer, as the adapter asks for them and finds them, wherever servers put them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from bytespike.errors import ContentPolicyViolation, UpstreamError
from bytespike.media.adapters.chat_images import ChatImages, read_message
from bytespike.media.drawing import Drawn, Tokens
from bytespike.media.order import Order, Picture

ADAPTER = ChatImages()
REFERENCE = Picture("reference", "image/png", "iVBORw0KGgo=")
INLINE = "data:image/png;base64,QUJD"
URL = "https://files.example/a%20b.png?x=1&y=2"


def order(**changes: Any) -> Order:
    return Order("image", "A koi pond", **changes)


def bodies(made: Order) -> list[dict[str, Any]]:
    found = [json.loads(call.body) for call in ADAPTER.ask(made, "gpt-4o-image").calls]
    for body in found:
        TypeAdapter(CompletionCreateParamsNonStreaming).validate_python(body)
    return found


def answer(reason: str = "stop", **message: Any) -> bytes:
    usage = {"prompt_tokens": 18, "completion_tokens": 14, "total_tokens": 32}
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return json.dumps({"id": "c1", "choices": [choice], "usage": usage}).encode()


def test_words_alone_are_a_plain_message() -> None:
    assert bodies(order(size="1024x1024", width=1024, height=1024, quality="medium")) == [
        {"model": "gpt-4o-image", "messages": [{"role": "user", "content": "A koi pond"}]}
    ]


def test_another_size_and_quality_are_asked_for() -> None:
    (body,) = bodies(order(size="2048x2048", width=2048, height=2048, quality="high", user="u1"))
    assert body["image_output"] == {"size": "2048x2048", "quality": "high"}
    assert body["user"] == "u1"


def test_pictures_are_parts_behind_the_words() -> None:
    (body,) = bodies(order(pictures=(REFERENCE,)))
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "A koi pond"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]


def test_several_pictures_are_several_turns() -> None:
    assert len(bodies(order(n=3))) == 3


@pytest.mark.parametrize(
    ("message", "text", "images"),
    [
        ({"content": f"Here:\n\n![a pond]({URL})"}, "Here:", [Drawn(url=URL)]),
        ({"content": f"![image]({INLINE})\n"}, "", [Drawn("QUJD")]),
        ({"content": f"Two ![a]({URL}) and ![b]({INLINE})."}, "Two  and .", [Drawn(url=URL), Drawn("QUJD")]),
        ({"content": f"![a]({URL}) ![again]({URL})"}, "", [Drawn(url=URL)]),
        (
            {
                "content": [
                    {"type": "text", "text": "Here:"},
                    {"type": "image_url", "image_url": {"url": INLINE}},
                ]
            },
            "Here:",
            [Drawn("QUJD")],
        ),
        ({"content": [{"type": "output_image", "image_url": INLINE}]}, "", [Drawn("QUJD")]),
        (
            {"content": "Here:", "images": [{"type": "image_url", "image_url": {"url": INLINE}}]},
            "Here:",
            [Drawn("QUJD")],
        ),
        (
            {"content": "A [link](https://files.example/a.png) is no picture."},
            "A [link](https://files.example/a.png) is no picture.",
            [],
        ),
        ({"content": "![x](javascript:alert(1))"}, "![x](javascript:alert(1))", []),
        ({"content": None}, "", []),
        ({"content": [7, None, "x"], "images": "none"}, "", []),
    ],
    ids=lambda value: str(value)[:50],
)
def test_where_pictures_are(message: dict[str, Any], text: str, images: list[Drawn]) -> None:
    assert read_message(message) == (text, images)


def test_a_long_text_is_looked_through_quickly() -> None:
    text = "![" * 200_000 + "(" * 200_000
    assert read_message({"content": text}) == (text, [])


def test_an_answer_has_its_tokens() -> None:
    found = ADAPTER.read(answer(content=f"![a]({INLINE})"))
    assert (found.images, found.tokens) == ((Drawn("QUJD"),), Tokens(18, 14, 18))


def test_an_answer_in_words_says_what_they_were() -> None:
    with pytest.raises(UpstreamError, match="Which colour") as failed:
        ADAPTER.read(answer(content="Which colour?"))
    assert failed.value.about == "request"


@pytest.mark.parametrize(
    "body", [answer("content_filter", content=None), answer(content=None, refusal="I cannot draw that.")]
)
def test_a_refusal(body: bytes) -> None:
    with pytest.raises(ContentPolicyViolation) as refused:
        ADAPTER.read(body)
    assert refused.value.about == "request"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"choices": []}', b'{"choices": [7]}', answer(content=""), b"[]"]
)
def test_an_answer_that_makes_no_sense(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        ADAPTER.read(body)


def test_an_error_inside_of_a_success_is_an_error() -> None:
    with pytest.raises(ContentPolicyViolation):
        ADAPTER.read(b'{"error": {"code": "content_policy_violation", "message": "no"}}')
