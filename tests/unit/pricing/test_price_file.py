from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, structs

from bytespike.catalog.models import ImageRate, TokenRates, TokenTier, VideoRate
from bytespike.catalog.tiers import TierDefinition, tiers_of
from bytespike.pricing.price import Price
from bytespike.pricing.price_file import ROWS_MAX, PriceFileError, Written, read_prices, write_prices

WHOLE = """
[[prices]]
model = "gemini-2.5-pro"
channel = "google main"
from = 2026-12-01T00:00:00+01:00
input = "1.25"
output = "10"
cache_write = "1.25"
web_search = "35.00"
tiers = [{ above = 200_000, input = "2.50" }]

[[prices]]
model = "gpt-image-2"
images = [{ price = "0.0375" }, { price = "0.25", quality = "high", pixels_min = 4_194_304, per = "image" }]

[[prices]]
model = "sora2"
from = 2026-12-01
submit_fee = "0.05"
seconds = [{ per_second = "0.30", resolution = "720p" }]
"""


def test_a_file_says_what_it_names_and_nothing_else() -> None:
    text, image, video = read_prices("p.toml", WHOLE)
    assert (text.model, text.channel, text.begins) == ("gemini-2.5-pro", "google main", 1_796_079_600_000_000)
    assert text.rates == {
        "input": 1_250_000,
        "output": 10_000_000,
        "cache_write_5m": 1_250_000,
        "web_search": 35_000_000,
    }
    assert text.tiers == (TierDefinition(200_000, input="2.50"),)
    assert (text.images, text.seconds) == (UNSET, UNSET)
    assert (image.channel, image.begins, image.rates) == (None, None, {})
    assert image.images == (ImageRate(37_500), ImageRate(250_000, "high", 4_194_304, "image"))
    assert (video.begins, video.rates, video.seconds) == (
        1_796_083_200_000_000,
        {"submit_fee": 50_000},
        (VideoRate(300_000, "720p"),),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[prices", "not TOML"),
        ("prices = 3", "expected tables"),
        ("prices = [3]", "price 1 \\(no model\\)"),
        ("[[price]]\nmodel = 'm'", "expected tables"),
        ("[[prices]]\ninput = '1'", "model"),
        ("[[prices]]\nmodel = 'm'", "names no rate"),
        ("[[prices]]\nmodel = 'm'\ninput = 1.5", "input"),
        ("[[prices]]\nmodel = 'm'\ninput = 1", "input"),
        ("[[prices]]\nmodel = 'm'\ninput = '-1'", "not an amount"),
        ("[[prices]]\nmodel = 'm'\ninput = '0.0000001'", "micro-dollar"),
        ("[[prices]]\nmodel = 'm'\ninput = '1'\ncolour = 'red'", "colour"),
        ("[[prices]]\nmodel = 'm'\ninput = '1'\nfrom = 'soon'", "from"),
        ("[[prices]]\nmodel = 'm'\nimages = [{ price = '1', per = 'page' }]", "page"),
        ("[[prices]]\nmodel = 'm'\nseconds = [{ resolution = '1' }]", "per_second"),
    ],
)
def test_a_wrong_file_is_refused_with_the_price_and_the_field(text: str, message: str) -> None:
    with pytest.raises(PriceFileError, match=message):
        read_prices("p.toml", text)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(PriceFileError) as caught:
        read_prices("p.toml", "[[prices]]\nmodel = 'a'\n[[prices]]\nmodel = 'b'\ninput = 'x'\n")
    assert len(caught.value.problems) == 2
    assert caught.value.problems[1].startswith("p.toml: price 2 (b): ")


def test_a_file_is_bounded() -> None:
    with pytest.raises(PriceFileError, match="more than"):
        read_prices("p.toml", "[[prices]]\n" * (ROWS_MAX + 1))


RATE = st.one_of(st.integers(0, 10), st.integers(0, 10**15 - 1))
NAMES = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=20)
TIERS = st.lists(
    st.builds(TokenTier, st.integers(1, 10**8), RATE, RATE, RATE, RATE, RATE), min_size=1, max_size=3
).map(tuple)
IMAGES = st.lists(
    st.builds(
        ImageRate, RATE, NAMES | st.just(""), st.integers(0, 10**8), st.sampled_from(("image", "turn"))
    ),
    min_size=1,
    max_size=3,
).map(tuple)
SECONDS = st.lists(st.builds(VideoRate, RATE, NAMES | st.just("")), min_size=1, max_size=3).map(tuple)
PRICES = st.builds(
    Price,
    st.just("catalog"),
    *[RATE] * 7,
    st.just(UNSET) | TIERS,
    st.just(UNSET) | IMAGES,
    st.just(UNSET) | SECONDS,
)


@given(NAMES, st.none() | NAMES, st.integers(0, 2**52), PRICES)
def test_what_is_written_reads_back_as_itself(
    model: str, channel: str | None, begins: int, price: Price
) -> None:
    (read,) = read_prices("p.toml", write_prices([Written(model, channel, begins, price)]))
    assert (read.model, read.channel, read.begins) == (model, channel, begins)
    assert structs.replace(Price(), **read.rates) == structs.replace(
        price, tiers=UNSET, images=UNSET, seconds=UNSET
    )
    assert (read.images, read.seconds) == (price.images, price.seconds)
    assert (read.tiers is UNSET) == (price.tiers is UNSET)
    for tier, before in zip(read.tiers or (), price.tiers or (), strict=True):
        assert tiers_of([tier], TokenRates()) == (before,)
