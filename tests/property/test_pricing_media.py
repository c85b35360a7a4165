"""What images and videos cost is exact: the same as with fractions, rounded half up once; never a float."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from bytespike.catalog.models import ImageRate, VideoRate
from bytespike.catalog.resolve import load_catalog
from bytespike.pricing.defaults import default_price
from bytespike.pricing.image_rates import at_rate, dearest_image_rate, image_rate, images_cost
from bytespike.pricing.price import ONE_PPM, Price
from bytespike.pricing.video_rates import video_cost, video_rate

QUALITIES = ("", "low", "medium", "high", "hd")
PIXELS = st.sampled_from([0, 1, 262_144, 1_048_575, 1_048_576, 4_194_303, 4_194_304, 16_777_216])
AMOUNT = st.integers(0, 10_000_000)
MULTIPLIER = st.one_of(st.just(ONE_PPM), st.integers(0, 10_000_000))
IMAGE_ROWS = st.lists(
    st.builds(ImageRate, AMOUNT, st.sampled_from(QUALITIES), PIXELS, st.sampled_from(["image", "turn"])),
    max_size=8,
    unique_by=lambda row: (row.quality, row.pixels_min),
)
RESOLUTIONS = ("", "480p", "720p", "1080p")
VIDEO_ROWS = st.lists(
    st.builds(VideoRate, AMOUNT, st.sampled_from(RESOLUTIONS)),
    max_size=4,
    unique_by=lambda row: row.resolution,
)


def half_up(amount: Fraction) -> int:
    return floor(amount + Fraction(1, 2))


@given(IMAGE_ROWS, st.sampled_from(QUALITIES), PIXELS)
def test_the_row_that_holds_names_the_quality_if_one_does_and_has_the_most_pixels(
    rows: list[ImageRate], quality: str, pixels: int
) -> None:
    found = image_rate(Price(images=tuple(rows) or UNSET), quality, pixels)
    reached = [row for row in rows if row.pixels_min <= pixels]
    named = [row for row in reached if row.quality == quality]
    fitting = named or [row for row in reached if row.quality == ""]
    assert (found is None) == (not fitting)
    if found is not None:
        assert found in fitting
        assert found.pixels_min == max(row.pixels_min for row in fitting)


@given(IMAGE_ROWS, st.sets(st.sampled_from(QUALITIES), min_size=1), PIXELS, PIXELS)
def test_no_picture_costs_more_than_the_dearest_row_that_was_held_for(
    rows: list[ImageRate], qualities: set[str], pixels: int, pixels_max: int
) -> None:
    price = Price(images=tuple(rows) or UNSET)
    dearest = dearest_image_rate(price, qualities, pixels_max)
    for quality in qualities:
        found = image_rate(price, quality, min(pixels, pixels_max))
        if found is not None:
            assert dearest is not None
            assert found.price <= dearest.price


@given(st.integers(0, 20), AMOUNT, MULTIPLIER)
def test_images_cost_their_number_times_the_rate(count: int, amount: int, multiplier_ppm: int) -> None:
    cost = images_cost(count, ImageRate(amount), multiplier_ppm)
    assert type(cost) is int
    assert cost == half_up(Fraction(count * amount * multiplier_ppm, ONE_PPM))


@given(VIDEO_ROWS, st.sampled_from(RESOLUTIONS))
def test_a_video_costs_the_rate_of_its_resolution_or_of_any_or_the_dearest(
    rows: list[VideoRate], resolution: str
) -> None:
    found = video_rate(Price(seconds=tuple(rows) or UNSET), resolution)
    by_name = {row.resolution: row for row in rows}
    if not rows:
        assert found is None
        return
    assert found is not None
    if resolution in by_name or "" in by_name:
        assert found == by_name.get(resolution, by_name.get(""))
    else:
        assert found.per_second == max(row.per_second for row in rows)


@given(st.integers(0, 120), AMOUNT, st.integers(0, 1_000_000), MULTIPLIER)
def test_a_video_costs_its_seconds_and_the_fee(
    seconds: int, per_second: int, fee: int, multiplier_ppm: int
) -> None:
    price = Price(submit_fee=fee)
    cost = video_cost(price, VideoRate(per_second), seconds, multiplier_ppm)
    assert type(cost) is int
    assert cost == half_up(Fraction((fee + seconds * per_second) * multiplier_ppm, ONE_PPM))
    # Fewer seconds than were held for never cost more.
    assert cost <= video_cost(price, VideoRate(per_second), seconds + 1, multiplier_ppm)


MODELS = load_catalog().models
PUBLISHED_IMAGES = {
    ("seedream-v4", "", 1_048_576): "0.024",
    ("seedream-4-5", "", 4_194_304): "0.030",
    ("seedream-v5lite", "", 4_194_304): "0.012",
    ("nano-banana", "", 1_048_576): "0.020",
    ("nano-banana-v2", "", 1_048_576): "0.040",
    ("nano-banana-pro", "", 1_048_576): "0.040",
    ("nano-banana-pro", "hd", 1_048_576): "0.080",
    ("gpt-image-2", "medium", 1_048_576): "0.030",
    ("gpt-image-2", "high", 1_048_576): "0.080",
    ("gpt-image-2", "high", 4_194_304): "0.250",
    ("gpt-image-2", "high", 8_294_400): "0.250",
    ("gpt-image-2-official", "medium", 1_048_576): "0.0375",
    ("gpt-image-2-official", "high", 1_048_576): "0.100",
    ("gpt-image-2-official", "high", 4_194_304): "0.3125",
    ("gpt-4o-image", "", 1_048_576): "0.080",
}
PUBLISHED_SECONDS = {
    "sora2": "0.30",
    "sora2-pro": "0.45",
    "veo3-1": "0.10",
    "veo3-1-fast": "0.04",
    "seedance-1-5-pro": "0.08",
    "seedance-2": "0.06",
    "seedance-pro": "0.15",
    "seedance-pro-fast": "0.12",
    "seedance-2-fast": "0.03",
}


@pytest.mark.parametrize(("slug", "quality", "pixels"), PUBLISHED_IMAGES)
def test_every_image_model_costs_what_is_published(slug: str, quality: str, pixels: int) -> None:
    price = default_price(MODELS[slug])
    rate = image_rate(price, quality, pixels)
    assert rate is not None
    usd = Decimal(PUBLISHED_IMAGES[slug, quality, pixels])
    assert images_cost(3, rate, 1_500_000) == usd * 3 * 1_500_000
    assert rate.per == ("turn" if slug == "gpt-4o-image" else "image")
    assert at_rate(price, rate).images == (rate,)


@pytest.mark.parametrize("slug", PUBLISHED_SECONDS)
def test_every_video_model_costs_what_is_published(slug: str) -> None:
    price = default_price(MODELS[slug])
    rate = video_rate(price, "")
    assert rate is not None
    usd = Decimal(PUBLISHED_SECONDS[slug]) * 8 + Decimal("0.05")
    assert video_cost(price, rate, 8, ONE_PPM) == usd * 1_000_000


def test_every_image_and_video_model_is_among_them() -> None:
    def of(kind: str) -> set[str]:
        return {slug for slug, model in MODELS.items() if model.kind == kind}

    assert of("image") == {slug for slug, _, _ in PUBLISHED_IMAGES}
    assert of("video") == set(PUBLISHED_SECONDS)
