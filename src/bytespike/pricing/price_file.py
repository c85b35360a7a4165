"""Prices in TOML, to be kept beside the rest of a configuration, and to be moved from one gateway to another.

    [[prices]]
    model = "gemini-2-5-pro"
    channel = "google-main"           # left out: every channel without its own
    from = 2026-12-01T00:00:00Z       # left out: now
    input = "1.25"
    output = "10.00"
    tiers = [{ above = 200_000, input = "2.50", output = "15.00" }]

USD is text, so that nothing is rounded: per million tokens, per 1,000 uses for `web_search`, per task for `submit_fee`.
Image models have `images`, video models `seconds`, as in a catalog file.
"""

from __future__ import annotations

import datetime
import json
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from bytespike.catalog.models import ImageRate, TokenTier, VideoRate
from bytespike.catalog.tiers import TierDefinition
from bytespike.catalog.usd import micros_of_usd, usd_of_micros
from bytespike.errors import GatewayError
from bytespike.pricing.price import Price

FILE_BYTES_MAX = 4 * 1024 * 1024
ROWS_MAX = 10_000
#: Problems that are told at once.
PROBLEMS_MAX = 50

#: What a rate is called in a file, and in a price.
_RATES: Mapping[str, str] = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_write_5m",
    "cache_write_1h": "cache_write_1h",
    "web_search": "web_search",
    "submit_fee": "submit_fee",
}
_TIER_RATES = tuple(_RATES.items())[:5]


class PriceFileError(GatewayError):
    """A price file is wrong. `problems`: a sentence each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems[:PROBLEMS_MAX]))
        self.problems = problems


class FilePrice(Struct, frozen=True):
    """One row. `begins` Unix microseconds, None: now. `rates`: those of `Price`'s integer fields that it names, in their
    units. What is UNSET is not named."""

    model: str
    channel: str | None
    begins: int | None
    rates: Mapping[str, int]
    tiers: tuple[TierDefinition, ...] | UnsetType
    images: tuple[ImageRate, ...] | UnsetType
    seconds: tuple[VideoRate, ...] | UnsetType


class _Image(Struct, frozen=True, forbid_unknown_fields=True):
    price: str
    quality: str = ""
    pixels_min: int = 0
    per: Literal["image", "turn"] = "image"


class _Second(Struct, frozen=True, forbid_unknown_fields=True):
    per_second: str
    resolution: str = ""


class _Row(Struct, frozen=True, forbid_unknown_fields=True):
    model: str
    channel: str | None = None
    begins: object = field(name="from", default=None)  # a date or a time, which TOML has
    input: str | UnsetType = UNSET
    output: str | UnsetType = UNSET
    cache_read: str | UnsetType = UNSET
    cache_write: str | UnsetType = UNSET
    cache_write_1h: str | UnsetType = UNSET
    web_search: str | UnsetType = UNSET
    submit_fee: str | UnsetType = UNSET
    tiers: tuple[TierDefinition, ...] | UnsetType = UNSET
    images: tuple[_Image, ...] | UnsetType = UNSET
    seconds: tuple[_Second, ...] | UnsetType = UNSET


# --- reading -----------------------------------------------------------------------------------------------------------


def read_prices(name: str, text: str) -> list[FilePrice]:
    """`name` is how the problems call the file. Raises `PriceFileError`, with every problem."""
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PriceFileError((f"{name}: not TOML: {error}",)) from None
    rows: object = raw.get("prices", [])
    if set(raw) - {"prices"} or not isinstance(rows, list):
        raise PriceFileError((f"{name}: expected tables, each headed [[prices]], and nothing else",))
    found: list[FilePrice] = []
    problems: list[str] = []
    tables = cast("list[object]", rows)
    if len(tables) > ROWS_MAX:
        raise PriceFileError((f"{name}: more than {ROWS_MAX} prices",))
    for number, table in enumerate(tables, 1):
        try:
            found.append(_read(msgspec.convert(table, _Row)))
        except ValueError as error:  # msgspec's too
            problems.append(f"{name}: price {number} ({_title(table)}): {error}")
    if problems:
        raise PriceFileError(tuple(problems))
    return found


def _title(table: object) -> str:
    """Which price it is, where it says so."""
    values = cast("dict[str, object]", table) if isinstance(table, dict) else {}
    return str(values.get("model", "no model"))[:100]


def _read(row: _Row) -> FilePrice:
    """Raises ValueError."""
    texts: dict[str, str | UnsetType] = {rate: getattr(row, named) for named, rate in _RATES.items()}
    rates = {rate: micros_of_usd(text) for rate, text in texts.items() if text is not UNSET}
    images = row.images
    seconds = row.seconds
    if not rates and row.tiers is UNSET and images is UNSET and seconds is UNSET:
        raise ValueError("it names no rate")
    return FilePrice(
        model=row.model,
        channel=row.channel,
        begins=None if row.begins is None else _micros(row.begins),
        rates=rates,
        tiers=row.tiers,
        images=images
        if images is UNSET
        else tuple(
            ImageRate(micros_of_usd(each.price), each.quality, each.pixels_min, each.per) for each in images
        ),
        seconds=seconds
        if seconds is UNSET
        else tuple(VideoRate(micros_of_usd(each.per_second), each.resolution) for each in seconds),
    )


def _micros(begins: object) -> int:
    """Raises ValueError."""
    if not isinstance(begins, datetime.date):
        raise ValueError("from: expected a date or a time, such as 2026-12-01T00:00:00Z")
    if not isinstance(begins, datetime.datetime):
        begins = datetime.datetime.combine(begins, datetime.time())
    if begins.tzinfo is None:
        begins = begins.replace(tzinfo=datetime.UTC)
    return int(begins.timestamp()) * 1_000_000 + begins.microsecond


# --- writing -----------------------------------------------------------------------------------------------------------


class Written(Struct, frozen=True):
    """A price as it goes into a file; `begins` Unix microseconds."""

    model: str
    channel: str | None
    begins: int
    price: Price


def write_prices(prices: Iterable[Written]) -> str:
    """The file's text: each price whole. Reading it again gives the same prices."""
    return "\n".join(_table(each) for each in prices)


def _table(written: Written) -> str:
    price = written.price
    lines = ["[[prices]]", f"model = {_text(written.model)}"]
    if written.channel is not None:
        lines.append(f"channel = {_text(written.channel)}")
    lines.append(f"from = {_moment(written.begins)}")
    lines += [f"{named} = {_usd(getattr(price, rate))}" for named, rate in _RATES.items()]
    if price.tiers is not UNSET:
        lines += _rows("tiers", (_tier_text(tier) for tier in price.tiers))
    if price.images is not UNSET:
        lines += _rows(
            "images",
            (
                f"price = {_usd(each.price)}, quality = {_text(each.quality)}, pixels_min = {each.pixels_min}, "
                f"per = {_text(each.per)}"
                for each in price.images
            ),
        )
    if price.seconds is not UNSET:
        lines += _rows(
            "seconds",
            (
                f"per_second = {_usd(each.per_second)}, resolution = {_text(each.resolution)}"
                for each in price.seconds
            ),
        )
    return "\n".join(lines) + "\n"


def _rows(name: str, rows: Iterable[str]) -> list[str]:
    return [f"{name} = [", *(f"  {{ {row} }}," for row in rows), "]"]


def _tier_text(tier: TokenTier) -> str:
    rates = (f"{named} = {_usd(getattr(tier, rate))}" for named, rate in _TIER_RATES)
    return f"above = {tier.above}, {', '.join(rates)}"


def _usd(micros: int) -> str:
    return _text(usd_of_micros(micros))


def _text(text: str) -> str:
    """JSON's strings are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _moment(us: int) -> str:
    seconds, rest = divmod(us, 1_000_000)
    whole = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"
