"""The recorded exchanges for which a rule does not hold: a list in TOML with reasons, which cannot rot."""

from __future__ import annotations

import tomllib
from collections.abc import Container, Sequence
from pathlib import Path

import pytest

from tests.support.recordings import Exchange


def each(found: Sequence[Exchange]) -> pytest.MarkDecorator:
    """Parametrises a test over exchanges."""
    return pytest.mark.parametrize("exchange", found, ids=lambda exchange: exchange.name)


class Exceptions:
    """The rows of a file: `exchange`, `rules` (names of tests without "test_"), `reason`."""

    def __init__(self, file: Path) -> None:
        self._rows = tomllib.loads(file.read_text()).get("exception", [])

    def has(self, rule: str, exchange: Exchange) -> bool:
        return any(rule in row["rules"] and row["exchange"] == exchange.name for row in self._rows)

    def hold(self, rule: str, exchange: Exchange, holds: bool, why: object = "") -> None:
        """The rule holds, or the exchange is a listed exception and it does not."""
        if self.has(rule, exchange):
            assert not holds, f"{exchange.name} needs no exception from {rule}"
        else:
            assert holds, why

    def check(self, tests: Container[str], exchanges: Sequence[Exchange]) -> None:
        """Every row names tests and an exchange that there are, and gives a reason."""
        names = {exchange.name for exchange in exchanges}
        for row in self._rows:
            assert all(f"test_{rule}" in tests for rule in row["rules"]), row
            assert row["exchange"] in names, row
            assert len(row["reason"]) > 20, row
