"""The openai SDK's images against a whole gateway, with the simulator's vendors behind it: every image model of the catalog."""

from __future__ import annotations

import base64
import io
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types import ImageEditCompletedEvent, ImageEditPartialImageEvent
from openai.types import ImageGenCompletedEvent as Completed
from openai.types import ImageGenPartialImageEvent as Partial
from PIL import Image

from bytespike.catalog.resolve import load_catalog
from bytespike.pricing.defaults import default_price
from bytespike.pricing.image_rates import image_rate, images_cost
from bytespike.pricing.price import ONE_PPM
from tests.support.image_gateway import IMAGE_MODELS, ImageGateway

MODELS = load_catalog().models


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageGateway]:
    with ImageGateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(autouse=True)
def well(gateway: ImageGateway) -> None:
    """What channels failed at in one test is not held against them in the next."""
    gateway.heal()


@pytest.fixture(scope="module")
def client(gateway: ImageGateway) -> OpenAI:
    return OpenAI(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0, timeout=60)


def png(width: int = 64, height: int = 64, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height), (200, 30, 30) if mode == "RGB" else (0, 0, 0, 0)).save(out, "PNG")
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def fetched(url: str | None) -> bytes:
    assert url is not None
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


def price(slug: str, quality: str, pixels: int) -> int:
    rate = image_rate(default_price(MODELS[slug]), quality, pixels)
    assert rate is not None
    return images_cost(1, rate, ONE_PPM)


@pytest.mark.parametrize("slug", IMAGE_MODELS)
def test_every_model_draws_and_its_url_is_the_gateways_own(
    gateway: ImageGateway, client: OpenAI, slug: str
) -> None:
    answer = client.images.generate(model=slug, prompt=f"a koi pond for {slug}", size="1024x1024", n=2)
    assert answer.data is not None
    assert len(answer.data) == 2
    assert len({each.url for each in answer.data}) == 2
    images = [opened(fetched(each.url)) for each in answer.data]
    for each, image in zip(answer.data, images, strict=True):
        assert each.b64_json is None
        assert each.url is not None
        assert each.url.startswith(gateway.url + "/files/obj_")
        assert answer.size == f"{image.width}x{image.height}"
        assert image.width == image.height >= 1024
        assert image.format is not None
        assert image.format.lower() == answer.output_format
    row = gateway.billed()[-1]
    assert (row.model, row.protocol, row.images) == (slug, "images", 2)
    assert row.credits == 2 * price(slug, answer.quality or "", image.width * image.height)
    assert row.held >= row.credits


@pytest.mark.parametrize("slug", IMAGE_MODELS)
def test_every_model_gives_bytes_where_they_are_asked_for(client: OpenAI, slug: str) -> None:
    answer = client.images.generate(model=slug, prompt="a kettle", response_format="b64_json")
    assert answer.data is not None
    assert answer.data[0].url is None
    assert opened(base64.b64decode(answer.data[0].b64_json or "")).width >= 1024


@pytest.mark.parametrize("slug", IMAGE_MODELS)
def test_every_model_changes_an_image_that_it_is_given(
    gateway: ImageGateway, client: OpenAI, slug: str
) -> None:
    gateway.forget_upstream_requests()
    answer = client.images.edit(
        model=slug, image=("cup.png", png(), "image/png"), prompt="make it green", size="1024x1024"
    )
    assert answer.data is not None
    assert opened(fetched(answer.data[0].url)).width >= 1024
    sent = gateway.sim.requests[0]
    encoded = base64.b64encode(png()).decode()
    assert encoded in json.dumps(sent.body) or "multipart/form-data" in sent.headers["content-type"]


@pytest.mark.parametrize("slug", IMAGE_MODELS)
def test_every_model_can_be_streamed(client: OpenAI, slug: str) -> None:
    with client.images.generate(
        model=slug, prompt="a fox", size="1024x1024", stream=True, partial_images=2
    ) as stream:
        events = list(stream)
    takes = MODELS[slug].media.partial_images_max
    partial = [event for event in events if isinstance(event, Partial)]
    assert [event.partial_image_index for event in partial] == list(range(min(takes, 2)))
    for event in partial:
        opened(base64.b64decode(event.b64_json))
    (completed,) = [event for event in events if isinstance(event, Completed)]
    assert completed is events[-1]
    assert completed.type == "image_generation.completed"
    image = opened(base64.b64decode(completed.b64_json))
    assert completed.size == f"{image.width}x{image.height}"
    assert completed.usage.total_tokens >= 0
    assert completed.created_at > 0


@pytest.mark.parametrize("slug", [slug for slug in IMAGE_MODELS if MODELS[slug].media.seed])
def test_a_seed_makes_the_same_pictures_again_and_each_another(client: OpenAI, slug: str) -> None:
    def drawn(n: int) -> list[str | None]:
        answer = client.images.generate(
            model=slug, prompt="a hill", n=n, response_format="b64_json", extra_body={"seed": 7}
        )
        return [each.b64_json for each in answer.data or ()]

    several = drawn(3)
    assert len(set(several)) == 3
    assert drawn(1)[0] in several


@pytest.mark.parametrize("slug", ["gpt-image-2", "nano-banana"])
def test_a_streamed_picture_has_a_url_where_one_is_asked_for(
    gateway: ImageGateway, client: OpenAI, slug: str
) -> None:
    def last(**more: Any) -> dict[str, Any]:
        with client.images.generate(model=slug, prompt="a fox", stream=True, **more) as stream:
            return list(stream)[-1].to_dict()

    assert "url" not in last()
    told = last(response_format="url")
    assert gateway.request("GET", gateway.path_of(told["url"])).body == base64.b64decode(told["b64_json"])


def test_an_edit_streams_in_its_own_events(client: OpenAI) -> None:
    with client.images.edit(
        model="gpt-image-2",
        image=("a.png", png(), "image/png"),
        prompt="more light",
        stream=True,
        partial_images=1,
    ) as stream:
        events = list(stream)
    assert [type(event) for event in events] == [ImageEditPartialImageEvent, ImageEditCompletedEvent]
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]


def test_several_images_and_a_mask_reach_the_vendor_as_files(client: OpenAI) -> None:
    """The simulator looks at what it is given: it counts a thousand tokens for each image, and knows a mask's size."""
    given = [("a.png", png(80, 64), "image/png"), ("b.png", png(32, 32), "image/png")]
    answer = client.images.edit(
        model="gpt-image-2",
        image=given,
        mask=("m.png", png(80, 64, "RGBA"), "image/png"),
        prompt="put b into a",
    )
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.image_tokens == 2000
    with pytest.raises(openai.BadRequestError, match="its size is not that of the image"):
        client.images.edit(
            model="gpt-image-2", image=given, mask=("m.png", png(32, 32, "RGBA"), "image/png"), prompt="x"
        )


def test_what_the_client_asks_for_reaches_the_vendor(client: OpenAI) -> None:
    answer = client.images.generate(
        model="gpt-image-2",
        prompt="a stamp",
        size="1536x1024",
        quality="high",
        background="transparent",
        output_format="webp",
        output_compression=70,
        moderation="low",
    )
    assert (answer.size, answer.quality, answer.background, answer.output_format) == (
        "1536x1024",
        "high",
        "transparent",
        "webp",
    )
    assert answer.data is not None
    image = opened(fetched(answer.data[0].url))
    assert (image.format, image.size, image.has_transparency_data) == ("WEBP", (1536, 1024), True)


def test_a_wrong_value_is_refused_with_those_that_are_allowed(gateway: ImageGateway, client: OpenAI) -> None:
    gateway.forget_upstream_requests()
    billed = gateway.usage_rows()
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(model="gpt-image-2", prompt="x", quality="xhigh")
    assert refused.value.code == "invalid_param"
    assert refused.value.param == "quality"
    assert refused.value.type == "invalid_request_error"
    assert "low, medium, high, auto" in refused.value.message
    assert gateway.sim.requests == []
    assert gateway.usage_rows() == billed


def test_the_vendors_safety_system_is_told_as_451_and_costs_nothing(
    gateway: ImageGateway, client: OpenAI
) -> None:
    billed = gateway.usage_rows()
    for slug in IMAGE_MODELS:
        with pytest.raises(openai.APIStatusError) as refused:
            client.images.generate(model=slug, prompt="a fight [[sim: fail=moderation]]")
        assert refused.value.status_code == 451, slug
        assert refused.value.code == "content_policy_violation"
        with (
            pytest.raises(openai.APIError) as streamed,
            client.images.generate(
                model=slug, prompt="a fight [[sim: fail=moderation]]", stream=True
            ) as stream,
        ):
            list(stream)
        assert streamed.value.code == "content_policy_violation"
    assert gateway.usage_rows() == billed


def test_a_text_model_is_told_where_it_belongs(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(model="gpt-4o", prompt="x")
    assert refused.value.code == "invalid_param"
    assert "/v1/chat/completions" in refused.value.message
    with pytest.raises(openai.BadRequestError) as other:
        client.chat.completions.create(
            model="nano-banana", messages=[{"role": "user", "content": "draw a cat"}]
        )
    assert other.value.code == "unsupported_feature"
    assert "/v1/images/generations" in other.value.message


def test_a_key_that_is_not_there_and_a_model_that_is_not_there(gateway: ImageGateway, client: OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="sk-byts-nobody").images.generate(model="gpt-image-2", prompt="x")
    with pytest.raises(openai.NotFoundError) as absent:
        client.images.generate(model="gpt-image-3", prompt="x")
    assert absent.value.code == "model_not_found"


def test_the_models_list_says_where_each_is_asked(client: OpenAI) -> None:
    listed = {model.id: model.to_dict()["protocols"] for model in client.models.list()}
    assert listed["gpt-image-2"] == {"images": "native", "tasks": "translated"}
    assert listed["nano-banana-pro"] == {"images": "translated", "tasks": "translated"}
    assert listed["seedream-4-5"] == {"images": "translated", "tasks": "translated"}
    assert listed["gpt-4o-image"] == {
        "openai_chat": "native",
        "images": "translated",
        "tasks": "translated",
    }


@pytest.mark.slow
def test_pictures_outlive_a_restart(tmp_path: Path) -> None:
    with ImageGateway(tmp_path) as first:
        client = OpenAI(base_url=first.url + "/v1", api_key=first.key, max_retries=0)
        answer = client.images.generate(model="seedream-v4", prompt="a bridge")
        assert answer.data is not None
        url = answer.data[0].url or ""
        before = fetched(url)
        path = url.removeprefix(first.url)
    with _Again(tmp_path) as second:
        assert second.request("GET", path).body == before


class _Again(ImageGateway):
    """On what is there."""

    async def _furnish(self) -> None:
        await self.application.parts.directory.poll()


def test_who_may_not_use_a_model_is_told_so(gateway: ImageGateway, client: OpenAI) -> None:
    gateway.forget_upstream_requests()
    key = gateway.new_key(allowed_models=("gpt-image-2",))
    narrow = client.with_options(api_key=key)
    with pytest.raises(openai.PermissionDeniedError) as denied:
        narrow.images.generate(model="nano-banana", prompt="x")
    assert denied.value.code == "permission_denied"
    assert gateway.sim.requests == []
    assert narrow.images.generate(model="gpt-image-2", prompt="x").data


def test_a_model_that_no_channel_serves_is_told_so(tmp_path: Path) -> None:
    with ImageGateway(tmp_path) as gateway:
        gateway.without("seedream")
        other = OpenAI(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0)
        with pytest.raises(openai.PermissionDeniedError) as absent:
            other.images.generate(model="seedream-v4", prompt="x")
        assert absent.value.code == "model_not_in_group"
        listed = {model.id for model in other.models.list()}
        assert "seedream-v4" not in listed
        assert "gpt-image-2" in listed


@pytest.mark.parametrize("slug", IMAGE_MODELS)
def test_every_model_draws_as_a_task_for_the_same_price(gateway: ImageGateway, slug: str) -> None:
    submitted = gateway.submitted(model=slug, params={"prompt": "a kettle", "n": 2})
    ended = gateway.ended(submitted["task_id"])
    assert ended["status"] == "completed", ended
    assert len(ended["output"]) == 2
    pictures = [opened(gateway.request("GET", gateway.path_of(each["url"])).body) for each in ended["output"]]
    assert [(each["width"], each["height"]) for each in ended["output"]] == [image.size for image in pictures]
    row = gateway.billed()[-1]
    pixels = pictures[0].width * pictures[0].height
    assert row.credits == 2 * price(slug, MODELS[slug].media.quality_default, pixels)
    assert (row.images, row.protocol) == (2, "tasks")
