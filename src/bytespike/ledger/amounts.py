"""Dollars as people write them, and micro-dollars as we keep them. No float on the way.

1 USD is 1,000,000 credits; a credit is a micro-dollar.
"""

from __future__ import annotations

import re

from bytespike.errors import InvalidRequest

MICROS_PER_USD = 1_000_000
DECIMALS_MAX = 6
#: A billion dollars: the largest amount that can be written. Far below what a BIGINT holds, so that sums fit too.
AMOUNT_MAX = 1_000_000_000 * MICROS_PER_USD

_MICROS_PER_CENT = MICROS_PER_USD // 100
# [0-9], not \d: other scripts' digits are no amounts.
_USD = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")


class InvalidAmount(InvalidRequest, ValueError):
    """The text is no amount of USD that can be kept."""


def parse_usd(text: str) -> int:
    """Micro-dollars of a decimal amount of USD, exactly: "12.5" is 12_500_000, "-0.000001" is -1.

    Raises `InvalidAmount`: not a decimal number, more than six decimals, or more than a billion dollars.
    """
    match = _USD.fullmatch(text)
    if match is None:
        raise InvalidAmount(f"{text[:40]!r} is not an amount of USD, such as 12.50")
    sign, whole, part = match.group(1), match.group(2), match.group(3) or ""
    if len(part) > DECIMALS_MAX:
        raise InvalidAmount(f"{text[:40]!r} has more than {DECIMALS_MAX} decimals")
    if len(whole.lstrip("0")) > len(str(AMOUNT_MAX // MICROS_PER_USD)):
        raise InvalidAmount("an amount may be at most 1,000,000,000 USD")
    micros = int(whole) * MICROS_PER_USD + int(part.ljust(DECIMALS_MAX, "0"))
    if micros > AMOUNT_MAX:
        raise InvalidAmount("an amount may be at most 1,000,000,000 USD")
    return -micros if sign else micros


def format_usd(micros: int) -> str:
    """USD with at least two decimals and as many as needed: 12_500_000 is "12.50", -1 is "-0.000001"."""
    sign = ""
    if micros < 0:
        sign = "-"
        micros = -micros
    whole, part = divmod(micros, MICROS_PER_USD)
    # Leading zeros by a digit in front that is cut off again: where this is compiled, a format specification costs more.
    digits = str(MICROS_PER_USD + part)
    if part % _MICROS_PER_CENT == 0:
        return f"{sign}{whole}.{digits[1:3]}"
    return f"{sign}{whole}.{digits[1:].rstrip('0')}"
