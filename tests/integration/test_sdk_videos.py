"""The OpenAI SDK's `client.videos` against the gateway, for every video model of the catalog."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Video
from PIL import Image

from bytespike.media.probe.probe import Probe
from tests.support.media_gateway import PATIENCE_S, MediaGateway, models_of

pytestmark = [
    pytest.mark.slow,
    # OpenAI ends its own service; the SDK says so at each call.
    pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning"),
]
#: A render that does not end before it is looked at.
SLOW = "[[sim: polls=10000]] a cat"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaGateway]:
    with MediaGateway(Path(tmp_path_factory.mktemp("videos"))) as running:
        yield running


@pytest.fixture(scope="module")
def client(gateway: MediaGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.url}/v1", max_retries=0) as made:
        yield made


def made(client: openai.OpenAI, **wanted: Any) -> Video:
    return client.videos.create_and_poll(**{"prompt": "A paper boat", "poll_interval_ms": 50, **wanted})


def picture(size: tuple[int, int] = (1280, 720)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (20, 90, 160)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("model", models_of("video"))
def test_create_and_poll_makes_a_video_with_every_model(client: openai.OpenAI, model: str) -> None:
    video = made(client, model=model)
    assert (video.object, video.status, video.progress, video.error) == ("video", "completed", 100, None)
    assert video.model == model
    assert video.prompt == "A paper boat"
    assert video.completed_at is not None
    assert video.expires_at is not None
    assert video.created_at <= video.completed_at < video.expires_at
    content = client.videos.download_content(video.id)
    assert content.response.headers["content-type"] == "video/mp4"
    data = content.read()
    probe = Probe()
    probe.feed(data)
    facts = probe.facts()
    assert facts.duration_seconds == pytest.approx(float(video.seconds), abs=0.1)
    assert video.size == f"{facts.width}x{facts.height}"
    assert client.videos.retrieve(video.id) == video


def test_what_was_asked_for_is_what_is_made(client: openai.OpenAI) -> None:
    video = made(client, model="sora-2-pro", seconds="8", size="1792x1024")
    assert (video.model, video.seconds, video.size) == ("sora-2-pro", "8", "1792x1024")


def test_without_a_model_it_is_sora(client: openai.OpenAI) -> None:
    video = client.videos.create(prompt="A paper boat")
    assert video.model == "sora2"
    assert video.status in ("queued", "in_progress")
    assert (video.seconds, video.progress) == ("4", 0)


def test_the_sdk_is_told_how_soon_to_look_again(client: openai.OpenAI) -> None:
    video = client.videos.create(prompt=SLOW)
    looked = client.videos.with_raw_response.retrieve(video.id)
    assert 1_000 <= int(looked.headers["openai-poll-after-ms"]) <= 10_000


@pytest.mark.parametrize(
    "reference",
    [("boat.png", picture(), "image/png"), io.BytesIO(picture()), picture()],
    ids=["named", "file", "bytes"],
)
def test_a_reference_image_is_uploaded(client: openai.OpenAI, gateway: MediaGateway, reference: Any) -> None:
    words = f"A paper boat like the {type(reference).__name__}"
    video = made(client, model="sora2", prompt=words, size="1280x720", input_reference=reference)
    assert video.status == "completed"
    forms = [each.body for each in gateway.sim.requests if isinstance(each.body, str)]
    *_, form = (each for each in forms if 'name="input_reference"' in each)
    assert words in form
    assert "image/png" in form
    assert "IHDR" in form


def test_a_reference_that_is_no_image_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.videos.create(prompt="x", input_reference=("a.png", b"not an image at all", "image/png"))
    assert raised.value.code == "invalid_param"
    assert raised.value.param == "input_reference"


def test_a_video_is_asked_for_in_json_too(client: openai.OpenAI, gateway: MediaGateway) -> None:
    body = json.dumps({"model": "veo3-1", "prompt": "A paper boat", "seconds": 8}).encode()
    answer = gateway.post("/v1/videos", body)
    assert answer.status == 200
    assert answer.headers["x-estimated-credits"] == "0.85"
    assert client.videos.poll(json.loads(answer.body)["id"], poll_interval_ms=50).status == "completed"


def test_a_video_and_a_task_are_the_same(client: openai.OpenAI, gateway: MediaGateway) -> None:
    video = made(client, model="seedance-2")
    task = gateway.ended(video.id)
    assert (task["status"], task["model"]) == ("completed", "seedance-2")
    submitted = gateway.submitted(model="sora2", prompt="a cat", seconds=4)
    assert client.videos.poll(submitted["task_id"], poll_interval_ms=50).status == "completed"


def test_a_render_that_fails_says_why(client: openai.OpenAI) -> None:
    video = made(client, prompt="[[sim: fail=moderation]] x")
    assert video.status == "failed"
    assert video.error is not None
    assert video.error.code == "content_policy_violation"
    assert video.error.message
    with pytest.raises(openai.BadRequestError, match="failed"):
        client.videos.download_content(video.id)


def test_a_cancelled_task_is_a_video_that_failed(client: openai.OpenAI, gateway: MediaGateway) -> None:
    video = client.videos.create(prompt=SLOW)
    gateway.post(f"/v1/tasks/cancel/{video.id}", b"")
    gateway.ended(video.id)
    video = client.videos.retrieve(video.id)
    assert video.status == "failed"
    assert video.error is not None
    assert video.error.code == "cancelled"


def test_there_is_no_content_before_the_end(client: openai.OpenAI) -> None:
    video = client.videos.create(prompt=SLOW)
    with pytest.raises(openai.BadRequestError, match=r"queued|in_progress"):
        client.videos.download_content(video.id)


def test_a_part_of_the_content_can_be_had(client: openai.OpenAI) -> None:
    video = made(client)
    whole = client.videos.download_content(video.id).read()
    part = client.videos.download_content(video.id, extra_headers={"range": "bytes=100-199"})
    assert part.response.status_code == 206
    assert part.read() == whole[100:200]


def test_variants_that_are_not_kept_are_refused(client: openai.OpenAI) -> None:
    video = made(client)
    for variant in ("thumbnail", "spritesheet"):
        with pytest.raises(openai.BadRequestError) as raised:
            client.videos.download_content(video.id, variant=variant)
        assert (raised.value.code, raised.value.param) == ("unsupported_feature", "variant")
    assert client.videos.download_content(video.id, variant="video").read()


def test_what_is_made_of_other_videos_is_refused_in_words(client: openai.OpenAI) -> None:
    video = made(client)
    for call in (
        lambda: client.videos.remix(video.id, prompt="x"),
        lambda: client.videos.edit(prompt="x", video=b"abc"),
        lambda: client.videos.extend(prompt="x", seconds="4", video=b"abc"),
        lambda: client.videos.create_character(name="x", video=b"abc"),
    ):
        with pytest.raises(openai.BadRequestError) as raised:
            call()
        assert raised.value.code == "unsupported_feature"
    with pytest.raises(openai.NotFoundError):
        client.videos.get_character("char_1")


def test_a_deleted_video_is_gone_with_its_bytes(client: openai.OpenAI, gateway: MediaGateway) -> None:
    video = made(client)
    url = gateway.path_of(gateway.ended(video.id)["output"][0]["url"])
    assert gateway.request("GET", url).status == 200
    deleted = client.videos.delete(video.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (video.id, "video.deleted", True)
    assert gateway.request("GET", url).status == 404
    for call in (client.videos.retrieve, client.videos.download_content, client.videos.delete):
        with pytest.raises(openai.NotFoundError):
            call(video.id)


def test_a_video_that_is_being_made_is_not_deleted(client: openai.OpenAI) -> None:
    video = client.videos.create(prompt=SLOW)
    with pytest.raises(openai.ConflictError, match="cancel"):
        client.videos.delete(video.id)
    assert client.videos.retrieve(video.id).id == video.id


def test_a_list_has_the_keys_own_videos_page_by_page(gateway: MediaGateway) -> None:
    key = gateway.new_key()
    with openai.OpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        assert list(client.videos.list()) == []
        ids = []
        for number in range(5):
            ids.append(client.videos.create(prompt=f"boat {number}").id)
            time.sleep(0.002)  # ids of one millisecond have no order
        assert [video.id for video in client.videos.list(limit=2)] == ids[::-1]
        assert [video.id for video in client.videos.list(limit=2, order="asc")] == ids
        page = client.videos.list(limit=2, order="asc")
        assert [video.id for video in page.data] == ids[:2]
        assert page.has_more is True
        assert [video.id for video in client.videos.list(after=ids[3], order="asc")] == ids[4:]
        for wrong in ({"limit": 0}, {"limit": 1000}, {"order": "sideways"}):
            with pytest.raises(openai.BadRequestError):
                client.videos.list(**wrong)


def test_what_is_no_video_model_is_refused(client: openai.OpenAI) -> None:
    for model in ("gpt-5-5", "gpt-image-2"):
        with pytest.raises(openai.BadRequestError) as raised:
            client.videos.create(prompt="x", model=model)
        assert (raised.value.code, raised.value.param) == ("invalid_param", "model")
    with pytest.raises(openai.NotFoundError) as unknown:
        client.videos.create(prompt="x", model="sora-9")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as seconds:
        client.videos.create(prompt="x", seconds="5")
    assert seconds.value.param == "seconds"


def test_a_key_is_asked_for(gateway: MediaGateway) -> None:
    with (
        openai.OpenAI(api_key="sk-byts-" + "x" * 40, base_url=f"{gateway.url}/v1", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.videos.create(prompt="x")


def test_the_asynchronous_client_does_the_same(gateway: MediaGateway) -> None:
    async def run() -> None:
        async with openai.AsyncOpenAI(api_key=gateway.key, base_url=f"{gateway.url}/v1") as client:
            async with asyncio.timeout(PATIENCE_S):
                video = await client.videos.create_and_poll(prompt="A paper boat", poll_interval_ms=50)
                content = await client.videos.download_content(video.id)
            assert video.status == "completed"
            assert len(content.read()) > 1000

    asyncio.run(run())


def test_a_dry_run_makes_nothing(client: openai.OpenAI) -> None:
    before = len(client.videos.list(limit=100).data)
    answer = client.videos.with_raw_response.create(
        prompt="x", seconds="8", extra_headers={"X-ByteSpike-Dry-Run": "true"}
    )
    assert json.loads(answer.text)["estimated_credits"] == "2.45"
    assert len(client.videos.list(limit=100).data) == before


def test_a_picture_larger_than_is_kept_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.videos.create(prompt="x", input_reference=picture() + bytes(11 * 1024 * 1024))
    assert raised.value.param == "input_reference"
