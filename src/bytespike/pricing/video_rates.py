"""What a video costs: its seconds at the rate of its resolution, and the fee for having it made.

A row of the price table names a resolution or none. The one that names it holds, else the one for any; where neither is
there the provider chooses the resolution, and the dearest row holds (`catalog.models.VideoRate`).
"""

from __future__ import annotations

from msgspec import UNSET

from bytespike.catalog.models import VideoRate
from bytespike.pricing.price import ONE_PPM, Price


def video_rate(price: Price, resolution: str) -> VideoRate | None:
    """The row of a resolution, "" where it is not said; None: the price has no rows at all."""
    rows = () if price.seconds is UNSET else price.seconds
    for wanted in (resolution, ""):
        for row in rows:
            if row.resolution == wanted:
                return row
    return max(rows, key=lambda row: row.per_second, default=None)


def video_cost(price: Price, rate: VideoRate, seconds: int, multiplier_ppm: int) -> int:
    """Micro-dollars for `seconds` of video at that rate, with the price's submit fee, rounded half up. `multiplier_ppm` is the
    group's."""
    total = price.submit_fee + seconds * rate.per_second
    return (total * multiplier_ppm + ONE_PPM // 2) // ONE_PPM
