"""A model as an operator writes it, and the model that it makes.

A definition says what differs from something that is known: from the model of the package that has the same slug, from
the one that it is `like`, else from the package's family that it belongs to. It is kept as it was written, so that what
it leaves out follows the package when that is brought up to date.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs

from bytespike.catalog.models import (
    CAPABILITIES,
    MODALITIES,
    PROTOCOLS,
    ImageRate,
    Kind,
    MediaLimits,
    Model,
    TokenRates,
    VideoRate,
    VideoRates,
)
from bytespike.catalog.names import bare
from bytespike.catalog.tiers import TierDefinition, tiers_of
from bytespike.catalog.usd import micros_of_usd

#: What is held for an answer where the definition does not say.
HOLD_TOKENS = 8_192
TOKENS_MAX = 100_000_000
SLUG_CHARS_MAX = 100
NAME_CHARS_MAX = 200
LIST_MAX = 64

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_TEXT_PROTOCOLS = ("anthropic_messages", "openai_chat", "openai_responses", "gemini")
#: What a model reads, besides text, that has the capability.
_READS = {"vision": "image", "documents": "pdf", "audio": "audio", "video": "video"}
#: What a model of a family that the package does not know takes: as much as the APIs that compatible servers have.
_MEDIA: Mapping[Kind, MediaLimits] = {
    "image": MediaLimits(
        surfaces=("openai_images",),
        pixels_min=1,
        pixels_max=1 << 26,
        qualities=("low", "medium", "high", "standard", "hd", "auto"),
        backgrounds=("auto", "opaque", "transparent"),
        formats=("png", "jpeg", "webp"),
        n_max=10,
        references_max=16,
        mask=True,
        seed=True,
        negative_prompt=True,
        partial_images_max=3,
    ),
}
#: Fields that are the model's own, as they are.
_PLAIN = (
    "family",
    "kind",
    "vendor",
    "platform",
    "display_name",
    "vendor_id",
    "limits",
    "context_window",
    "max_output_tokens",
    "hold_output_tokens",
    "input_modalities",
    "output_modalities",
    "protocols",
)


class PriceDefinition(Struct, frozen=True, forbid_unknown_fields=True):
    """USD as text: per million tokens, and per 1,000 searches. `tiers` replace those that there were."""

    input: str | UnsetType = UNSET
    output: str | UnsetType = UNSET
    cache_read: str | UnsetType = UNSET
    cache_write: str | UnsetType = UNSET
    cache_write_1h: str | UnsetType = UNSET
    web_search: str | UnsetType = UNSET
    tiers: tuple[TierDefinition, ...] | UnsetType = UNSET


class ImageDefinition(Struct, frozen=True, forbid_unknown_fields=True):
    """A row of an image price table; `price` is USD as text."""

    price: str
    quality: str = ""
    pixels_min: int = 0
    per: Literal["image", "turn"] = "image"


class VideoDefinition(Struct, frozen=True, forbid_unknown_fields=True):
    """USD as text, per second at a resolution ("" is any)."""

    per_second: str
    resolution: str = ""


class ModelDefinition(Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of `models.Model` that are given; `like` is the slug of a model of the package."""

    slug: str
    like: str | UnsetType = UNSET
    family: str | UnsetType = UNSET
    kind: Kind | UnsetType = UNSET
    vendor: str | UnsetType = UNSET
    platform: str | UnsetType = UNSET
    display_name: str | UnsetType = UNSET
    vendor_id: str | UnsetType = UNSET
    created: datetime.date | UnsetType = UNSET
    limits: Literal["documented", "assumed"] | UnsetType = UNSET
    context_window: int | UnsetType = UNSET
    max_output_tokens: int | UnsetType = UNSET
    hold_output_tokens: int | UnsetType = UNSET
    capabilities: tuple[str, ...] | UnsetType = UNSET
    input_modalities: tuple[str, ...] | UnsetType = UNSET
    output_modalities: tuple[str, ...] | UnsetType = UNSET
    protocols: tuple[str, ...] | UnsetType = UNSET
    published: tuple[str, ...] | UnsetType = UNSET
    price: PriceDefinition | UnsetType = UNSET
    images: tuple[ImageDefinition, ...] | UnsetType = UNSET
    submit_fee: str | UnsetType = UNSET
    video: tuple[VideoDefinition, ...] | UnsetType = UNSET


class WrongDefinition(ValueError):
    """`field` of the definition of a model cannot be what it is; the message does not repeat its name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def given(definition: ModelDefinition | PriceDefinition) -> dict[str, Any]:
    """The fields that are given."""
    return {name: value for name, value in structs.asdict(definition).items() if value is not UNSET}


def stored(definition: ModelDefinition) -> dict[str, Any]:
    """The definition as JSON values; `read_stored` reads it."""
    return msgspec.json.decode(msgspec.json.encode(definition))


def read_stored(values: object) -> ModelDefinition:
    """Raises msgspec.ValidationError."""
    return msgspec.convert(values, ModelDefinition)


def merged(definition: ModelDefinition, changed: ModelDefinition) -> ModelDefinition:
    """The definition with what `changed` gives. A price is changed rate by rate."""
    values = given(changed)
    if changed.price is not UNSET and definition.price is not UNSET:
        values["price"] = structs.replace(definition.price, **given(changed.price))
    return structs.replace(definition, **values)


def build(definition: ModelDefinition, shipped: Mapping[str, Model], made_at_s: int) -> Model:
    """The model that the definition makes. `shipped`: the package's models, by slug. `made_at_s`: when the definition
    was written, Unix seconds: the release day of a model that names none.

    Raises `WrongDefinition`.
    """
    slug = definition.slug
    check_slug(slug)
    base = shipped.get(slug)
    if definition.like is not UNSET:
        # Also where the package has the slug by now: the operator's model stays what it was.
        base = _alike(definition.like, shipped)
    elif base is None:
        base = _blank(definition, shipped)
    values: dict[str, Any] = {
        name: value for name, value in given(definition).items() if name in _PLAIN and value is not UNSET
    }
    new = slug != base.slug or slug not in shipped
    if new:
        values.setdefault("display_name", slug)
        values.setdefault("vendor_id", slug)
    created = _midnight(definition.created) if definition.created is not UNSET else None
    if created is not None or new:
        values["created"] = made_at_s - made_at_s % 86_400 if created is None else created
    if definition.capabilities is not UNSET:
        values["capabilities"] = frozenset(definition.capabilities)
        values.setdefault("input_modalities", _read_by(definition.capabilities))
    if definition.published is not UNSET:
        values["published"] = frozenset(definition.published)
    if definition.max_output_tokens is not UNSET and definition.hold_output_tokens is UNSET:
        values["hold_output_tokens"] = min(
            base.hold_output_tokens or HOLD_TOKENS, definition.max_output_tokens
        )
    values |= _prices(definition, base)
    model = structs.replace(base, slug=slug, **values)
    check(model)
    return model


def check_slug(slug: str) -> None:
    """Raises `WrongDefinition`."""
    if len(slug) > SLUG_CHARS_MAX or not _SLUG.fullmatch(slug):
        raise WrongDefinition(
            "slug",
            f"{slug[:SLUG_CHARS_MAX]!r} is not lower-case letters and digits with dashes between them "
            "(a dot in a request means a dash)",
        )


def check_apart(slug: str, slugs: Iterable[str]) -> None:
    """No two models have names that differ in their separators alone. Raises `WrongDefinition`."""
    for other in slugs:
        if other != slug and bare(other) == bare(slug):
            raise WrongDefinition(
                "slug", f"{slug} and {other} differ in dashes alone, so requests cannot tell"
            )


def check(model: Model) -> None:
    """That a model can be served and billed. Raises `WrongDefinition`."""
    _known("capabilities", "capability", model.capabilities, frozenset(CAPABILITIES))
    _known("input_modalities", "modality", model.input_modalities, MODALITIES)
    _known("output_modalities", "modality", model.output_modalities, MODALITIES)
    _known("protocols", "protocol", model.protocols, PROTOCOLS)
    _known("published", "protocol", model.published, PROTOCOLS)
    for field in ("family", "vendor", "display_name", "vendor_id"):
        if not 0 < len(getattr(model, field)) <= NAME_CHARS_MAX or not getattr(model, field).isprintable():
            raise WrongDefinition(field, f"expected 1 to {NAME_CHARS_MAX} printable characters")
    if not model.protocols:
        raise WrongDefinition("protocols", "a model has at least one")
    if model.kind == "text":
        _check_limits(model)
    elif model.kind == "image" and not model.images:
        raise WrongDefinition("images", "an image model has an image price table")
    elif model.kind == "video" and model.video is None:
        raise WrongDefinition("video", "a video model has a price per second")


def _check_limits(model: Model) -> None:
    if not 0 < model.context_window <= TOKENS_MAX:
        raise WrongDefinition("context_window", f"expected 1 to {TOKENS_MAX} tokens")
    if not 0 < model.max_output_tokens <= model.context_window:
        raise WrongDefinition(
            "max_output_tokens", f"expected 1 to the context window, {model.context_window}, in tokens"
        )
    if not 0 < model.hold_output_tokens <= model.max_output_tokens:
        raise WrongDefinition(
            "hold_output_tokens", f"expected 1 to max_output_tokens, {model.max_output_tokens}"
        )


def _alike(like: str, shipped: Mapping[str, Model]) -> Model:
    base = shipped.get(like)
    if base is None:
        raise WrongDefinition("like", f"{like[:80]!r} is no model of the package")
    return base


def _blank(definition: ModelDefinition, shipped: Mapping[str, Model]) -> Model:
    """What a model of the definition's family has before anything else is said of it."""
    family = definition.family
    if family is UNSET:
        raise WrongDefinition("family", "a new model names its family, or the model that it is `like`")
    kin = next((model for model in shipped.values() if model.family == family), None)
    kind = definition.kind if definition.kind is not UNSET else "text" if kin is None else kin.kind
    if kind == "text":
        required = ("context_window", "max_output_tokens", "capabilities", "price")
    else:
        required = ("capabilities", "output_modalities", "images" if kind == "image" else "video")
    for field in required:
        if getattr(definition, field) is UNSET:
            raise WrongDefinition(field, f"a new {kind} model has it, where it is `like` no other")
    text = kind == "text"
    return Model(
        slug=definition.slug,
        display_name=definition.slug,
        family=family,
        kind=kind,
        vendor=family if kin is None else kin.vendor,
        platform="" if kin is None else kin.platform,
        vendor_id=definition.slug,
        created=0,
        context_window=0,
        max_output_tokens=0,
        hold_output_tokens=HOLD_TOKENS if text else 0,
        limits="assumed",
        capabilities=frozenset(),
        input_modalities=("text",),
        output_modalities=("text",),
        protocols=kin.protocols if kin is not None else ("openai_chat",) if text else (),
        published=kin.published if kin is not None else frozenset(_TEXT_PROTOCOLS if text else ()),
        media=kin.media if kin is not None else _MEDIA.get(kind, MediaLimits()),
    )


def _prices(definition: ModelDefinition, base: Model) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if definition.price is not UNSET:
        values["rates"] = _rates(definition.price, base.rates)
    if definition.images is not UNSET:
        values["images"] = tuple(
            ImageRate(_usd("images", row.price), row.quality, row.pixels_min, row.per)
            for row in definition.images
        )
    if definition.video is not UNSET or definition.submit_fee is not UNSET:
        before = base.video or VideoRates(0, ())
        seconds = before.seconds
        if definition.video is not UNSET:
            seconds = tuple(
                VideoRate(_usd("video", row.per_second), row.resolution) for row in definition.video
            )
        fee = before.submit_fee
        if definition.submit_fee is not UNSET:
            fee = _usd("submit_fee", definition.submit_fee)
        values["video"] = VideoRates(fee, seconds)
    return values


def _rates(price: PriceDefinition, base: TokenRates) -> TokenRates:
    """What is not given stays as in the model that it begins from. For a new one, tokens read from and written to a
    cache cost what other input costs."""
    texts = given(price)
    tiers = texts.pop("tiers", None)
    found = {name: _usd("price." + name, text) for name, text in texts.items()}
    if base == TokenRates():
        for name in ("input", "output"):
            if name not in found:
                raise WrongDefinition("price." + name, "a new text model has it")
        found.setdefault("cache_read", found["input"])
        found.setdefault("cache_write", found["input"])
    if "cache_write" in found:
        write = found.pop("cache_write")
        found["cache_write_5m"] = write
        found.setdefault("cache_write_1h", write)
    rates = structs.replace(base, **found)
    if tiers is None:
        return rates
    try:
        return structs.replace(rates, tiers=tiers_of(tiers, rates))
    except ValueError as error:
        raise WrongDefinition("price.tiers", str(error)) from None


def _usd(field: str, text: str) -> int:
    try:
        return micros_of_usd(text)
    except ValueError as error:
        raise WrongDefinition(field, str(error)) from None


def _read_by(capabilities: Iterable[str]) -> tuple[str, ...]:
    able = set(capabilities)
    return ("text", *(kind for capability, kind in _READS.items() if capability in able))


def _midnight(day: datetime.date) -> int:
    return int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())


def _known(field: str, what: str, names: Iterable[str], vocabulary: frozenset[str]) -> None:
    unknown = sorted(set(names) - vocabulary)
    if unknown:
        raise WrongDefinition(
            field, f"unknown {what} {unknown[0][:60]}; there are {', '.join(sorted(vocabulary))}"
        )
