"""Ark's content generation tasks, as the adapter writes and reads them. Examples are those of volcengine.com/docs/82379 (1520757,
1521309, 1521675, 1521720)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from bytespike.errors import InvalidRequest, UnsupportedFeature, UpstreamError
from bytespike.ids import ulid, ulid_ms
from bytespike.media.adapter import Render, UpstreamCall
from bytespike.media.adapters.ark_tasks import ArkTasks
from bytespike.media.order import Order, Picture

ADAPTER = ArkTasks()
MODEL = "doubao-seedance-2-0-260128"
TASK = "task_" + ulid()
TASK_S = (ulid_ms(TASK.removeprefix("task_")) or 0) // 1000
#: The page's own answer.
SUCCEEDED: dict[str, Any] = {
    "id": "cgt-20250331175019-68d9t",
    "model": "doubao-seedance-1-0-pro-250528",
    "status": "succeeded",
    "content": {
        "video_url": "https://ark-content-generation-cn-beijing.tos-cn-beijing.volces.com/x.mp4?X-Tos-Signature=s"
    },
    "seed": 10,
    "resolution": "720p",
    "ratio": "16:9",
    "duration": 5,
    "framespersecond": 24,
    "usage": {"completion_tokens": 108900, "total_tokens": 108900},
    "created_at": 1743414619,
    "updated_at": 1743414673,
}


def order(**changes: object) -> Order:
    return Order("video", "A glass frog on a leaf", **changes)  # pyright: ignore[reportArgumentType]


def body_of(given: Order) -> dict[str, Any]:
    return json.loads(ADAPTER.submit(given, MODEL, TASK).body)


def told(**changes: object) -> bytes:
    return json.dumps({**SUCCEEDED, **changes}).encode()


def failed(code: str, message: str = "m") -> bytes:
    return told(status="failed", content=None, error={"code": code, "message": message})


def test_text_to_video_is_the_pages_example() -> None:
    given = order(resolution="720p", aspect_ratio="16:9", seconds=11, audio=True)
    call = ADAPTER.submit(given, MODEL, TASK)
    assert (call.method, call.target) == (b"POST", b"/contents/generations/tasks")
    assert call.headers == ((b"content-type", b"application/json"),)
    assert json.loads(call.body) == {
        "model": MODEL,
        "content": [{"type": "text", "text": "A glass frog on a leaf"}],
        "resolution": "720p",
        "ratio": "16:9",
        "duration": 11,
        "generate_audio": True,
        "safety_identifier": TASK,
    }


def test_the_other_parameters_stand_beside_the_content() -> None:
    given = order(
        seconds=5, seed=11, watermark=True, audio=False, extras={"camera_fixed": False, "unknown": 1}
    )
    body = body_of(given)
    assert {
        name: body[name] for name in ("duration", "seed", "watermark", "generate_audio", "camera_fixed")
    } == {
        "duration": 5,
        "seed": 11,
        "watermark": True,
        "generate_audio": False,
        "camera_fixed": False,
    }
    assert "unknown" not in body


@pytest.mark.parametrize(
    "command",
    ["--dur 12", "--duration 12", "--rs 1080p", "--RATIO 16:9", "--fps 24", "--wm true", "--frames 289"],
)
def test_a_prompt_cannot_ask_for_more_than_was_ordered(command: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        body_of(Order("video", f"a frog {command}", seconds=4))
    assert refused.value.param == "prompt"


@pytest.mark.parametrize("prompt", ["a frog -- a leaf", "--during the day", "a -dur 12", "well-duration"])
def test_dashes_are_no_parameters(prompt: str) -> None:
    assert body_of(Order("video", prompt))["content"] == [{"type": "text", "text": prompt}]


def test_first_and_last_frame_are_images_with_roles() -> None:
    frames = (
        Picture("first_frame", url="https://example.com/first-frame.png"),
        Picture("last_frame", "image/JPEG", "AAAA"),
    )
    assert body_of(order(pictures=frames))["content"][1:] == [
        {
            "type": "image_url",
            "image_url": {"url": "https://example.com/first-frame.png"},
            "role": "first_frame",
        },
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}, "role": "last_frame"},
    ]


def test_references_are_reference_images() -> None:
    pictures = (Picture("reference", url="https://example.com/a.png"),) * 9
    assert [item["role"] for item in body_of(order(pictures=pictures))["content"][1:]] == [
        "reference_image"
    ] * 9


def test_ark_does_not_mix_frames_and_references() -> None:
    mixed = (Picture("reference", url="u"), Picture("first_frame", url="u"))
    for pictures in (mixed, (Picture("mask", url="u"),)):
        with pytest.raises(UnsupportedFeature):
            body_of(order(pictures=pictures))


@pytest.mark.parametrize(
    ("width", "height", "ratio", "resolution"),
    [
        (1280, 720, "16:9", "720p"),
        (720, 1280, "9:16", "720p"),
        (960, 960, "1:1", "720p"),
        (864, 480, "16:9", "480p"),
        (1664, 1248, "4:3", "1080p"),
        (1470, 630, "21:9", "720p"),
        (834, 1112, "3:4", "720p"),
    ],
)
def test_a_size_in_pixels_becomes_a_shape_and_a_resolution(
    width: int, height: int, ratio: str, resolution: str
) -> None:
    body = body_of(order(width=width, height=height, resolution="4k", aspect_ratio="adaptive"))
    assert (body["ratio"], body["resolution"]) == (ratio, resolution)


def test_the_answer_to_a_submission_is_an_id() -> None:
    assert ADAPTER.submitted(b'{"id": "cgt-20250331175019-68d9t"}') == Render(
        "queued", "cgt-20250331175019-68d9t"
    )
    for body in (b"{}", b'{"id": "a/b"}', b"", b'{"id": 7}'):
        with pytest.raises(UpstreamError):
            ADAPTER.submitted(body)


def test_a_task_is_polled_by_its_id() -> None:
    assert ADAPTER.poll("cgt-1") == UpstreamCall(b"GET", b"/contents/generations/tasks/cgt-1")


def test_what_succeeded_is_fetched_without_the_credential_within_a_day() -> None:
    render = ADAPTER.polled(told())
    (made,) = render.made
    assert (render.state, render.seconds, render.progress) == ("completed", 5, 100)
    assert made.call == UpstreamCall(b"GET", url=SUCCEEDED["content"]["video_url"], with_credential=False)
    assert made.expires_at == 1743414673 + 86_400


def test_a_length_told_in_frames_is_told_in_seconds() -> None:
    assert ADAPTER.polled(told(duration=None, frames=57)).seconds == 3


@pytest.mark.parametrize(
    ("status", "state"), [("queued", "queued"), ("running", "running"), ("cancelled", "cancelled")]
)
def test_every_state_of_the_page_is_known(status: str, state: str) -> None:
    render = ADAPTER.polled(told(status=status, content=None))
    assert (render.state, render.billed) == (state, status != "cancelled")


def test_a_task_that_took_too_long_there_failed() -> None:
    render = ADAPTER.polled(told(status="expired", content=None))
    assert (render.state, render.error_code, render.billed) == ("failed", "timeout", False)


@pytest.mark.parametrize(
    "code",
    [
        "OutputVideoSensitiveContentDetected",
        "OutputVideoSensitiveContentDetected.PolicyViolation",
        "InputImageSensitiveContentDetected.PrivacyInformation",
        "OutputAudioSensitiveContentDetected.PolicyViolation",
        "SensitiveContentDetected",
    ],
)
def test_a_task_that_moderation_stopped_says_so_and_costs_nothing(code: str) -> None:
    message = "The request failed because the output video may contain sensitive information."
    render = ADAPTER.polled(failed(code, message + " Request id: 02178780432326311300f35b"))
    assert (render.error_code, render.error_message, render.billed) == (
        "content_policy_violation",
        message,
        False,
    )


@pytest.mark.parametrize(
    ("code", "error_code"),
    [
        ("InternalServiceError", "upstream_error"),
        ("ServerOverloaded", "upstream_error"),
        ("ModelNotOpen", "no_available_channel"),
        ("AccountOverdueError", "no_available_channel"),
        ("SomethingNew", "upstream_error"),
        ("InvalidParameter.TaskTypeConstraint", "invalid_param"),
    ],
)
def test_other_failures_name_the_operators_account_only_where_it_is_about_the_request(
    code: str, error_code: str
) -> None:
    render = ADAPTER.polled(failed(code, "Your account 2123954716 said so."))
    assert (render.state, render.error_code, render.billed) == ("failed", error_code, False)
    assert ("2123954716" in render.error_message) == (error_code == "invalid_param")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", told(status="new"), told(content=None), told(content={}), told(id="a b")]
)
def test_an_answer_that_makes_no_sense_is_the_upstreams_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        ADAPTER.polled(body)


def test_what_waits_is_cancelled_and_costs_nothing() -> None:
    assert ADAPTER.cancel("cgt-1") == UpstreamCall(b"DELETE", b"/contents/generations/tasks/cgt-1")
    assert ADAPTER.cancelled(b"") == Render("cancelled", billed=False)


def listed(*items: dict[str, Any], total: int | None = None) -> bytes:
    return json.dumps({"items": items, "total": len(items) if total is None else total}).encode()


def other(created_at: int) -> dict[str, Any]:
    return {"id": "cgt-2", "status": "running", "created_at": created_at, "safety_identifier": "task_other"}


def test_a_lost_submission_is_found_by_the_mark_that_it_was_sent_with() -> None:
    sent = json.loads(ADAPTER.submit(order(), MODEL, TASK).body)["safety_identifier"]
    call = ADAPTER.find(TASK)
    assert (call.method, call.target) == (b"GET", b"/contents/generations/tasks?page_num=1&page_size=500")
    task = {"id": "cgt-3", "status": "running", "safety_identifier": sent, "created_at": TASK_S}
    assert ADAPTER.found(listed(other(TASK_S + 9), task), TASK) == Render("running", "cgt-3")


def test_what_is_not_in_a_whole_list_never_arrived() -> None:
    assert ADAPTER.found(listed(), TASK) is None
    assert ADAPTER.found(listed(other(TASK_S + 1)), TASK) is None


def test_what_is_not_in_a_part_of_the_list_never_arrived_only_if_that_goes_back_far_enough() -> None:
    long_before = TASK_S - 3600
    assert ADAPTER.found(listed(other(TASK_S + 1), other(long_before), total=900), TASK) is None
    for items in (
        [other(TASK_S + 9), other(TASK_S + 1)],
        # The clocks may differ.
        [other(TASK_S + 9), other(TASK_S - 10)],
        # Not in the order of time: nothing can be said.
        [other(TASK_S + 1), other(long_before), other(TASK_S + 2), other(long_before)],
        [],
    ):
        with pytest.raises(UpstreamError):
            ADAPTER.found(listed(*items, total=900), TASK)
    with pytest.raises(UpstreamError):
        ADAPTER.found(listed(other(long_before), total=900), "task_that_is_no_ulid")


def refusal(code: str, message: str = "m") -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "param": "", "type": "x"}}).encode()


@pytest.mark.parametrize(
    ("status", "headers", "body", "code", "about", "amounts_to", "wait"),
    [
        (400, {}, refusal("InvalidParameter", "bad ratio"), "invalid_param", "request", 400, None),
        (400, {}, refusal("MissingParameter.content"), "invalid_param", "request", 400, None),
        (
            400,
            {},
            refusal("InputTextSensitiveContentDetected"),
            "content_policy_violation",
            "request",
            400,
            None,
        ),
        (
            400,
            {},
            refusal("InputImageSensitiveContentDetected.PrivacyInformation"),
            "content_policy_violation",
            "request",
            400,
            None,
        ),
        (401, {}, refusal("AuthenticationError"), "no_available_channel", "channel", 401, None),
        (403, {}, refusal("AccountOverdueError"), "no_available_channel", "channel", 403, None),
        (
            404,
            {},
            refusal("ModelNotOpen", "Your account 2 has not activated the model"),
            "no_available_channel",
            "channel",
            404,
            None,
        ),
        (404, {}, refusal("InvalidEndpointOrModel.NotFound"), "no_available_channel", "channel", 404, None),
        (404, {}, refusal("NotFound", "The task cgt-1 is not found."), "not_found", "request", 404, None),
        (409, {}, refusal("InvalidAction", "The task is running"), "invalid_param", "request", 409, None),
        (
            429,
            {b"retry-after": b"4"},
            refusal("RateLimitExceeded.EndpointRPMExceeded"),
            "no_available_channel",
            "channel",
            429,
            4,
        ),
        (429, {}, refusal("QuotaExceeded"), "no_available_channel", "channel", 429, None),
        (429, {}, refusal("ServerOverloaded"), "upstream_error", "upstream", 429, None),
        (500, {}, refusal("InternalServiceError"), "upstream_error", "upstream", 500, None),
        (502, {}, b"<html>", "upstream_error", "upstream", 502, None),
        (400, {}, b'{"error": "odd"}', "invalid_param", "request", 400, None),
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


def test_a_ulid_tells_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = ulid_ms(ulid())
    assert made is not None
    assert before <= made <= time.time_ns() // 1_000_000
    assert [ulid_ms(text) for text in ("", "x", "u" * 26, "0" * 25)] == [None] * 4
    assert ulid_ms("0" * 26) == 0
