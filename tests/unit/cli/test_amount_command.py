"""Amounts on the command line: what is not more than 0 is refused in the same words, however it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytespike.cli.amount_command import negatives_last
from bytespike.cli.wallet import POSITIVE
from tests.support.command_line import CommandLine


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("5 --user a", "5 --user a"),
        ("-5", "-- -5"),
        ("-5 --user a", "--user a -- -5"),
        ("--user a -0.50 --json", "--user a --json -- -0.50"),
        ("-.5", "-- -.5"),
        ("-$5", "-- -$5"),
        ("Acme -5", "Acme -- -5"),
        ("--user a -- -5", "--user a -- -5"),
        ("-5 -- x", "-- -5 x"),
        ("5 --note -3 --user a", "5 --note -3 --user a"),
        ("5 --note=x -3", "5 --note=x -- -3"),
        ("--json -5", "--json -- -5"),
        ("-x", "-x"),
        ("", ""),
    ],
)
def test_a_negative_number_is_an_argument_but_for_an_options_value(words: str, read: str) -> None:
    assert negatives_last(words.split(), {"--user", "--note"}) == read.split()


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    line = CommandLine(Path(tmp_path_factory.mktemp("amounts")) / "data")
    line.answer("init")
    line.answer("users", "create", "--email", "ada@example.com")
    line.answer("orgs", "create", "--name", "Acme")
    return line


@pytest.mark.parametrize("verb", ["topup", "refund", "credit", "debit"])
@pytest.mark.parametrize("words", [("-5",), ("-0.50",), ("--", "-5"), ("0",), ("-0",), ("-.5",)])
def test_an_amount_that_is_not_more_than_0_is_refused_and_told_which_command_debits(
    cli: CommandLine, verb: str, words: tuple[str, ...]
) -> None:
    told = cli.refusal("wallet", verb, "--user", "ada@example.com", *words)
    assert told == f"bytespike: {words[-1]}: {POSITIVE}\n"
    assert "wallet debit" in POSITIVE


def test_an_organisations_too(cli: CommandLine) -> None:
    assert POSITIVE in cli.refusal("orgs", "topup", "Acme", "-5")
    assert cli.answer("wallet", "balance", "--org", "Acme")["balance"] == "0.00"


def test_an_options_value_may_begin_with_a_minus(cli: CommandLine) -> None:
    made = cli.answer("wallet", "topup", "5", "--user", "ada@example.com", "--note", "-3")
    assert (made["amount"], made["note"]) == ("5.00", "-3")


def test_an_option_that_there_is_not_is_still_told_as_that(cli: CommandLine) -> None:
    assert "No such option: -x" in cli.refusal("wallet", "topup", "5", "-x", code=2)
