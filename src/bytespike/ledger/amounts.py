"""Dollars as people write them, and micro-dollars as we keep them. No float on the way.

1 USD is 1,000,000 credits; a credit is a micro-dollar.
"""

from __future__ import annotations

import re

from bytespike.ledger.invalid_amount import InvalidAmount

MICROS_PER_USD = 1_000_000
DECIMALS_MAX = 6
#: A billion dollars: the largest amount that can be written. Far below what a BIGINT holds, so that sums fit too.
AMOUNT_MAX = 1_000_000_000 * MICROS_PER_USD

_CENT_DIGITS = 2
# [0-9], not \d: other scripts' digits are no amounts.
_USD = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")


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
    if micros < 0:
        return "-" + format_usd(-micros)
    if micros < MICROS_PER_USD:
        # Leading zeros by a digit in front, which is cut off: cheaper than any format.
        whole = "0"
        part = str(MICROS_PER_USD + micros)[1:]
    else:
        digits = str(micros)
        whole = digits[:-DECIMALS_MAX]
        part = digits[-DECIMALS_MAX:]
    part = part[:_CENT_DIGITS] if part.endswith("0000") else part.rstrip("0")
    return whole + "." + part
