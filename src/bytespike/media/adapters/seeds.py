"""Seeds of several calls for one order: each draws another picture, and the same ones the next time."""

from __future__ import annotations

from typing import Final

from bytespike.media.order import Order

#: The provider takes any.
ANY: Final = -1
_SEEDS: Final = 2**31


def seeds(order: Order) -> tuple[int | None, ...]:
    """One for each of the order's pictures, counted up from the one that was given. None: none was."""
    if order.seed is None or order.seed == ANY:
        return (None,) * order.n
    return (order.seed, *((order.seed + index) % _SEEDS for index in range(1, order.n)))
