"""OpenAI's Videos API, as the adapter writes and reads it. Examples are those of the SDK's types and of the guide."""

from __future__ import annotations

import base64
import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import get_args

import pytest
from openai.types import Video, VideoSeconds, VideoSize

from bytespike.errors import InvalidRequest, UnsupportedFeature, UpstreamError
from bytespike.media.adapter import Render, UpstreamCall
from bytespike.media.adapters.openai_videos import OpenAIVideos, size_of
from bytespike.media.order import Order, Picture

ADAPTER = OpenAIVideos()
PNG = b"\x89PNG\r\n\x1a\n--boundary\r\n" + bytes(range(256))
#: The job object of the guide.
QUEUED = {
    "id": "video_68d7512d07848190b3e45da0ecbebcde004da08e1e0678d5",
    "object": "video",
    "created_at": 1758941485,
    "status": "queued",
    "model": "sora-2-pro",
    "progress": 0,
    "seconds": "8",
    "size": "1280x720",
}


def order(**changes: object) -> Order:
    return Order("video", "A cat on a stage", **changes)  # pyright: ignore[reportArgumentType]


def parts(call: UpstreamCall) -> dict[str, tuple[bytes, str | None, str]]:
    """The form, read by the standard library's mail parser: bytes, filename, media type by field."""
    content_type = dict(call.headers)[b"content-type"]
    message = BytesParser(policy=HTTP).parsebytes(b"content-type: " + content_type + b"\r\n\r\n" + call.body)
    return {
        part.get_param("name", header="content-disposition"): (
            part.get_payload(decode=True),
            part.get_filename(),
            part.get_content_type(),
        )
        for part in message.iter_parts()
    }


def told(**changes: object) -> bytes:
    return json.dumps({**QUEUED, **changes}).encode()


def test_an_order_is_a_form_with_the_sdks_fields() -> None:
    call = ADAPTER.submit(order(seconds=8, size="1280x720", width=1280, height=720), "sora-2-pro", "task_1")
    assert (call.method, call.target, call.with_credential) == (b"POST", b"/videos", True)
    assert {name: value[0] for name, value in parts(call).items()} == {
        "model": b"sora-2-pro",
        "prompt": b"A cat on a stage",
        "seconds": b"8",
        "size": b"1280x720",
    }
    assert dict(call.headers)[b"idempotency-key"] == b"task_1"


def test_what_the_order_leaves_open_is_the_providers_to_choose() -> None:
    assert set(parts(ADAPTER.submit(order(), "sora-2", "task_1"))) == {"model", "prompt"}


def test_a_prompt_with_other_scripts_and_line_breaks_arrives_as_it_is() -> None:
    prompt = 'Zwei Sätze.\r\n"一只猫" 🎬\r\n--'
    call = ADAPTER.submit(Order("video", prompt), "sora-2", "task_1")
    assert parts(call)["prompt"][0].decode() == prompt


@pytest.mark.parametrize("role", ["reference", "first_frame"])
def test_an_inline_picture_is_a_file_of_the_form(role: str) -> None:
    picture = Picture(role, "image/png", base64.b64encode(PNG).decode())  # pyright: ignore[reportArgumentType]
    data, filename, media_type = parts(ADAPTER.submit(order(pictures=(picture,)), "sora-2", "t"))[
        "input_reference"
    ]
    assert (data, filename, media_type) == (PNG, "reference.png", "image/png")


def test_a_picture_by_url_goes_in_json_as_the_sdks_type_has_it() -> None:
    picture = Picture("first_frame", url="https://example.com/cat.png")
    call = ADAPTER.submit(order(seconds=4, pictures=(picture,)), "sora-2", "task_1")
    assert dict(call.headers)[b"content-type"] == b"application/json"
    assert json.loads(call.body) == {
        "model": "sora-2",
        "prompt": "A cat on a stage",
        "seconds": "4",
        "input_reference": {"image_url": "https://example.com/cat.png"},
    }


def test_what_the_api_has_no_place_for_is_refused() -> None:
    one = Picture("reference", "image/png", "aGk=")
    for pictures in ((one, one), (Picture("last_frame", "image/png", "aGk="),), (Picture("mask", url="u"),)):
        with pytest.raises(UnsupportedFeature):
            ADAPTER.submit(order(pictures=pictures), "sora-2", "t")
    with pytest.raises(InvalidRequest, match="base64"):
        ADAPTER.submit(order(pictures=(Picture("reference", "image/png", "not base64!"),)), "sora-2", "t")


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, ""),
        ({"width": 1792, "height": 1024}, "1792x1024"),
        ({"aspect_ratio": "16:9"}, "1280x720"),
        ({"aspect_ratio": "9:16"}, "720x1280"),
        ({"resolution": "720p"}, "720x1280"),
        ({"resolution": "1080p", "aspect_ratio": "16:9"}, "1920x1080"),
        ({"resolution": "1024p", "aspect_ratio": "9:16"}, "1024x1792"),
        ({"width": 1280, "height": 720, "aspect_ratio": "9:16"}, "1280x720"),
    ],
)
def test_a_shape_and_a_resolution_become_a_size(changes: dict[str, object], size: str) -> None:
    assert size_of(order(**changes)) == size


@pytest.mark.parametrize(
    "changes",
    [
        {"aspect_ratio": "4:3"},
        {"aspect_ratio": "adaptive", "resolution": "720p"},
        {"resolution": "480p"},
        {"negative_prompt": "cartoon"},
        {"seed": 0},
        {"watermark": False},
        {"audio": False},
    ],
)
def test_what_models_of_other_vendors_take_and_this_api_does_not_is_refused(
    changes: dict[str, object],
) -> None:
    with pytest.raises(UnsupportedFeature) as refused:
        ADAPTER.submit(order(**changes), "doubao-seedance", "t")
    assert refused.value.param in changes


def test_the_sdks_sizes_and_lengths_are_what_the_api_takes() -> None:
    assert set(get_args(VideoSize)) == {"720x1280", "1280x720", "1024x1792", "1792x1024"}
    assert set(get_args(VideoSeconds)) == {"4", "8", "12"}


def test_the_guides_answer_is_a_queued_render() -> None:
    Video.model_validate(QUEUED)
    assert ADAPTER.submitted(told()) == Render("queued", QUEUED["id"], progress=0, seconds=8)


def test_progress_is_what_the_provider_says_within_bounds() -> None:
    states = [
        ADAPTER.polled(told(status="in_progress", progress=progress))
        for progress in (33, 66.7, 130, -1, "50%", "?", None)
    ]
    assert [(render.state, render.progress) for render in states] == [
        ("running", 33),
        ("running", 66),
        ("running", 100),
        ("running", 0),
        ("running", 50),
        ("running", None),
        ("running", None),
    ]


def test_a_completed_render_is_fetched_with_the_credential_until_it_expires() -> None:
    render = ADAPTER.polled(told(status="completed", progress=100, expires_at=1758945085))
    (made,) = render.made
    assert render.state == "completed"
    assert made.call == UpstreamCall(b"GET", b"/videos/" + QUEUED["id"].encode() + b"/content")
    assert made.call.with_credential
    assert (made.media_type, made.expires_at) == ("video/mp4", 1758945085)


@pytest.mark.parametrize("code", ["moderation_blocked", "sentinel_block"])
def test_a_render_that_moderation_stopped_says_so_and_costs_nothing(code: str) -> None:
    message = "Your request was blocked by our moderation system."
    render = ADAPTER.polled(told(status="failed", error={"code": code, "message": message}))
    assert (render.state, render.error_code, render.error_message, render.billed) == (
        "failed",
        "content_policy_violation",
        message,
        False,
    )


@pytest.mark.parametrize(
    "error", [None, {}, {"code": "internal_error", "message": "Account acct_1 is out of order."}]
)
def test_a_failure_of_the_providers_own_tells_nothing_of_the_operators_account(error: object) -> None:
    render = ADAPTER.polled(told(status="failed", error=error))
    assert (render.state, render.error_code, render.billed) == ("failed", "upstream_error", False)
    assert "acct_1" not in render.error_message
    assert render.error_message


def test_a_failure_about_the_channel_is_not_shown() -> None:
    error = {"code": "insufficient_quota", "message": "You exceeded your current quota, org-secret."}
    render = ADAPTER.polled(told(status="failed", error=error))
    assert "org-secret" not in render.error_message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        told(status="sleeping"),
        told(id=None),
        told(id="../../v1/files"),
        told(id="a/b"),
        told(status=7),
        b'{"id": "\xff"}',
    ],
)
def test_an_answer_that_makes_no_sense_is_the_upstreams_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        ADAPTER.polled(body)


def test_seconds_come_as_text_or_as_figures() -> None:
    assert [ADAPTER.polled(told(seconds=seconds)).seconds for seconds in ("12", 12, 12.0, "?", None)] == [
        12,
        12,
        12,
        None,
        None,
    ]


def test_there_is_neither_a_cancel_nor_a_way_to_find_a_submission_again() -> None:
    assert ADAPTER.cancel("video_1") is None
    assert ADAPTER.find("task_1") is None


def error_body(**error: object) -> bytes:
    return json.dumps(
        {"error": {"message": "m", "type": "invalid_request_error", "param": None, "code": None, **error}}
    ).encode()


@pytest.mark.parametrize(
    ("status", "headers", "body", "code", "about", "amounts_to", "wait"),
    [
        (400, {}, error_body(message="Inpaint image must match"), "invalid_param", "request", 400, None),
        (400, {}, error_body(code="moderation_blocked"), "content_policy_violation", "request", 400, None),
        (401, {}, error_body(code="invalid_api_key"), "no_available_channel", "channel", 401, None),
        (
            429,
            {b"retry-after": b"7"},
            error_body(type="requests", code="rate_limit_exceeded"),
            "no_available_channel",
            "channel",
            429,
            7,
        ),
        (
            429,
            {},
            error_body(type="insufficient_quota", code="insufficient_quota"),
            "no_available_channel",
            "channel",
            429,
            None,
        ),
        (
            404,
            {},
            error_body(message="Video with id 'video_1' not found.", code="video_not_found"),
            "not_found",
            "request",
            404,
            None,
        ),
        (
            404,
            {},
            error_body(message="The model `sora-9` does not exist", code="model_not_found"),
            "no_available_channel",
            "channel",
            404,
            None,
        ),
        (413, {}, error_body(), "request_entity_too_large", "request", 413, None),
        (500, {}, error_body(type="server_error"), "upstream_error", "upstream", 500, None),
        (503, {b"Retry-After": b"3"}, b"overloaded", "no_available_channel", "upstream", 503, 3),
        (504, {}, b"<html>gateway</html>", "timeout", "upstream", 504, None),
    ],
)
def test_a_refusal_says_whose_trouble_it_is(
    status: int,
    headers: dict[bytes, bytes],
    body: bytes,
    code: str,
    about: str,
    amounts_to: int,
    wait: int | None,
) -> None:
    error = ADAPTER.refused(status, headers, body)
    assert (error.code, error.about, error.upstream_status, error.retry_after) == (
        code,
        about,
        amounts_to,
        wait,
    )
