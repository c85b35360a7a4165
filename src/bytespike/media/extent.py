"""How large and how good the thing shall be: size, shape, resolution and quality, read together because each may stand for
another one. Pixels lead to a shape and a class where the model knows those, and the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from bytespike.catalog.models import MediaLimits
from bytespike.errors import InvalidRequest
from bytespike.media.adapters.frame_sizes import resolution_of
from bytespike.media.reading import Reading
from bytespike.media.sizes import (
    AUTO,
    CLASSES,
    class_of,
    enlarged,
    has_shape,
    misfit,
    nearest_shape,
    pixels_of,
    shape_of,
    sides_of,
)

#: What one vendor calls a quality that another calls something else.
_WORDS: Final[Mapping[str, str]] = {
    "standard": "medium",
    "hd": "high",
    "low": "standard",
    "medium": "standard",
    "auto": "standard",
    "high": "hd",
}


class Sized(NamedTuple):
    """`size` as the client wrote it, or the one that stands for what it did not write; sides 0 where not said in pixels.
    `named`: the class ("2K") that a model which draws by class and shape is asked for, "" where it has none."""

    size: str = ""
    width: int = 0
    height: int = 0
    aspect_ratio: str = ""
    named: str = ""


def read_size(reading: Reading) -> Sized:
    """Size and shape, as the model is asked for them. Raises InvalidRequest."""
    limits = reading.limits
    asked = reading.text("size")
    if asked == AUTO and AUTO not in limits.sizes:
        asked = ""
    shape = _shape(reading)
    if not asked and not (shape and limits.pixels_max):
        asked = "" if shape else limits.size_default
        if not asked:
            return Sized(aspect_ratio=shape or limits.aspect_ratio_default)
    if not limits.sizes and not limits.pixels_max:
        reading.dropped("size")
        return Sized(aspect_ratio=shape or limits.aspect_ratio_default)
    if shape and limits.pixels_max and asked in ("", *CLASSES):
        if asked and asked not in limits.sizes:
            raise reading.wrong("size", asked, limits.sizes, _free(limits))
        return _by_shape(reading, asked or limits.size_default, shape)
    pixels = pixels_of(asked)
    if pixels is None:
        if asked not in limits.sizes:
            raise reading.wrong("size", asked, limits.sizes, _free(limits))
        return Sized(asked, 0, 0, shape or limits.aspect_ratio_default, asked if asked in CLASSES else "")
    width, height = pixels
    written = f"{width}x{height}"
    if shape and not has_shape(width, height, shape):
        raise InvalidRequest(
            f"size {written} and aspect_ratio {shape} contradict each other: leave one out",
            param="aspect_ratio",
        )
    if written not in limits.sizes:
        reason = misfit(width, height, limits) if limits.pixels_max else "no other size in pixels"
        if reason:
            raise reading.wrong("size", asked, limits.sizes, f"{_free(limits)} ({reason})")
    if limits.pixels_max:
        return Sized(written, *_drawn(reading, width, height), shape)
    named = class_of(width, height)
    return Sized(
        written,
        width,
        height,
        shape or nearest_shape(width, height, limits.aspect_ratios),
        named if named in limits.sizes else "",
    )


def read_resolution(reading: Reading, sized: Sized) -> str:
    """A video's. A size in pixels says it too."""
    limits = reading.limits
    asked = reading.choice("resolution", limits.resolutions)
    if not sized.width or not limits.resolutions:
        return asked or limits.resolution_default
    found = resolution_of(sized.width, sized.height, limits.resolutions) or limits.resolution_default
    if asked and asked != found:
        raise InvalidRequest(
            f"size {sized.size} and resolution {asked} contradict each other: leave one out",
            param="resolution",
        )
    return found


def _shape(reading: Reading) -> str:
    limits = reading.limits
    asked = reading.text("aspect_ratio")
    if not asked or asked in limits.aspect_ratios:
        return asked
    if not limits.aspect_ratios:
        reading.dropped("aspect_ratio")
        return ""
    if shape_of(asked) is None or reading.limits.pixels_max == 0:
        raise reading.wrong("aspect_ratio", asked, limits.aspect_ratios)
    raise reading.wrong("aspect_ratio", asked, limits.aspect_ratios, " (or give size in pixels)")


def _by_shape(reading: Reading, size: str, aspect_ratio: str) -> Sized:
    """A picture of that shape, as large as `size` says."""
    limits = reading.limits
    shape = shape_of(aspect_ratio)
    assert shape is not None, "the catalog's shapes are shapes"
    pixels = pixels_of(size)
    area = CLASSES.get(size, CLASSES["1K"]) ** 2 if pixels is None else pixels[0] * pixels[1]
    width, height = sides_of(shape, area, limits)
    return Sized(f"{width}x{height}", width, height, aspect_ratio)


def _drawn(reading: Reading, width: int, height: int) -> tuple[int, int]:
    """The sides that are drawn for a size of the list. A model that is asked by class and shape says so itself."""
    limits = reading.limits
    larger = enlarged(width, height, limits)
    if larger != (width, height):
        reading.approximated("size", f"{larger[0]}x{larger[1]} is the least that {reading.model.slug} draws")
    return larger


def _free(limits: MediaLimits) -> str:
    if not limits.pixels_max:
        return ""
    return f", or any width x height of {limits.pixels_min:,} to {limits.pixels_max:,} pixels"


def read_quality(reading: Reading, sized: Sized) -> tuple[str, str]:
    """The quality, and the class of size that goes with it. A size that is of a certain quality decides, for it is what
    costs; a quality without a size asks for the size that is of it."""
    limits = reading.limits
    asked = reading.text("quality")
    if asked and not limits.qualities:
        reading.dropped("quality")
        return "", sized.named
    if asked and asked not in limits.qualities:
        other = _WORDS.get(asked, "")
        if other not in limits.qualities:
            raise reading.wrong("quality", asked, limits.qualities)
        if asked != AUTO:
            reading.approximated("quality", f"{other} at {reading.model.slug}")
        asked = other
    if not sized.named:
        named = next((size for size, quality in limits.size_qualities.items() if quality == asked), "")
        return asked or limits.quality_default, "" if sized.size else named
    found = limits.size_qualities.get(sized.named, limits.quality_default if limits.size_qualities else asked)
    if asked and asked != found:
        reading.approximated("quality", f"{found} is the quality of {sized.size}")
    return found or limits.quality_default, sized.named
