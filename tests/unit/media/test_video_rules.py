"""What a request for a video may ask for, model by model: one vocabulary, whichever provider makes it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from bytespike.catalog.resolve import load_catalog
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.media.order import Order
from bytespike.media.rules import read_order
from bytespike.providers.simulator.pictures import Picture, draw

MODELS = {slug: model for slug, model in load_catalog().models.items() if model.kind == "video"}
PNG = "data:image/png;base64," + base64.b64encode(draw(Picture("x", 8, 8), b"")).decode()
URL = "https://example.com/frame.png"


def order(slug: str, **params: Any) -> Order:
    return read_order(MODELS[slug], {"prompt": "a dog", **params}, "video")


@pytest.mark.parametrize(
    ("slug", "seconds", "aspect_ratio", "resolution"),
    [
        ("sora2", 4, "9:16", "720p"),
        ("sora2-pro", 4, "9:16", "720p"),
        ("veo3-1", 8, "16:9", "720p"),
        ("veo3-1-fast", 8, "16:9", "720p"),
        ("seedance-1-5-pro", 5, "", "720p"),
        ("seedance-pro", 5, "", "1080p"),
        ("seedance-pro-fast", 5, "", "1080p"),
        ("seedance-2", 5, "", "720p"),
        ("seedance-2-fast", 5, "", "720p"),
    ],
)
def test_what_is_left_open_is_what_the_provider_would_take(
    slug: str, seconds: int, aspect_ratio: str, resolution: str
) -> None:
    given = order(slug)
    assert (given.seconds, given.aspect_ratio, given.resolution) == (seconds, aspect_ratio, resolution)


@pytest.mark.parametrize("slug", MODELS)
def test_every_size_of_the_openai_sdk_for_720p_is_taken_by_every_model(slug: str) -> None:
    for size in ("1280x720", "720x1280"):
        given = order(slug, size=size)
        assert (f"{given.width}x{given.height}", given.resolution) == (size, "720p")


@pytest.mark.parametrize("slug", MODELS)
def test_every_value_of_the_catalog_is_taken_and_no_other(slug: str) -> None:
    limits = MODELS[slug].media
    for seconds in limits.seconds:
        assert (
            order(slug, seconds=str(seconds)).seconds
            == order(slug, duration_seconds=seconds).seconds
            == seconds
        )
    for resolution in limits.resolutions:
        assert order(slug, resolution=resolution).resolution == resolution
    for ratio in limits.aspect_ratios:
        assert order(slug, aspect_ratio=ratio).aspect_ratio == ratio
    for size in limits.sizes:
        assert order(slug, size=size).size == size
    for name, wrong in (("seconds", 3600), ("resolution", "144p"), ("aspect_ratio", "7:5"), ("size", "7x5")):
        with pytest.raises(InvalidRequest) as refused:
            order(slug, **{name: wrong})
        assert refused.value.param == name
        assert slug in refused.value.message


def test_a_size_and_a_resolution_that_contradict_each_other_are_refused() -> None:
    assert order("veo3-1", size="1920x1080", resolution="1080p").resolution == "1080p"
    with pytest.raises(InvalidRequest, match="contradict"):
        order("veo3-1", size="1920x1080", resolution="720p")
    assert order("sora2-pro", size="1792x1024").resolution == "1024p"


@pytest.mark.parametrize("name", ["image_init", "input_reference", "image", "image_url"])
@pytest.mark.parametrize("value", [PNG, URL])
@pytest.mark.parametrize("slug", ["sora2", "seedance-pro-fast", "seedance-1-5-pro"])
def test_the_one_image_of_a_model_without_references_is_its_first_frame(
    slug: str, value: str, name: str
) -> None:
    (picture,) = order(slug, **{name: value}).pictures
    assert picture.role == "first_frame"
    assert bool(picture.data) != bool(picture.url)


def test_references_are_counted() -> None:
    assert len(order("veo3-1", reference_images=[URL] * 3).pictures) == 3
    with pytest.raises(InvalidRequest, match="at most 3"):
        order("veo3-1", reference_images=[URL] * 4)
    assert len(order("seedance-2", reference_images=[URL] * 9).pictures) == 9


@pytest.mark.parametrize("slug", ["veo3-1", "seedance-2", "seedance-pro"])
def test_frames_are_one_of_each_the_last_not_without_the_first(slug: str) -> None:
    given = order(slug, image_init=URL, last_frame=PNG)
    assert [picture.role for picture in given.pictures] == ["first_frame", "last_frame"]
    with pytest.raises(InvalidRequest, match="needs a first"):
        order(slug, last_frame=URL)
    with pytest.raises(InvalidRequest, match="one first frame"):
        order(slug, image_init=URL, first_frame=URL)


@pytest.mark.parametrize("slug", ["sora2", "seedance-pro-fast"])
def test_a_last_frame_is_refused_by_a_model_that_has_none(slug: str) -> None:
    with pytest.raises(UnsupportedFeature, match="last frame"):
        order(slug, image_init=URL, last_frame=URL)


@pytest.mark.parametrize("slug", ["veo3-1", "seedance-2"])
def test_frames_and_references_are_not_mixed(slug: str) -> None:
    with pytest.raises(UnsupportedFeature, match="not both"):
        order(slug, image_init=URL, reference_images=[URL])


def test_what_must_not_be_seen_is_veos_to_know() -> None:
    assert order("veo3-1", negative_prompt="cartoon").negative_prompt == "cartoon"
    with pytest.raises(UnsupportedFeature):
        order("sora2", negative_prompt="cartoon")


def test_seed_sound_and_watermark_are_dropped_with_a_notice_where_there_are_none() -> None:
    knobs = {"seed": 7, "audio": False, "watermark": True}
    given = order("seedance-1-5-pro", **knobs)
    assert (given.seed, given.audio, given.watermark, given.notices) == (7, False, True, ())
    given = order("sora2", **knobs)
    assert (given.seed, given.audio, given.watermark, len(given.notices)) == (None, None, None, 3)
