"""OpenAI's Videos API as the simulator speaks it: with the SDK, and with what the API refuses."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openai import APIStatusError, OpenAI

from bytespike.providers.simulator.pictures import Picture, draw, look
from bytespike.providers.simulator.server import Simulator
from tests.support.h264_pictures import box

PROMPT = "A cat on a stage"


@pytest.fixture(autouse=True)
def deprecated() -> Iterator[None]:
    """The SDK says of every method that OpenAI's own service has ended."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The Sora API", category=DeprecationWarning)
        yield


@pytest.fixture
def videos(sim: Simulator, openai_client: OpenAI) -> Any:
    del sim
    return openai_client.videos


def refused(call: Callable[[], object]) -> APIStatusError:
    with pytest.raises(APIStatusError) as error:
        call()
    return error.value


def test_a_video_is_made_and_fetched(videos: Any) -> None:
    video = videos.create_and_poll(
        prompt=PROMPT, model="sora-2", seconds="4", size="1280x720", poll_interval_ms=1
    )
    assert (video.status, video.progress, video.seconds, video.size) == ("completed", 100, "4", "1280x720")
    assert video.expires_at == video.completed_at + 86_400
    content = videos.download_content(video.id)
    assert content.response.headers["content-type"] == "video/mp4"
    data = content.read()
    assert int(content.response.headers["content-length"]) == len(data)
    tkhd = box(data, b"moov", b"trak", b"tkhd")
    assert (int.from_bytes(tkhd[-8:-6], "big"), int.from_bytes(tkhd[-4:-2], "big")) == (1280, 720)


def test_the_defaults_are_the_apis(videos: Any) -> None:
    video = videos.create(prompt=PROMPT)
    assert (video.model, video.seconds, video.size, video.status) == ("sora-2", "4", "720x1280", "queued")


def test_progress_comes_with_each_look(videos: Any) -> None:
    video = videos.create(prompt=PROMPT + " [[sim: polls=4]]")
    seen = [videos.retrieve(video.id) for _ in range(5)]
    assert [each.progress for each in seen] == [25, 50, 75, 100, 100]
    assert [each.status for each in seen] == ["in_progress"] * 3 + ["completed"] * 2


def test_a_render_may_take_its_time(videos: Any) -> None:
    video = videos.create(prompt=PROMPT + " [[sim: render=600]]")
    assert [videos.retrieve(video.id).status for _ in range(9)] == ["queued"] * 9
    error = refused(lambda: videos.download_content(video.id))
    assert error.status_code == 400


def test_a_thumbnail_and_a_spritesheet_are_pictures(videos: Any) -> None:
    video = videos.create_and_poll(prompt=PROMPT, poll_interval_ms=1)
    for variant, media_type in (("thumbnail", "image/webp"), ("spritesheet", "image/jpeg")):
        seen = look(videos.download_content(video.id, variant=variant).read())
        assert (seen.media_type, seen.width, seen.height) == (media_type, 720, 1280)


def test_a_reference_image_comes_as_a_file_of_the_videos_size(videos: Any) -> None:
    fitting = ("a.png", draw(Picture("r", 720, 1280), b""), "image/png")
    assert videos.create(prompt=PROMPT, input_reference=fitting).status == "queued"
    wrong = ("a.png", draw(Picture("r", 64, 64), b""), "image/png")
    assert (
        "Inpaint image must match"
        in refused(lambda: videos.create(prompt=PROMPT, input_reference=wrong)).message
    )
    none = ("a.png", b"not an image", "image/png")
    assert (
        "unsupported mimetype" in refused(lambda: videos.create(prompt=PROMPT, input_reference=none)).message
    )


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"seconds": "10"}, "Supported values are: '4', '8', '12', '16', and '20'"),
        ({"size": "100x100"}, "Supported values are: '720x1280'"),
        ({"extra_body": {"fps": "24"}}, "Unknown parameter: 'fps'"),
        ({"prompt": "[[sim: nonsense=1]]"}, "unknown option"),
    ],
)
def test_what_the_api_refuses_is_refused(videos: Any, fields: dict[str, Any], part: str) -> None:
    error = refused(lambda: videos.create(**{"prompt": PROMPT, **fields}))
    assert error.status_code == 400
    assert part in error.message


def test_a_json_body_takes_an_image_by_url(sim: Simulator, openai_client: OpenAI) -> None:
    def create(reference: object) -> Any:
        body = {"prompt": PROMPT, "input_reference": reference}
        return openai_client.post("/videos", body=body, cast_to=object)

    assert create({"image_url": "https://example.com/a.png"})["status"] == "queued"
    assert "expected a file" in refused(lambda: create("https://example.com/a.png")).message
    assert refused(lambda: create({"file_id": "file_1"})).status_code == 400


def test_a_prompt_can_be_refused_and_a_render_can_fail(videos: Any) -> None:
    error = refused(lambda: videos.create(prompt=PROMPT + " [[sim: refusal]]"))
    assert (error.status_code, error.code) == (400, "moderation_blocked")
    for asked, code in (("moderation", "moderation_blocked"), ("error", "internal_error"), ("odd", "odd")):
        video = videos.create_and_poll(prompt=f"{PROMPT} [[sim: fail={asked}]]", poll_interval_ms=1)
        assert (video.status, video.error.code) == ("failed", code)


def test_looking_and_fetching_fail_as_often_as_asked(videos: Any) -> None:
    video = videos.create(
        prompt=PROMPT + " [[sim: polls=1 poll_error=503 poll_errors=2 fetch_error=502 retry_after=9]]"
    )
    statuses = [refused(lambda: videos.retrieve(video.id)) for _ in range(2)]
    assert [error.status_code for error in statuses] == [503, 503]
    assert statuses[0].response.headers["retry-after"] == "9"
    assert videos.retrieve(video.id).status == "completed"
    assert refused(lambda: videos.download_content(video.id)).status_code == 502
    assert videos.download_content(video.id).read()[4:8] == b"ftyp"


def test_a_submission_whose_answer_is_lost_has_begun_all_the_same(videos: Any, sim: Simulator) -> None:
    with pytest.raises(Exception, match=r"(?i)connection"):
        videos.create(prompt=PROMPT + " [[sim: break_after=0]]")
    (begun,) = videos.list().data
    assert begun.prompt.startswith(PROMPT)
    assert next(seen.state for seen in sim.requests) == "broken"


def test_a_submission_that_is_refused_has_not_begun(videos: Any) -> None:
    assert (
        refused(lambda: videos.create(prompt=PROMPT + " [[sim: error=429 retry_after=3]]")).status_code == 429
    )
    assert videos.list().data == []


def test_videos_are_listed_newest_first_page_by_page(videos: Any) -> None:
    made = [videos.create(prompt=f"{PROMPT} {number}").id for number in range(5)]
    assert [video.id for video in videos.list(limit=2)] == made[::-1]
    assert [video.id for video in videos.list(order="asc", limit=100)] == made
    assert videos.list(limit=2).has_more
    assert refused(lambda: videos.list(limit=101)).status_code == 400


def test_a_key_sees_its_own_alone(videos: Any, openai_client: OpenAI) -> None:
    video = videos.create(prompt=PROMPT)
    other = openai_client.with_options(api_key="another").videos
    assert other.list().data == []
    for call in (other.retrieve, other.delete, other.download_content):
        assert refused(lambda call=call: call(video.id)).status_code == 404


def test_what_is_over_is_deleted_and_nothing_else(videos: Any) -> None:
    video = videos.create(prompt=PROMPT)
    assert "still being processed" in refused(lambda: videos.delete(video.id)).message
    videos.retrieve(video.id)
    videos.retrieve(video.id)
    assert videos.delete(video.id).deleted
    assert refused(lambda: videos.retrieve(video.id)).status_code == 404


@pytest.mark.parametrize("key", ["sim-bad", "sim-poor", "sim-limited"])
def test_the_keys_that_fail_elsewhere_fail_here(openai_client: OpenAI, key: str) -> None:
    with pytest.raises(APIStatusError) as error:
        openai_client.with_options(api_key=key).videos.create(prompt=PROMPT)
    assert error.value.status_code == {"sim-bad": 401, "sim-poor": 429, "sim-limited": 429}[key]


def test_other_methods_are_told_what_there_is(openai_client: OpenAI) -> None:
    error = refused(lambda: openai_client.put("/videos", cast_to=object))
    assert error.status_code == 405
    assert refused(lambda: openai_client.post("/videos/video_1/remix", cast_to=object)).status_code == 404
