"""How large a picture is: sizes in pixels, by name ("2K"), and by their shape ("16:9").

A name is a class, as providers use them: the area of a square with so many thousand pixels a side. What is asked for by
shape alone gets the sides of that shape which have about the area of the class.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from bytespike.catalog.models import MediaLimits

#: Sides of a size or of a shape have at most so many digits.
_PIXELS: Final = re.compile(r"([1-9][0-9]{0,4})\s?[xX×*]\s?([1-9][0-9]{0,4})")
_SHAPE: Final = re.compile(r"([1-9][0-9]{0,2}):([1-9][0-9]{0,2})")
#: The side of a square of each class, in pixels.
CLASSES: Final[Mapping[str, int]] = {"512": 512, "1K": 1024, "2K": 2048, "3K": 3072, "4K": 4096}
#: The provider decides.
AUTO: Final = "auto"
#: What sides are multiples of, where nobody says otherwise.
_STEP: Final = 16
#: By so much of itself a picture's shape may differ from the one that it is called: 1376x768 is called 16:9.
_SHAPE_SLACK: Final = 0.03


def pixels_of(size: str) -> tuple[int, int] | None:
    """Width and height of "1024x1536"; None for anything else."""
    match = _PIXELS.fullmatch(size.strip())
    return None if match is None else (int(match[1]), int(match[2]))


def shape_of(aspect_ratio: str) -> tuple[int, int] | None:
    """The two numbers of "16:9"; None for anything else."""
    match = _SHAPE.fullmatch(aspect_ratio.strip())
    return None if match is None else (int(match[1]), int(match[2]))


def class_of(width: int, height: int) -> str:
    """The class that comes nearest to a size: 1536x1024 is 1K, 2848x1600 is 2K."""
    side = math.isqrt(width * height)
    return min(CLASSES, key=lambda name: abs(math.log(CLASSES[name] / side)))


def nearest_shape(width: int, height: int, shapes: tuple[str, ...]) -> str:
    """The one of `shapes` that a size comes nearest to, "" where there are none."""

    def distance(name: str) -> float:
        shape = shape_of(name)
        return math.inf if shape is None else abs(math.log(width / height) - math.log(shape[0] / shape[1]))

    return min(shapes, key=distance, default="")


def has_shape(width: int, height: int, aspect_ratio: str) -> bool:
    """Whether a size may be called so."""
    shape = shape_of(aspect_ratio)
    return shape is not None and abs(width * shape[1] / (height * shape[0]) - 1) <= _SHAPE_SLACK


def sides_of(shape: tuple[int, int], area: int, limits: MediaLimits) -> tuple[int, int]:
    """Width and height of that shape with about `area` pixels, within the model's bounds."""
    if limits.pixels_max:
        area = min(area, limits.pixels_max)
    area = max(area, limits.pixels_min)
    unit = math.sqrt(area / (shape[0] * shape[1]))
    if limits.side_max:
        unit = min(unit, limits.side_max / max(shape))
    width, height = _stepped(shape[0] * unit, limits), _stepped(shape[1] * unit, limits)
    return _within(width, height, limits)


def enlarged(width: int, height: int, limits: MediaLimits) -> tuple[int, int]:
    """The least sides of the same shape that the model draws."""
    if width * height >= limits.pixels_min:
        return width, height
    factor = math.sqrt(limits.pixels_min / (width * height))
    step = limits.side_step
    return math.ceil(round(width * factor / step, 6)) * step, math.ceil(
        round(height * factor / step, 6)
    ) * step


def misfit(width: int, height: int, limits: MediaLimits) -> str:
    """What of a size in pixels the model does not draw, in a few words; "" where it draws it."""
    pixels = width * height
    if not limits.pixels_min <= pixels <= limits.pixels_max:
        return f"width x height is {limits.pixels_min:,} to {limits.pixels_max:,} pixels"
    if limits.side_step > 1 and (width % limits.side_step or height % limits.side_step):
        return f"width and height are multiples of {limits.side_step}"
    if limits.side_max and max(width, height) > limits.side_max:
        return f"no side has more than {limits.side_max:,} pixels"
    if limits.shape_max and max(width, height) > limits.shape_max * min(width, height):
        return f"the long side is at most {limits.shape_max} times the short one"
    return ""


def _stepped(side: float, limits: MediaLimits) -> int:
    step = max(limits.side_step, _STEP)
    return max(step, round(side / step) * step)


def _within(width: int, height: int, limits: MediaLimits) -> tuple[int, int]:
    """Rounding may have passed a bound by a step."""
    step = max(limits.side_step, _STEP)
    while limits.pixels_max and width * height > limits.pixels_max:
        width, height = (width - step, height) if width >= height else (width, height - step)
    while width * height < limits.pixels_min:
        width, height = (width, height + step) if width >= height else (width + step, height)
    return width, height
