"""Every price that the package ships is a whole number of micro-dollars, and what its data says to the last digit."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from decimal import Decimal
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bytespike.catalog.load import load_models
from bytespike.catalog.models import Model
from bytespike.catalog.usd import micros_of_usd, usd_of_micros

DATA = resources.files("bytespike.catalog") / "data"
MODELS = {model.slug: model for model in load_models()}


def rows() -> Iterator[dict[str, Any]]:
    """Each model's row in the data, with what it has by default, numbers as they are written."""
    for file in DATA.iterdir():
        if file.name.endswith(".toml") and file.name != "aliases.toml":
            raw = tomllib.loads(file.read_text("utf-8"), parse_float=Decimal)
            for row in raw["models"]:
                yield {**raw.get("defaults", {}), **row}


ROWS = {row["slug"]: row for row in rows()}


def exact(text: object, micros: int) -> bool:
    return type(micros) is int and isinstance(text, str) and Decimal(text).scaleb(6) == micros


@pytest.mark.parametrize("slug", ROWS)
def test_a_shipped_price_is_converted_exactly(slug: str) -> None:
    row, model = ROWS[slug], MODELS[slug]
    price = dict(row.get("price", {}))
    if price:
        price.setdefault("cache_write_1h", price["cache_write"])
        price["cache_write_5m"] = price.pop("cache_write")
    for name, text in price.items():
        assert exact(text, getattr(model.rates, name)), name
    images = row.get("images", [])
    assert len(images) == len(model.images)
    assert all(exact(each["price"], rate.price) for each, rate in zip(images, model.images, strict=True))
    if model.video is not None:
        assert exact(row["submit_fee"], model.video.submit_fee)
        pairs = zip(row["video"], model.video.seconds, strict=True)
        assert all(exact(each["per_second"], rate.per_second) for each, rate in pairs)


def test_every_shipped_model_was_looked_at() -> None:
    assert ROWS.keys() == MODELS.keys()


def amounts(model: Model) -> Iterator[object]:
    yield from structs.astuple(model.rates)[:6]
    yield from (rate.price for rate in model.images)
    if model.video is not None:
        yield model.video.submit_fee
        yield from (rate.per_second for rate in model.video.seconds)


def test_no_shipped_price_is_a_float() -> None:
    assert {type(amount) for model in MODELS.values() for amount in amounts(model)} == {int}


@given(st.decimals(0, 999_999_999, places=6, allow_nan=False))
def test_a_decimal_of_dollars_is_its_micro_dollars(amount: Decimal) -> None:
    micros = micros_of_usd(format(amount, "f"))
    assert type(micros) is int
    assert micros == amount.scaleb(6)
    assert Decimal(usd_of_micros(micros)) == amount


@given(st.floats() | st.text(max_size=20))
def test_what_is_no_amount_of_dollars_is_refused(value: float | str) -> None:
    try:
        micros = micros_of_usd(value)  # a float is no text
    except (ValueError, TypeError):
        return
    assert isinstance(value, str)
    assert Decimal(value).scaleb(6) == micros
