"""The catalog's data files: one TOML file per family, and the aliases. Read once, when the program starts.

A family's file has a `[family]` table (what all its models share), a `[defaults]` table (what a model has unless its
own row says otherwise) and one `[[models]]` row per model. Prices are text in USD: per million tokens, per 1,000 web
searches, per image, per second. An unknown field is an error, so that a typing mistake cannot hide.
"""

from __future__ import annotations

import datetime
import tomllib
from importlib import resources
from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from bytespike.catalog.definition import WrongDefinition, check
from bytespike.catalog.models import (
    ImageRate,
    Kind,
    MediaLimits,
    Model,
    TokenRates,
    VideoRate,
    VideoRates,
)
from bytespike.catalog.tiers import TierDefinition, tiers_of
from bytespike.catalog.usd import micros_of_usd

_DATA = resources.files("bytespike.catalog") / "data"
_ALIASES = "aliases.toml"


class Alias(Struct, frozen=True, forbid_unknown_fields=True):
    """Another name for a model: exact, or a glob with * and ?.

    `thinking`: the name also asks for thinking. `substitute`: the name is that of a different model, which this
    catalog does not have; the caller is told who answers in its place.
    """

    pattern: str
    model: str
    thinking: bool = False
    substitute: bool = False


class CatalogDataError(ValueError):
    """A data file is wrong. The message names the file, the model and the field."""


class _Family(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    vendor: str
    platform: str
    kind: Kind
    protocols: tuple[str, ...]
    published: tuple[str, ...]


class _Rates(Struct, frozen=True, forbid_unknown_fields=True):
    input: str
    output: str
    cache_read: str
    cache_write: str
    cache_write_1h: str | None = None
    web_search: str = "0"
    tiers: tuple[TierDefinition, ...] = ()


class _ImageRate(Struct, frozen=True, forbid_unknown_fields=True):
    price: str
    quality: str = ""
    pixels_min: int = 0
    per: Literal["image", "turn"] = "image"


class _VideoRate(Struct, frozen=True, forbid_unknown_fields=True):
    per_second: str
    resolution: str = ""


class _Row(Struct, frozen=True, forbid_unknown_fields=True):
    slug: str
    display_name: str
    created: datetime.date
    capabilities: tuple[str, ...]
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]
    limits: Literal["documented", "assumed"] = "assumed"
    vendor_id: str = ""
    context_window: int = 0
    max_output_tokens: int = 0
    hold_output_tokens: int = 0
    protocols: tuple[str, ...] | None = None
    published: tuple[str, ...] | None = None
    price: _Rates | None = None
    images: tuple[_ImageRate, ...] = ()
    submit_fee: str = "0"
    video: tuple[_VideoRate, ...] = ()
    media: MediaLimits = MediaLimits()


class _AliasRow(Struct, frozen=True, forbid_unknown_fields=True):
    model: str
    names: tuple[str, ...]
    thinking: bool = False
    substitute: bool = False


class _AliasFile(Struct, frozen=True, forbid_unknown_fields=True):
    vendor_prefixes: tuple[str, ...]
    aliases: tuple[_AliasRow, ...]


def load_models() -> tuple[Model, ...]:
    """Every model that the package ships, family by family. Raises `CatalogDataError`."""
    files = sorted(
        (file for file in _DATA.iterdir() if file.name.endswith(".toml") and file.name != _ALIASES),
        key=lambda file: file.name,
    )
    return tuple(model for file in files for model in read_family(file.name, file.read_text("utf-8")))


def load_aliases() -> tuple[tuple[Alias, ...], frozenset[str]]:
    """The shipped aliases, and the vendor prefixes that a name may carry. Raises `CatalogDataError`."""
    text = (_DATA / _ALIASES).read_text("utf-8")
    try:
        file = msgspec.convert(tomllib.loads(text), _AliasFile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CatalogDataError(f"{_ALIASES}: {error}") from None
    aliases = tuple(
        Alias(name, row.model, row.thinking, row.substitute) for row in file.aliases for name in row.names
    )
    return aliases, frozenset(file.vendor_prefixes)


def read_family(name: str, text: str) -> tuple[Model, ...]:
    """The models of one family's file. Raises `CatalogDataError`."""
    try:
        raw: dict[str, Any] = tomllib.loads(text)
        family = msgspec.convert(raw["family"], _Family)
        defaults: dict[str, Any] = raw.get("defaults", {})
        rows = [msgspec.convert({**defaults, **row}, _Row) for row in raw["models"]]
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, KeyError) as error:
        raise CatalogDataError(f"{name}: {error}") from None
    models: list[Model] = []
    for row in rows:
        try:
            models.append(_model(family, row))
        except WrongDefinition as error:
            raise CatalogDataError(f"{name}: {row.slug}: {error.field}: {error}") from None
        except ValueError as error:
            raise CatalogDataError(f"{name}: {row.slug}: {error}") from None
    return tuple(models)


def _model(family: _Family, row: _Row) -> Model:
    protocols = family.protocols if row.protocols is None else row.protocols
    published = family.published if row.published is None else row.published
    if family.kind == "text" and row.price is None:
        raise ValueError("a text model has a price")
    model = Model(
        slug=row.slug,
        display_name=row.display_name,
        family=family.name,
        kind=family.kind,
        vendor=family.vendor,
        platform=family.platform,
        vendor_id=row.vendor_id or row.slug,
        created=_midnight(row.created),
        context_window=row.context_window,
        max_output_tokens=row.max_output_tokens,
        hold_output_tokens=row.hold_output_tokens,
        limits=row.limits,
        capabilities=frozenset(row.capabilities),
        input_modalities=row.input_modalities,
        output_modalities=row.output_modalities,
        protocols=protocols,
        published=frozenset(published),
        rates=_rates(row.price),
        images=tuple(
            ImageRate(micros_of_usd(rate.price), rate.quality, rate.pixels_min, rate.per)
            for rate in row.images
        ),
        video=_video(row),
        media=row.media,
    )
    check(model)
    return model


def _rates(row: _Rates | None) -> TokenRates:
    if row is None:
        return TokenRates()
    write = micros_of_usd(row.cache_write)
    rates = TokenRates(
        input=micros_of_usd(row.input),
        output=micros_of_usd(row.output),
        cache_read=micros_of_usd(row.cache_read),
        cache_write_5m=write,
        cache_write_1h=write if row.cache_write_1h is None else micros_of_usd(row.cache_write_1h),
        web_search=micros_of_usd(row.web_search),
    )
    return structs.replace(rates, tiers=tiers_of(row.tiers, rates)) if row.tiers else rates


def _video(row: _Row) -> VideoRates | None:
    if not row.video:
        return None
    return VideoRates(
        submit_fee=micros_of_usd(row.submit_fee),
        seconds=tuple(VideoRate(micros_of_usd(rate.per_second), rate.resolution) for rate in row.video),
    )


def _midnight(day: datetime.date) -> int:
    return int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())
