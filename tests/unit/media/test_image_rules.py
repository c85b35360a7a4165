"""What a request for images may ask, model by model: from the catalog's limits, with errors that say what is allowed."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from bytespike.catalog.load import load_models
from bytespike.catalog.models import MediaLimits
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.media.order import Order
from bytespike.media.rules import SEQUENCE_MAX, read_order
from bytespike.media.sizes import enlarged, misfit, nearest_shape, sides_of

MODELS = {model.slug: model for model in load_models() if model.kind == "image"}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60)).decode()
URL = "data:image/png;base64," + PNG


def read(slug: str, **params: Any) -> Order:
    return read_order(MODELS[slug], {"prompt": "a cat", **params}, "image")


def refused(slug: str, **params: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as wrong:
        read(slug, **params)
    return wrong.value


@pytest.mark.parametrize("slug", sorted(MODELS))
def test_every_model_takes_a_prompt_alone(slug: str) -> None:
    order = read(slug)
    assert (order.kind, order.n, order.stream, order.pictures, order.notices) == ("image", 1, False, (), ())
    assert order.quality == MODELS[slug].media.quality_default


@pytest.mark.parametrize("slug", sorted(MODELS))
@pytest.mark.parametrize("size", ["1024x1024", "1024x1536", "1536x1024"])
def test_every_model_takes_the_usual_sizes(slug: str, size: str) -> None:
    order = read(slug, size=size)
    width, height = map(int, size.split("x"))
    assert order.size == size
    assert order.width * order.height >= width * height
    assert order.width * height == pytest.approx(order.height * width, rel=0.01)
    assert bool(order.notices) == ((order.width, order.height) != (width, height))


@pytest.mark.parametrize("slug", sorted(MODELS))
@pytest.mark.parametrize("prompt", [None, "", "   ", 7, ["a"]])
def test_a_prompt_is_text(slug: str, prompt: Any) -> None:
    assert refused(slug, prompt=prompt).param == "prompt"


def test_a_prompt_is_only_so_long() -> None:
    most = MODELS["gpt-image-2"].media.prompt_chars_max
    assert read("gpt-image-2", prompt="x" * most).prompt
    assert str(most) in refused("gpt-image-2", prompt="x" * (most + 1)).message


@pytest.mark.parametrize("slug", sorted(MODELS))
def test_a_value_that_is_not_allowed_is_refused_with_those_that_are(slug: str) -> None:
    limits = MODELS[slug].media
    for name, allowed in (
        ("size", limits.sizes),
        ("quality", limits.qualities),
        ("background", limits.backgrounds),
        ("output_format", limits.formats),
        ("aspect_ratio", limits.aspect_ratios),
    ):
        if allowed:
            wrong = refused(slug, **{name: "sideways"})
            assert type(wrong) is InvalidRequest
            assert wrong.param == name
            assert ", ".join(allowed) in wrong.message
            assert "'sideways'" in wrong.message


@pytest.mark.parametrize("slug", sorted(MODELS))
def test_the_number_of_pictures_is_bounded(slug: str) -> None:
    most = MODELS[slug].media.n_max
    assert read(slug, n=most).n == most
    for n in (0, -1, most + 1, 10**30):
        assert refused(slug, n=n).param == "n"
    for n in ("two", "--1", "-", "1e1", 1.5, float("inf"), True, [1]):
        assert refused(slug, n=n).param == "n"


@pytest.mark.parametrize("slug", sorted(MODELS))
def test_a_knob_that_the_model_lacks_is_left_out_and_told(slug: str) -> None:
    limits = MODELS[slug].media
    order = read(slug, style="vivid", seed=7, watermark=True, telescope=3, audio=True)
    dropped = {notice.partition(":")[0] for notice in order.notices if ": dropped" in notice}
    expected = {"style", "telescope", "audio"}
    expected |= {"seed"} if not limits.seed else set()
    expected |= {"watermark"} if not limits.watermark else set()
    assert dropped == expected
    assert (order.seed, order.watermark, order.style) == (
        7 if limits.seed else None,
        True if limits.watermark else None,
        "",
    )


@pytest.mark.parametrize("slug", sorted(MODELS))
def test_what_would_change_the_picture_is_refused_where_the_model_lacks_it(slug: str) -> None:
    limits = MODELS[slug].media
    for name, value, taken in (
        ("negative_prompt", "fog", limits.negative_prompt),
        ("background", "transparent", "transparent" in limits.backgrounds),
    ):
        if taken:
            read(slug, **{name: value})
        else:
            wrong = refused(slug, **{name: value})
            assert isinstance(wrong, UnsupportedFeature)
            assert wrong.param == name
    if not limits.mask:
        assert isinstance(refused(slug, image=URL, mask=URL), UnsupportedFeature)


@pytest.mark.parametrize("slug", sorted(MODELS))
def test_images_that_are_given_are_bounded(slug: str) -> None:
    most = MODELS[slug].media.references_max
    assert most > 0
    assert len(read(slug, image=[URL] * most).pictures) == most
    assert refused(slug, image=[URL] * (most + 1)).param == "image"


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ("1000x1000", "multiples of 16"),
        ("3856x1024", "no side has more than 3,840"),
        ("3200x800", "at most 3 times"),
        ("512x512", "655,360 to 8,294,400"),
        ("4096x4096", "655,360 to 8,294,400"),
        ("0x10", "1024x1024"),
        ("99999999x1", "1024x1024"),
    ],
)
def test_a_free_size_keeps_the_models_bounds(size: str, reason: str) -> None:
    wrong = refused("gpt-image-2", size=size)
    assert wrong.param == "size"
    assert reason in wrong.message


@pytest.mark.parametrize("size", ["1536x864", "3840x2160", "2560x1440", "1024 x 1024", "1024X1024"])
def test_any_size_within_them_is_taken(size: str) -> None:
    order = read("gpt-image-2", size=size)
    assert order.width * order.height > 0
    assert order.notices == ()


def test_an_automatic_size_is_said_where_the_model_knows_it_and_its_default_elsewhere() -> None:
    assert (read("gpt-image-2", size="auto").size, read("gpt-image-2", size="auto").width) == ("auto", 0)
    assert read("seedream-4-5", size="auto") == read("seedream-4-5")
    assert read("nano-banana", size="auto") == read("nano-banana")


@pytest.mark.parametrize(
    ("slug", "params", "width", "height"),
    [
        ("gpt-image-2", {"aspect_ratio": "1:1"}, 1024, 1024),
        ("gpt-image-2", {"aspect_ratio": "16:9"}, 1360, 768),
        ("gpt-image-2", {"aspect_ratio": "9:16"}, 768, 1360),
        ("seedream-4-5", {"aspect_ratio": "16:9"}, 2736, 1536),
        ("seedream-4-5", {"aspect_ratio": "16:9", "size": "4K"}, 5456, 3072),
        ("seedream-v4", {"aspect_ratio": "2:3", "size": "1K"}, 832, 1248),
    ],
)
def test_a_shape_becomes_sides_where_the_model_takes_pixels(
    slug: str, params: dict[str, Any], width: int, height: int
) -> None:
    order = read(slug, **params)
    assert (order.width, order.height) == (width, height)
    assert misfit(width, height, MODELS[slug].media) == ""


@pytest.mark.parametrize(
    ("slug", "params", "shape", "named", "quality"),
    [
        ("nano-banana", {"size": "1536x1024"}, "3:2", "", ""),
        ("nano-banana", {"aspect_ratio": "21:9"}, "21:9", "", ""),
        ("nano-banana-pro", {"size": "2K", "aspect_ratio": "16:9"}, "16:9", "2K", "standard"),
        ("nano-banana-pro", {"size": "2048x1536"}, "4:3", "2K", "standard"),
        ("nano-banana-pro", {"size": "4096x4096"}, "1:1", "4K", "hd"),
        ("nano-banana-pro", {"quality": "hd"}, "", "4K", "hd"),
        ("nano-banana-pro", {"quality": "hd", "aspect_ratio": "9:16"}, "9:16", "4K", "hd"),
        ("nano-banana-v2", {"aspect_ratio": "8:1"}, "8:1", "", "standard"),
        ("nano-banana-v2", {"size": "512"}, "", "512", "standard"),
    ],
)
def test_sides_become_a_shape_and_a_class_where_the_model_takes_those(
    slug: str, params: dict[str, Any], shape: str, named: str, quality: str
) -> None:
    order = read(slug, **params)
    assert (order.aspect_ratio, order.resolution, order.quality) == (shape, named, quality)


def test_the_size_decides_the_quality_that_is_paid_for() -> None:
    dear = read("nano-banana-pro", size="4K", quality="standard")
    assert (dear.quality, dear.notices) == ("hd", ("quality: approximated (hd is the quality of 4K)",))
    cheap = read("nano-banana-pro", size="2048x2048", quality="hd")
    assert (cheap.quality, cheap.resolution) == ("standard", "2K")
    assert cheap.notices == ("quality: approximated (standard is the quality of 2048x2048)",)


def test_a_size_and_a_shape_that_contradict_each_other_are_refused() -> None:
    assert refused("gpt-image-2", size="1024x1024", aspect_ratio="16:9").param == "aspect_ratio"
    assert read("gpt-image-2", size="1360x768", aspect_ratio="16:9").width == 1360


@pytest.mark.parametrize(
    ("slug", "asked", "found"),
    [
        ("gpt-image-2", "standard", "medium"),
        ("gpt-image-2", "hd", "high"),
        ("nano-banana-pro", "medium", "standard"),
        ("nano-banana-pro", "auto", "standard"),
    ],
)
def test_another_vendors_word_for_a_quality_is_understood(slug: str, asked: str, found: str) -> None:
    order = read(slug, quality=asked)
    assert order.quality == found
    assert len(order.notices) == (0 if asked == "auto" else 1)


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"output_compression": 50}, "output_compression"),
        ({"output_compression": 101, "output_format": "webp"}, "output_compression"),
        ({"background": "transparent", "output_format": "jpeg"}, "output_format"),
        ({"partial_images": 2}, "partial_images"),
        ({"partial_images": 4, "stream": True}, "partial_images"),
        ({"stream": "perhaps"}, "stream"),
        ({"seed": -2}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"user": 7}, "user"),
        ({"image": URL, "mask": [URL, URL]}, "mask"),
    ],
    ids=str,
)
def test_parameters_that_do_not_go_together(params: dict[str, Any], param: str) -> None:
    assert refused("gpt-image-2", **params).param == param


def test_figures_and_flags_may_be_text_as_forms_have_them() -> None:
    order = read(
        "gpt-image-2", n="3", stream="true", partial_images="2", output_format="webp", output_compression="40"
    )
    assert (order.n, order.stream, order.partial_images, order.output_compression) == (3, True, 2, 40)


def test_partial_images_are_told_where_the_vendor_has_none() -> None:
    order = read("seedream-v4", stream=True, partial_images=2)
    assert order.partial_images == 0
    assert any(notice.startswith("partial_images: dropped") for notice in order.notices)


def test_what_the_vendor_takes_besides_goes_along() -> None:
    assert read("gpt-image-2", moderation="low").extras == {"moderation": "low"}
    assert read("seedream-v4", moderation="low").extras == {}


@pytest.mark.parametrize(
    ("options", "n"), [(None, SEQUENCE_MAX), ({"max_images": 4}, 4), ({"max_images": 15}, 15)]
)
def test_a_sequence_may_have_more_pictures_and_is_held_for_whole(options: Any, n: int) -> None:
    order = read(
        "seedream-4-5",
        sequential_image_generation="auto",
        sequential_image_generation_options=options,
    )
    assert order.n == n


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("always", None),
        ("auto", 4),
        ("auto", {"max_images": 16}),
        ("auto", {"max_images": 0}),
        ("auto", {"max_images": True}),
    ],
)
def test_a_wrong_sequence_is_refused(mode: str, options: Any) -> None:
    wrong = refused(
        "seedream-4-5", sequential_image_generation=mode, sequential_image_generation_options=options
    )
    assert (wrong.param or "").startswith("sequential_image_generation")


def test_notices_of_strange_names_fit_into_a_header() -> None:
    order = read("gpt-image-2", **{"naïve,name;\r\nx: y" + "z" * 100: 1})
    (notice,) = order.notices
    head, _, _ = notice.partition(": dropped")
    assert notice.isascii()
    assert "," not in head
    assert ";" not in head


# --- sizes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", sorted(slug for slug, model in MODELS.items() if model.media.pixels_max))
def test_every_shape_of_the_catalog_has_sides_within_the_models_bounds(slug: str) -> None:
    limits = MODELS[slug].media
    for name in limits.aspect_ratios:
        across, down = map(int, name.split(":"))
        for side in (512, 1024, 2048, 4096, 100_000):
            width, height = sides_of((across, down), side * side, limits)
            assert misfit(width, height, limits) == "", (name, side)
            assert width / height == pytest.approx(across / down, rel=0.05)


def test_what_is_too_small_is_drawn_in_the_same_shape_and_no_larger_than_it_must_be() -> None:
    limits = MediaLimits(pixels_min=3_686_400, pixels_max=16_777_216)
    assert enlarged(1024, 1024, limits) == (1920, 1920)
    width, height = enlarged(300, 100, limits)
    assert limits.pixels_min <= width * height < limits.pixels_min * 1.01
    assert enlarged(4096, 4096, limits) == (4096, 4096)


def test_the_nearest_shape() -> None:
    shapes = ("1:1", "16:9", "9:16", "4:3")
    assert nearest_shape(1920, 1080, shapes) == "16:9"
    assert nearest_shape(1000, 1001, shapes) == "1:1"
    assert nearest_shape(100, 900, shapes) == "9:16"
    assert nearest_shape(1, 1, ()) == ""
