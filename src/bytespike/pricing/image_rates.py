"""Which row of an image price table holds for a picture.

A row names a quality or none, and the pixels from which on it holds. Of the rows that apply, one that names the quality
comes before one that does not, and then the one with the most pixels (`catalog.models.ImageRate`).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET, structs

from bytespike.catalog.models import ImageRate
from bytespike.pricing.price import ONE_PPM, Price


def image_rate(price: Price, quality: str, pixels: int) -> ImageRate | None:
    """The row of a picture of so many pixels, 0 where they are not known; None: the price has no row for it."""
    rows = () if price.images is UNSET else price.images
    fitting = [row for row in rows if row.pixels_min <= pixels and row.quality in ("", quality)]
    return max(fitting, key=lambda row: (row.quality != "", row.pixels_min), default=None)


def dearest_image_rate(price: Price, qualities: Iterable[str], pixels_max: int) -> ImageRate | None:
    """The dearest row that may hold for a picture of one of these qualities and of at most so many pixels."""
    rows = [
        row
        for quality in qualities
        for pixels in {row.pixels_min for row in (() if price.images is UNSET else price.images)}
        if pixels <= pixels_max and (row := image_rate(price, quality, pixels)) is not None
    ]
    return max(rows, key=lambda row: row.price, default=None)


def at_rate(price: Price, rate: ImageRate) -> Price:
    """The price with that one row: what a receipt has, so that it says itself what each picture cost."""
    return structs.replace(price, images=(rate,))


def images_cost(count: int, rate: ImageRate, multiplier_ppm: int) -> int:
    """Micro-dollars for `count` pictures (or turns) at that rate, rounded half up. `multiplier_ppm` is the group's."""
    return (count * rate.price * multiplier_ppm + ONE_PPM // 2) // ONE_PPM
