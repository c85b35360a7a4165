"""Which row of an image price table holds, and what so many pictures cost at it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.catalog.load import load_models
from bytespike.catalog.models import ImageRate
from bytespike.pricing.defaults import default_price
from bytespike.pricing.image_rates import at_rate, dearest_image_rate, image_rate, images_cost
from bytespike.pricing.price import ONE_PPM, Price

TABLE = Price(
    images=(
        ImageRate(30),
        ImageRate(40, pixels_min=2000),
        ImageRate(80, quality="high"),
        ImageRate(250, quality="high", pixels_min=4000),
    )
)
IMAGE_MODELS = [model for model in load_models() if model.kind == "image"]
RATES = st.lists(
    st.builds(
        ImageRate,
        st.integers(0, 1000),
        st.sampled_from(["", "low", "high"]),
        st.sampled_from([0, 1000, 2000, 4000]),
    ),
    max_size=6,
)


@pytest.mark.parametrize(
    ("quality", "pixels", "price"),
    [
        ("", 0, 30),
        ("low", 1999, 30),
        ("low", 2000, 40),
        ("high", 0, 80),
        # A row that names the quality comes before one that has more pixels.
        ("high", 3999, 80),
        ("high", 4000, 250),
        ("high", 9999, 250),
    ],
)
def test_the_row_that_holds(quality: str, pixels: int, price: int) -> None:
    rate = image_rate(TABLE, quality, pixels)
    assert rate is not None
    assert rate.price == price


def test_a_price_without_images_has_no_row() -> None:
    assert image_rate(Price(), "high", 100) is None
    assert dearest_image_rate(Price(), ("high",), 100) is None
    assert image_rate(Price(images=(ImageRate(5, quality="hd"),)), "low", 100) is None


@given(RATES, st.sampled_from(["", "low", "high"]), st.integers(0, 5000), st.integers(0, 5000))
def test_what_is_held_for_is_never_less_than_what_is_billed(
    rates: list[ImageRate], quality: str, ordered: int, drawn: int
) -> None:
    price = Price(images=tuple(rates))
    billed = image_rate(price, quality, min(ordered, drawn))
    held = dearest_image_rate(price, ("low", "", "high"), ordered)
    if billed is not None:
        assert held is not None
        assert held.price >= billed.price


@given(RATES.filter(bool), st.integers(1, 15), st.integers(0, 10_000_000))
def test_a_receipts_price_says_what_each_picture_cost(rates: list[ImageRate], count: int, ppm: int) -> None:
    rate = rates[0]
    price = at_rate(Price(id="p1", images=tuple(rates)), rate)
    assert (price.id, price.images) == ("p1", (rate,))
    credits = images_cost(count, rate, ppm)
    assert credits * ONE_PPM == pytest.approx(count * rate.price * ppm, abs=ONE_PPM / 2)
    assert type(credits) is int


@pytest.mark.parametrize("model", IMAGE_MODELS, ids=lambda model: model.slug)
def test_every_quality_and_size_of_the_catalog_has_a_price(model) -> None:
    for quality in model.media.qualities or ("",):
        for pixels in (0, 1024 * 1024, 4096 * 4096):
            assert image_rate(default_price(model), quality, pixels) is not None
