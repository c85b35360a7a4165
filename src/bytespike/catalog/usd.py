"""Dollars in data files are text ("3.75"), and become micro-dollars without passing through a float."""

from __future__ import annotations

import re

MICROS_PER_USD = 1_000_000
_DECIMALS = 6
_AMOUNT = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,12}))?")


def micros_of_usd(text: str) -> int:
    """Micro-dollars of a decimal amount of USD. Raises ValueError if it is none, or has a part of a micro-dollar."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an amount of USD, such as 3.75")
    whole, part = match.group(1), (match.group(2) or "").rstrip("0")
    if len(part) > _DECIMALS:
        raise ValueError(f"{text!r} has a part of a micro-dollar")
    return int(whole) * MICROS_PER_USD + int(part.ljust(_DECIMALS, "0"))


def usd_of_micros(micros: int) -> str:
    """USD with at least two decimals and as many as needed: 3_750_000 is "3.75". `micros` is not negative."""
    whole, part = divmod(micros, MICROS_PER_USD)
    decimals = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{decimals}"
