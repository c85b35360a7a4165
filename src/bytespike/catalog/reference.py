"""docs/reference/models.md, written from the catalog's data.

`python -m bytespike.catalog.reference > docs/reference/models.md` writes it anew; a test says when that is due.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterable

from bytespike.catalog.load import Alias, load_aliases
from bytespike.catalog.models import CAPABILITIES, ImageRate, MediaLimits, Model
from bytespike.catalog.resolve import Catalog, load_catalog
from bytespike.catalog.usd import usd_of_micros

_HEAD = """\
# Models

This page is generated from `src/bytespike/catalog/data/`. To change it, change the data and run
`python -m bytespike.catalog.reference > docs/reference/models.md`.

An operator adds models and names, and changes them: [howto/add-models.md](../howto/add-models.md).

Prices are the defaults, in USD; an operator can set others for each channel. `GET /v1/models` lists what a key reaches,
`GET /api/pricing` what it costs.

A model's name may be written with dots or dashes, in any case, with a vendor's prefix (`anthropic/`, `models/`), and by
what its vendor calls it.
"""

_PROTOCOLS = {
    "anthropic_messages": "Messages",
    "openai_responses": "Responses",
    "openai_chat": "Chat",
    "gemini": "Gemini",
    "images": "Images",
    "tasks": "Tasks",
}


def render(catalog: Catalog, aliases: Iterable[Alias]) -> str:
    """The whole page, as Markdown."""
    models = list(catalog.models.values())
    text = [model for model in models if model.kind == "text"]
    image = [model for model in models if model.kind == "image"]
    video = [model for model in models if model.kind == "video"]
    return "\n".join(
        [
            _HEAD,
            "## Text: prices\n",
            "USD per million tokens; web search per 1,000 uses.\n",
            *_table(
                ("Model", "Input", "Cache write 5m", "Cache write 1h", "Cache read", "Output", "Web search"),
                [(_code(model.slug), *_rates(model)) for model in text],
            ),
            "",
            "## Text: limits and abilities\n",
            "Tokens. *Held* is what is set aside for an answer when the request names no limit. *assumed* marks limits",
            "that the vendor does not publish. *Native* protocols pass through byte for byte; all others are translated.\n",
            *_table(
                ("Model", "Released", "Context", "Output", "Held", "Native", "Capabilities"),
                [_limits(model) for model in text],
            ),
            "",
            "## Images\n",
            *_table(
                ("Model", "Released", "USD", "Upstream name"),
                [(_code(m.slug), _day(m), _image_prices(m), _code(m.vendor_id)) for m in image],
            ),
            "",
            *_taken(image),
            "",
            "## Video\n",
            *_table(
                ("Model", "Released", "USD per second", "USD per submit", "Upstream name"),
                [(_code(m.slug), _day(m), *_video_prices(m), _code(m.vendor_id)) for m in video],
            ),
            "",
            *_taken(video),
            "",
            "## Capabilities\n",
            *_table(("Name", "The model"), [(_code(name), what) for name, what in CAPABILITIES.items()]),
            "",
            "## Aliases\n",
            "Besides these, every model answers to what its vendor calls it. An operator's own aliases come first.\n",
            *_table(("Name", "Model", ""), [_alias(alias) for alias in aliases]),
            "",
        ]
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _code(text: str) -> str:
    return f"`{text}`"


def _day(model: Model) -> str:
    return datetime.datetime.fromtimestamp(model.created, datetime.UTC).date().isoformat()


def _rates(model: Model) -> tuple[str, ...]:
    rates = model.rates
    tokens = (rates.input, rates.cache_write_5m, rates.cache_write_1h, rates.cache_read, rates.output)
    return (*map(usd_of_micros, tokens), usd_of_micros(rates.web_search) if rates.web_search else "")


def _limits(model: Model) -> tuple[str, ...]:
    assumed = " (assumed)" if model.limits == "assumed" else ""
    return (
        _code(model.slug),
        _day(model),
        f"{model.context_window:,}{assumed}",
        f"{model.max_output_tokens:,}{assumed}",
        f"{model.hold_output_tokens:,}",
        ", ".join(_PROTOCOLS[protocol] for protocol in model.protocols),
        ", ".join(name for name in CAPABILITIES if name in model.capabilities),
    )


def _image_prices(model: Model) -> str:
    return "; ".join(_image_price(rate) for rate in model.images)


def _image_price(rate: ImageRate) -> str:
    words = [usd_of_micros(rate.price), f"per {rate.per}"]
    if rate.quality:
        words.append(f"at quality {rate.quality}")
    if rate.pixels_min:
        words.append(f"from {rate.pixels_min:,} pixels")
    return " ".join(words)


def _video_prices(model: Model) -> tuple[str, str]:
    video = model.video
    assert video is not None, "a video model has video prices"
    seconds = "; ".join(
        usd_of_micros(rate.per_second) + (f" at {rate.resolution}" if rate.resolution else "")
        for rate in video.seconds
    )
    return seconds, usd_of_micros(video.submit_fee)


def _taken(models: Iterable[Model]) -> list[str]:
    """What each model takes, one line a model: a value in bold is what it is when the request names none."""
    lines = ["What they take, and in **bold** what holds where a request names nothing:\n"]
    lines += [f"- {_code(model.slug)}: {'; '.join(_limits_of(model.media))}" for model in models]
    return lines


def _limits_of(media: MediaLimits) -> list[str]:
    found = [
        _values("sizes", media.sizes, media.size_default),
        f"any size of {media.pixels_min:,} to {media.pixels_max:,} pixels" if media.pixels_max else "",
        _values("aspect ratios", media.aspect_ratios, media.aspect_ratio_default),
        _values("resolutions", media.resolutions, media.resolution_default),
        _values("seconds", map(str, media.seconds), str(media.seconds_default)),
        _values("qualities", media.qualities, media.quality_default),
        _values("styles", media.styles, ""),
        _values("backgrounds", media.backgrounds, ""),
        _values("formats", media.formats, media.format_default),
        f"up to {media.n_max} at once" if media.n_max > 1 else "",
        f"up to {media.references_max} images given" if media.references_max else "",
        _values("frames", (frame.replace("_", " ") for frame in media.frames), ""),
        f"up to {media.partial_images_max} partial images" if media.partial_images_max else "",
    ]
    flags = ("mask", "seed", "negative_prompt", "watermark", "audio")
    found += [_code(name) for name in (*(flag for flag in flags if getattr(media, flag)), *media.extras)]
    return [each for each in found if each]


def _values(what: str, values: Iterable[str], default: str) -> str:
    named = [f"**{value}**" if value == default else value for value in values]
    return f"{what} {', '.join(named)}" if named else ""


def _alias(alias: Alias) -> tuple[str, ...]:
    notes = ["with thinking"] if alias.thinking else []
    if alias.substitute:
        notes.append("another model, which answers in its place")
    return _code(alias.pattern), _code(alias.model), "; ".join(notes)


def main() -> None:
    """Write the page to standard output."""
    sys.stdout.write(render(load_catalog(), load_aliases()[0]))


if __name__ == "__main__":
    main()
