from __future__ import annotations

import pytest

from bytespike.errors import InvalidRequest
from bytespike.ledger.amounts import AMOUNT_MAX, format_usd, parse_usd
from bytespike.ledger.invalid_amount import InvalidAmount


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0", 0),
        ("12.5", 12_500_000),
        ("12.50", 12_500_000),
        ("0.000001", 1),
        ("-0.000001", -1),
        ("007", 7_000_000),
        ("0.1", 100_000),  # which no float is
        ("1000000000", AMOUNT_MAX),
        ("00000000000001000000000", AMOUNT_MAX),
    ],
)
def test_dollars_become_micro_dollars_exactly(text: str, micros: int) -> None:
    assert parse_usd(text) == micros


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1.",
        ".5",
        "1e3",
        "+1",
        "1,000",
        "$1",
        "1.5 ",
        " 1",
        "--1",
        "NaN",
        "inf",
        "1_000",
        "٣",
        "0x10",
    ],
)
def test_what_is_no_decimal_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidAmount):
        parse_usd(text)


@pytest.mark.parametrize("text", ["0.0000001", "1.0000000"])
def test_more_than_six_decimals_are_refused_and_not_rounded(text: str) -> None:
    with pytest.raises(InvalidAmount, match="decimals"):
        parse_usd(text)


@pytest.mark.parametrize("text", ["1000000000.000001", "1000000001", "9" * 5000])
def test_more_than_a_billion_dollars_is_refused(text: str) -> None:
    with pytest.raises(InvalidAmount, match="at most"):
        parse_usd(text)


def test_a_wrong_amount_is_a_wrong_request() -> None:
    assert issubclass(InvalidAmount, InvalidRequest)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00"),
        (12_500_000, "12.50"),
        (1, "0.000001"),
        (-1, "-0.000001"),
        (10_000, "0.01"),
        (12_345_600, "12.3456"),
        (-3_000_000, "-3.00"),
        (123_456_789_012_345, "123456789.012345"),
    ],
)
def test_micro_dollars_are_written_with_two_decimals_or_as_many_as_needed(micros: int, text: str) -> None:
    assert format_usd(micros) == text
