"""Gemini's long-running operations, as the adapter writes and reads them: ai.google.dev's page on video, the SDK's converters, and
a recorded Veo lifecycle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.genai.types import GenerateVideosOperation

from bytespike.errors import UnsupportedFeature, UpstreamError
from bytespike.media.adapter import Render, UpstreamCall
from bytespike.media.adapters.gemini_operations import GeminiOperations
from bytespike.media.order import Order, Picture
from tests.support.recordings import ROOT

ADAPTER = GeminiOperations()
NAME = "models/veo-3.1-generate-preview/operations/umz7sqimep69"
PICTURE = "iVBORw0KGgo="
MODEL = "veo-3.1-generate-preview"


def order(**changes: object) -> Order:
    return Order("video", "A cinematic shot of a majestic lion in the savannah.", **changes)  # pyright: ignore[reportArgumentType]


def body_of(given: Order) -> dict[str, Any]:
    return json.loads(ADAPTER.submit(given, MODEL, "task_1").body)


def done(**changes: object) -> bytes:
    return json.dumps({"name": NAME, "done": True, **changes}).encode()


def result(**made: object) -> bytes:
    return done(response={"@type": "type.googleapis.com/x", "generateVideoResponse": made})


def test_an_order_is_one_instance_and_its_parameters() -> None:
    call = ADAPTER.submit(
        order(aspect_ratio="16:9", negative_prompt="cartoon, drawing, low quality"), MODEL, "task_1"
    )
    assert call.method == b"POST"
    assert call.target == b"/v1beta/models/veo-3.1-generate-preview:predictLongRunning"
    assert call.headers == ((b"content-type", b"application/json"),)
    # The page's own example.
    assert json.loads(call.body) == {
        "instances": [{"prompt": "A cinematic shot of a majestic lion in the savannah."}],
        "parameters": {"aspectRatio": "16:9", "negativePrompt": "cartoon, drawing, low quality"},
    }


def test_every_parameter_has_its_place() -> None:
    given = order(
        seconds=8, resolution="1080p", aspect_ratio="9:16", seed=7, extras={"personGeneration": "allow_adult"}
    )
    assert body_of(given)["parameters"] == {
        "aspectRatio": "9:16",
        "resolution": "1080p",
        "durationSeconds": 8,
        "seed": 7,
        "personGeneration": "allow_adult",
    }


@pytest.mark.parametrize(
    ("width", "height", "ratio", "resolution"),
    [
        (1280, 720, "16:9", "720p"),
        (720, 1280, "9:16", "720p"),
        (1920, 1080, "16:9", "1080p"),
        (2160, 3840, "9:16", "4k"),
        (1792, 1024, "16:9", "1080p"),
    ],
)
def test_a_size_in_pixels_becomes_a_shape_and_a_resolution(
    width: int, height: int, ratio: str, resolution: str
) -> None:
    given = order(width=width, height=height, aspect_ratio="1:1", resolution="480p")
    assert body_of(given)["parameters"] == {"aspectRatio": ratio, "resolution": resolution}


def test_pictures_go_inline_each_to_its_own_place() -> None:
    image = {"bytesBase64Encoded": PICTURE, "mimeType": "image/jpeg"}
    frames = (Picture("first_frame", "image/jpeg", PICTURE), Picture("last_frame", "image/jpeg", PICTURE))
    (instance,) = body_of(order(pictures=frames))["instances"]
    assert (instance["image"], instance["lastFrame"]) == (image, image)
    (instance,) = body_of(order(pictures=(Picture("reference", "image/jpeg", PICTURE),) * 3))["instances"]
    assert instance["referenceImages"] == [{"image": image, "referenceType": "asset"}] * 3


def test_a_picture_by_url_asks_to_be_given_inline() -> None:
    with pytest.raises(UnsupportedFeature) as refused:
        body_of(order(pictures=(Picture("first_frame", url="https://example.com/a.png"),)))
    assert refused.value.by_url == "image"


def test_a_mask_is_refused() -> None:
    with pytest.raises(UnsupportedFeature):
        body_of(order(pictures=(Picture("mask", "image/png", PICTURE),)))


def test_a_models_name_stays_one_step_of_the_path() -> None:
    assert ADAPTER.submit(order(), "a/../b", "t").target == b"/v1beta/models/a%2F..%2Fb:predictLongRunning"


def test_a_submission_gives_the_operations_name_which_is_polled() -> None:
    render = ADAPTER.submitted(json.dumps({"name": NAME}).encode())
    assert render == Render("running", NAME)
    assert ADAPTER.poll(NAME) == UpstreamCall(b"GET", b"/v1beta/" + NAME.encode())


@pytest.mark.parametrize(
    "name", [None, "", "x", "models/../operations/y", "models/a?b/operations/c", "/operations/x"]
)
def test_a_name_that_is_none_is_the_upstreams_error(name: object) -> None:
    with pytest.raises(UpstreamError):
        ADAPTER.submitted(json.dumps({"name": name}).encode())


def test_progress_is_told_where_it_is_there() -> None:
    assert (
        ADAPTER.polled(json.dumps({"name": NAME, "metadata": {"progressPercent": 40}}).encode()).progress
        == 40
    )
    assert ADAPTER.polled(json.dumps({"name": NAME, "metadata": {"@type": "x"}}).encode()).progress is None


def test_a_file_of_the_files_api_is_fetched_from_the_channels_own_host() -> None:
    uri = "https://elsewhere.example/v1beta/files/zqw12cp8qc38:download?alt=media"
    (made,) = ADAPTER.polled(result(generatedSamples=[{"video": {"uri": uri}}])).made
    assert made.call == UpstreamCall(b"GET", b"/v1beta/files/zqw12cp8qc38:download?alt=media")


def test_any_other_url_gets_no_credential() -> None:
    uri = "https://storage.example/video.mp4?sig=1"
    (made,) = ADAPTER.polled(result(generatedSamples=[{"video": {"uri": uri}}])).made
    assert made.call is not None
    assert (made.call.url, made.call.with_credential) == (uri, False)


def test_bytes_in_the_answer_are_taken_as_they_are() -> None:
    (made,) = ADAPTER.polled(
        result(generatedSamples=[{"video": {"encodedVideo": "AAAA", "encoding": "video/webm"}}])
    ).made
    assert (made.call, made.data, made.media_type) == (None, "AAAA", "video/webm")


def test_a_video_that_a_filter_held_back_failed_and_costs_nothing() -> None:
    reason = "Veo could not generate videos because the output violates Gemini API usage guidelines."
    for body in (
        result(raiMediaFilteredCount=1, raiMediaFilteredReasons=[reason]),
        result(generatedSamples=[], raiMediaFilteredReasons=[reason]),
        done(error={"code": 3, "message": reason}),
    ):
        render = ADAPTER.polled(body)
        assert (render.state, render.error_code, render.error_message, render.billed) == (
            "failed",
            "content_policy_violation",
            reason,
            False,
        )


def test_some_of_several_held_back_leaves_the_others() -> None:
    uri = "https://x/v1beta/files/a:download"
    render = ADAPTER.polled(result(generatedSamples=[{"video": {"uri": uri}}], raiMediaFilteredCount=1))
    assert (render.state, len(render.made)) == ("completed", 1)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": 13, "message": "project-secret had an internal error"}, "upstream_error"),
        ({"code": 14, "message": "project-secret is overloaded"}, "no_available_channel"),
        ({"code": 8, "message": "project-secret is out of quota"}, "no_available_channel"),
        ({"code": 7, "message": "project-secret may not"}, "no_available_channel"),
        ({"code": 4, "message": "project-secret was too slow"}, "timeout"),
        ({"code": 3, "message": "bad image"}, "invalid_param"),
        ({}, "upstream_error"),
    ],
)
def test_an_operation_that_failed_says_why_without_naming_the_operators_project(
    error: dict[str, Any], code: str
) -> None:
    render = ADAPTER.polled(done(error=error))
    assert (render.state, render.error_code, render.billed) == ("failed", code, False)
    assert "project-secret" not in render.error_message


def test_a_success_without_a_sample_and_without_a_reason_failed() -> None:
    assert ADAPTER.polled(result()).error_code == "upstream_error"


@pytest.mark.parametrize(
    "body", [b"", b"nope", b"[]", done(), done(response={}), b'{"done": true}', done(response=7)]
)
def test_an_answer_that_makes_no_sense_is_the_upstreams_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        ADAPTER.polled(body)


def test_there_is_neither_a_cancel_nor_a_way_to_find_a_submission_again() -> None:
    assert ADAPTER.cancel(NAME) is None
    assert ADAPTER.find("task_1") is None


def refusal(code: int, status: str, message: str, details: list[object] | None = None) -> bytes:
    return json.dumps(
        {"error": {"code": code, "message": message, "status": status, "details": details or []}}
    ).encode()


RETRY: list[object] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "9s"}]
BAD_KEY: list[object] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
BLOCKED = "This prompt contains words that violate Google's Responsible AI practices."


@pytest.mark.parametrize(
    ("status", "body", "code", "about", "wait"),
    [
        (
            400,
            refusal(400, "INVALID_ARGUMENT", "`seed` isn't supported by this model."),
            "invalid_param",
            "request",
            None,
        ),
        (400, refusal(400, "INVALID_ARGUMENT", BLOCKED), "content_policy_violation", "request", None),
        (
            400,
            refusal(400, "INVALID_ARGUMENT", "API key not valid.", BAD_KEY),
            "no_available_channel",
            "channel",
            None,
        ),
        (
            404,
            refusal(404, "NOT_FOUND", "models/veo-9 is not found for API version v1beta"),
            "no_available_channel",
            "channel",
            None,
        ),
        (
            404,
            refusal(404, "NOT_FOUND", "Operation models/veo/operations/x not found."),
            "not_found",
            "request",
            None,
        ),
        (404, refusal(404, "NOT_FOUND", "Requested entity was not found."), "not_found", "request", None),
        (429, refusal(429, "RESOURCE_EXHAUSTED", "quota", RETRY), "no_available_channel", "channel", 9),
        (500, refusal(500, "INTERNAL", "oops"), "upstream_error", "upstream", None),
        (503, refusal(503, "UNAVAILABLE", "overloaded"), "no_available_channel", "upstream", None),
        (502, b"<html>", "upstream_error", "upstream", None),
    ],
)
def test_a_refusal_says_whose_trouble_it_is(
    status: int, body: bytes, code: str, about: str, wait: int | None
) -> None:
    error = ADAPTER.refused(status, {}, body)
    assert (error.code, error.about, error.retry_after) == (code, about, wait)


@pytest.mark.traffic
def test_the_recorded_lifecycle_of_a_veo_render_is_read() -> None:
    folders = [
        ROOT / "streams" / name for name in ("gemini-predictLongRunning-media", "gemini-operations-media")
    ]
    if not all(folder.is_dir() for folder in folders):
        pytest.skip("the recorded traffic is not here")
    begun, ended = (json.loads(next(iter(sorted(folder.glob("*.json")))).read_text()) for folder in folders)
    asked = begun["request"]
    given = Order("video", asked["instances"][0]["prompt"], seconds=asked["parameters"]["durationSeconds"])
    model = Path(begun["path"]).name.partition(":")[0]
    call = ADAPTER.submit(given, model, "task_1")
    assert (call.target.decode(), json.loads(call.body)) == (begun["path"], asked)
    render = ADAPTER.submitted(json.dumps(begun["response"]).encode())
    assert ADAPTER.poll(render.upstream_id).target.decode() == ended["path"]
    over = ADAPTER.polled(json.dumps(ended["response"]).encode())
    assert (over.state, over.upstream_id) == ("completed", render.upstream_id)
    uri = ended["response"]["response"]["generateVideoResponse"]["generatedSamples"][0]["video"]["uri"]
    assert over.made[0].call is not None
    assert uri.endswith(over.made[0].call.target.decode())
    # The SDK reads the same in it.
    operation = GenerateVideosOperation.from_api_response(ended["response"])
    assert operation.done
    assert operation.name == over.upstream_id
    assert operation.response.generated_videos[0].video.uri == uri
