"""Sizes of videos. Some providers are asked in pixels, others for an aspect ratio and a named resolution; clients ask
either way. A resolution counts the lines of a 16:9 picture; other ratios have about as many pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import log

#: Pixels of a 16:9 picture, by the resolution's name.
_PIXELS: Mapping[str, int] = {
    "480p": 864 * 496,
    "720p": 1280 * 720,
    "1024p": 1792 * 1024,
    "1080p": 1920 * 1080,
    "4k": 3840 * 2160,
}


def ratio_of(width: int, height: int, ratios: Iterable[str]) -> str:
    """The nearest of `ratios` ("16:9"); names that are no ratio are passed over. "" where there is none."""
    wanted = log(width / height)
    known = [(abs(log(across / down) - wanted), name) for name, across, down in _parsed(ratios)]
    return min(known)[1] if known else ""


def resolution_of(width: int, height: int, resolutions: Iterable[str]) -> str:
    """The nearest of `resolutions` ("720p") by the number of pixels; "" where none is known."""
    pixels = width * height
    known = [(abs(log(_PIXELS[name] / pixels)), name) for name in resolutions if name in _PIXELS]
    return min(known)[1] if known else ""


def parse_ratio(ratio: str) -> tuple[int, int] | None:
    """ "16:9" as two numbers; None for anything else, "adaptive" too."""
    across, colon, down = ratio.partition(":")
    if not colon or not (across.isdecimal() and down.isdecimal()) or len(ratio) > 9:
        return None
    numbers = int(across), int(down)
    return numbers if all(numbers) else None


def _parsed(ratios: Iterable[str]) -> Iterable[tuple[str, int, int]]:
    for name in ratios:
        numbers = parse_ratio(name)
        if numbers is not None:
            yield name, *numbers
