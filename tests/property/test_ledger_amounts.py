from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.ledger.amounts import AMOUNT_MAX, format_usd, parse_usd
from bytespike.ledger.invalid_amount import InvalidAmount

micros = st.integers(min_value=-AMOUNT_MAX, max_value=AMOUNT_MAX)


@given(micros)
def test_what_is_written_reads_back_as_itself(amount: int) -> None:
    assert parse_usd(format_usd(amount)) == amount


@given(micros)
def test_what_is_written_is_the_exact_decimal(amount: int) -> None:
    text = format_usd(amount)
    assert Decimal(text) == Decimal(amount).scaleb(-6)
    whole, part = text.split(".")
    assert 2 <= len(part) <= 6
    assert len(part) == 2 or not part.endswith("0")
    assert str(int(whole)) == whole or whole == "-0"


@given(st.decimals(min_value=-1_000_000_000, max_value=1_000_000_000, places=6, allow_nan=False))
def test_a_decimal_reads_as_itself(amount: Decimal) -> None:
    assert parse_usd(format(amount, "f")) == int(amount.scaleb(6))


@given(st.text(max_size=40))
def test_any_other_text_is_refused_as_such(text: str) -> None:
    try:
        amount = parse_usd(text)
    except InvalidAmount:
        return
    assert type(amount) is int
    assert abs(amount) <= AMOUNT_MAX


@given(st.floats())
def test_a_float_is_not_an_amount(number: float) -> None:
    with pytest.raises((InvalidAmount, TypeError)):
        parse_usd(number)
