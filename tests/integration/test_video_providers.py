"""Tasks for videos with each provider's way of taking pictures, of refusing, failing and losing answers, as the simulator plays it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bytespike.media.probe.probe import Facts, Probe
from bytespike.providers.simulator.pictures import Picture, draw, look
from tests.support.media_gateway import MediaGateway

pytestmark = pytest.mark.slow

FRAME = draw(Picture("frame", 1280, 720), b"")
INLINE = "data:image/png;base64," + base64.b64encode(FRAME).decode()
#: A model of each provider.
MODELS = ("sora2", "veo3-1", "seedance-2")
SUBMISSIONS = {
    "sora2": "/openai/v1/videos",
    "veo3-1": "/gemini/v1beta/models/veo-3.1-generate-preview:predictLongRunning",
    "seedance-2": "/ark/api/v3/contents/generations/tasks",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaGateway]:
    folder: Path = tmp_path_factory.mktemp("videos")
    with MediaGateway(folder) as gateway:
        yield gateway


@pytest.fixture
def gateway(running: MediaGateway) -> MediaGateway:
    running.sim.reset()
    return running


def ended(gateway: MediaGateway, model: str, prompt: str = "a dog", **params: Any) -> dict[str, Any]:
    task = gateway.submitted(model=model, params={"prompt": prompt, **params})
    return gateway.ended(task["task_id"])


def submissions(gateway: MediaGateway, model: str) -> list[Any]:
    return [
        seen.body for seen in gateway.sim.requests if (seen.method, seen.path) == ("POST", SUBMISSIONS[model])
    ]


@pytest.mark.parametrize("model", MODELS)
def test_a_first_frame_reaches_the_provider_its_own_way(gateway: MediaGateway, model: str) -> None:
    task = ended(gateway, model, size="1280x720", image_init=INLINE)
    assert task["status"] == "completed", task
    (output,) = task["output"]
    assert (output["width"], output["height"]) == (1280, 720)
    (sent,) = submissions(gateway, model)
    match model:
        case "sora2":
            assert 'name="input_reference"; filename="reference.png"' in sent
        case "veo3-1":
            image = sent["instances"][0]["image"]
            assert (base64.b64decode(image["bytesBase64Encoded"]), image["mimeType"]) == (FRAME, "image/png")
        case _:
            (image,) = (item for item in sent["content"] if item["type"] == "image_url")
            assert (image["role"], image["image_url"]["url"]) == ("first_frame", INLINE)


@pytest.mark.parametrize("model", ["veo3-1", "seedance-2"])
def test_first_and_last_frame_and_references_reach_the_provider(gateway: MediaGateway, model: str) -> None:
    assert ended(gateway, model, image_init=INLINE, last_frame=INLINE)["status"] == "completed"
    assert ended(gateway, model, reference_images=[INLINE, INLINE])["status"] == "completed"
    frames, references = submissions(gateway, model)
    if model == "veo3-1":
        assert {"image", "lastFrame"} <= frames["instances"][0].keys()
        assert len(references["instances"][0]["referenceImages"]) == 2
        return
    roles = [
        [item.get("role") for item in sent["content"] if "role" in item] for sent in (frames, references)
    ]
    assert roles == [["first_frame", "last_frame"], ["reference_image"] * 2]


def test_an_image_that_was_drawn_here_begins_a_film_of_a_provider_that_takes_no_urls(
    gateway: MediaGateway,
) -> None:
    drawn = gateway.post(
        "/v1/images/generations",
        json.dumps({"model": "gpt-image-2", "prompt": "a frame"}).encode(),
        {"x-api-key": gateway.key},
    )
    assert drawn.status == 200, drawn.body
    url = json.loads(drawn.body)["data"][0]["url"]
    task = ended(gateway, "veo3-1-fast", image_init=url)
    assert task["status"] == "completed", task
    (sent,) = (seen.body for seen in gateway.sim.requests if seen.path.endswith(":predictLongRunning"))
    seen = look(base64.b64decode(sent["instances"][0]["image"]["bytesBase64Encoded"]))
    assert (seen.width, seen.height) == (1024, 1024)


def test_an_image_at_a_private_address_is_not_fetched(gateway: MediaGateway) -> None:
    url = f"{gateway.sim.base_url}/v1/models"
    task = ended(gateway, "veo3-1", image_init=url)
    assert (task["status"], task["error_code"], task["credits_used"]) == ("failed", "invalid_param", "0.00")
    assert [seen.path for seen in gateway.sim.requests] == []


@pytest.mark.parametrize("model", MODELS)
def test_moderation_before_and_after_the_render_is_a_policy_violation_and_free(
    gateway: MediaGateway, model: str
) -> None:
    for directive in ("refusal", "polls=1 fail=moderation"):
        task = ended(gateway, model, f"a dog [[sim: {directive}]]")
        assert (task["status"], task["error_code"]) == ("failed", "content_policy_violation"), directive
        assert task["credits_used"] == "0.00"
        assert task["error_message"]
    assert len(submissions(gateway, model)) == 2


@pytest.mark.parametrize("model", MODELS)
def test_a_render_that_breaks_down_fails_and_is_free(gateway: MediaGateway, model: str) -> None:
    task = ended(gateway, model, "a dog [[sim: polls=1 fail=error]]")
    assert (task["status"], task["error_code"], task["credits_used"]) == ("failed", "upstream_error", "0.00")


@pytest.mark.parametrize("model", MODELS)
def test_trouble_in_the_middle_is_waited_out(gateway: MediaGateway, model: str) -> None:
    directives = "polls=4 poll_error=503 poll_errors=2 fetch_error=502 fetch_cut=70000 file_bytes=900000"
    task = ended(gateway, model, f"a dog [[sim: {directives}]]", seconds=8)
    assert task["status"] == "completed", task
    (output,) = task["output"]
    answer = gateway.request("GET", gateway.path_of(output["url"]))
    probe = Probe()
    probe.feed(answer.body)
    facts = probe.facts()
    assert (len(answer.body), facts.content_type, facts.duration_seconds) == (900_000, "video/mp4", 8.0)
    assert facts == Facts("video/mp4", output["width"], output["height"], output["duration_seconds"])
    assert len(submissions(gateway, model)) == 1


def test_a_submission_whose_answer_is_lost_is_found_at_ark_and_goes_on(gateway: MediaGateway) -> None:
    task = ended(gateway, "seedance-2", "a dog [[sim: break_after=0]]")
    assert task["status"] == "completed", task
    assert len(submissions(gateway, "seedance-2")) == 1


@pytest.mark.parametrize("model", ["sora2", "veo3-1"])
def test_a_submission_whose_answer_is_lost_fails_where_it_cannot_be_found_and_is_not_repeated(
    gateway: MediaGateway, model: str
) -> None:
    task = ended(gateway, model, "a dog [[sim: break_after=0]]")
    assert (task["status"], task["credits_used"]) == ("failed", "0.00")
    assert len(submissions(gateway, model)) == 1


def test_what_waits_at_ark_is_cancelled_there(gateway: MediaGateway) -> None:
    task = gateway.submitted(model="seedance-2", params={"prompt": "a dog [[sim: render=600]]"})
    gateway.until(lambda: bool(submissions(gateway, "seedance-2")), 60)
    cancelled = gateway.post(f"/v1/tasks/cancel/{task['task_id']}", b"", {"x-api-key": gateway.key})
    assert cancelled.status == 200, cancelled.body
    over = gateway.ended(task["task_id"])
    assert (over["status"], over["credits_used"]) == ("cancelled", "0.00")
    assert "DELETE" in {seen.method for seen in gateway.sim.requests}
