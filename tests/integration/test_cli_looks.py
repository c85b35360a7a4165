"""What the command line shows of keys' windows, of events, and of a request's upstream calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.billed import bill
from tests.support.command_line import CommandLine


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    """An installation with a user who has 20 dollars."""
    line = CommandLine(tmp_path / "data")
    line.answer("init")
    line.answer("users", "create", "--email", "ada@example.com")
    line.answer("wallet", "topup", "20", "--user", "ada@example.com")
    return line


def test_a_list_of_keys_says_what_is_spent_of_each_window_and_of_how_much(cli: CommandLine) -> None:
    made = cli.answer(
        *("keys", "create", "--name", "laptop", "--user", "ada@example.com"),
        *("--limit-5h", "5", "--limit-7d", "50"),
    )
    cli.answer("keys", "create", "--name", "free", "--user", "ada@example.com")
    bill(cli.folder, key_id=made["id"], user_id=made["user_id"], micros=1_250_000)
    free, laptop = cli.items("keys", "list")
    assert free["windows"] == []
    windows = [
        {"span": "5h", "spent": "1.25", "limit": "5.00"},
        {"span": "7d", "spent": "1.25", "limit": "50.00"},
    ]
    assert laptop["windows"] == windows
    assert cli.answer("keys", "show", made["id"])["windows"] == windows
    table = cli.run("keys", "list").stdout
    assert "5h 1.25/5.00, 7d 1.25/50.00" in table
    assert "5h 1.25/5.00, 7d 1.25/50.00" in cli.run("keys", "show", made["id"]).stdout


def test_a_list_of_events_says_what_each_is_about(cli: CommandLine) -> None:
    cli.answer("wallet", "low-balance", "--amount", "10", "--user", "ada@example.com")
    cli.answer("wallet", "debit", "15", "--user", "ada@example.com")
    (event,) = cli.items("events", "list")
    assert event["payload"] == {"balance": "5.00", "threshold": "10.00", "currency": "USD"}
    assert "balance=5.00, threshold=10.00, currency=USD" in cli.run("events", "list").stdout


def test_the_upstream_calls_of_a_request_that_is_not_there_are_not_an_empty_list(cli: CommandLine) -> None:
    key = cli.answer("keys", "create", "--name", "laptop", "--user", "ada@example.com")
    bill(cli.folder, key_id=key["id"], user_id=key["user_id"], micros=100, request_id="req_there")
    assert len(cli.items("usage", "attempts", "req_there")) == 1
    assert "no request 'req_gone'" in cli.refusal("usage", "attempts", "req_gone")
    assert "no request 'req_gone'" in cli.refusal("usage", "attempts", "req_gone", "--json")
