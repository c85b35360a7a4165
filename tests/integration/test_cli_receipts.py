"""Prices in files, and what providers will charge, on the command line."""

from __future__ import annotations

import datetime
import tomllib
from pathlib import Path

import pytest

from tests.support.billed import bill
from tests.support.command_line import CommandLine

TODAY = datetime.datetime.now(datetime.UTC).date()
YESTERDAY = str(TODAY - datetime.timedelta(days=1))
#: A time to come for which a price may be set.
SOON = str(TODAY + datetime.timedelta(days=30))


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    """An installation with a user, a channel `main` and a key."""
    line = CommandLine(tmp_path / "data")
    line.answer("init")
    line.answer("users", "create", "--email", "ada@example.com")
    line.answer(
        *("channels", "create", "--name", "main", "--platform", "openai", "--credential-env", "UPSTREAM"),
        *("--model", "gpt-5.5", "--group", "default"),
        env={"UPSTREAM": "upstream-credential"},
    )
    return line


def test_a_price_of_a_time_to_come_with_tiers(cli: CommandLine) -> None:
    made = cli.answer(
        *("models", "price", "set", "gpt-5-5", "--from", SOON, "--input", "4"),
        *("--tier", "272000 input=8 output=45", "--tier", "500000 input=9"),
    )
    assert made["effective_at"] == f"{SOON}T00:00:00.000Z"
    assert [(tier["above"], tier["input"], tier["output"], tier["cache_read"]) for tier in made["tiers"]] == [
        (272_000, "8.00", "45.00", "0.50"),
        (500_000, "9.00", "45.00", "0.50"),
    ]
    shown = cli.answer("models", "price", "show", "gpt-5-5")
    assert (shown["id"], shown["input"], shown["tiers"]) == ("catalog", "5.00", [])
    assert [each["id"] for each in shown["set"]] == [made["id"]]
    now = cli.answer("models", "price", "set", "gpt-5-5", "--tier", "1000 input=7", "--input", "6")
    assert now["tiers"][0]["output"] == "30.00"
    assert cli.answer("models", "price", "set", "gpt-5-5", "--tier", "none")["tiers"] == []
    for wrong in ("many input=1", "0 input=1", "5 colour=1", "5 input", "5 input=x", "5 input=1 input=2"):
        assert "--tier" in cli.refusal("models", "price", "set", "gpt-5-5", "--tier", wrong)


def test_prices_go_out_to_a_file_and_come_in_from_one(cli: CommandLine, tmp_path: Path) -> None:
    cli.answer("models", "price", "set", "gpt-5-5", "--channel", "main", "--input", "4.5")
    cli.answer("models", "price", "set", "sora2", "--submit-fee", "0.10", "--from", SOON)
    text = cli.run("models", "price", "export").stdout
    whole = tomllib.loads(text)["prices"]
    assert [(row["model"], row.get("channel")) for row in whole] == [("gpt-5-5", "main"), ("sora2", None)]
    assert whole[1]["seconds"] == [{"per_second": "0.30", "resolution": ""}]
    assert cli.answer("models", "price", "export") == {"prices": 2, "toml": text}
    file = tmp_path / "prices.toml"
    file.write_text(text)
    assert cli.answer("models", "price", "import", str(file)) == {
        "file": str(file),
        "added": [],
        "unchanged": 2,
    }
    file.write_text('[[prices]]\nmodel = "gpt-5.5"\ninput = "4"\n')
    assert len(cli.answer("models", "price", "import", str(file))["added"]) == 1
    assert cli.answer("models", "price", "show", "gpt-5-5")["input"] == "4.00"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"[[prices]]\nmodel = 'no-such'\ninput = '1'", "no-such"),
        (b"[[prices]]\nmodel = 'gpt-5-5'\ninput = 1.0", "price 1 (gpt-5-5)"),
        (b"\xff", "UTF-8"),
        (b"#" * (4 * 1024 * 1024 + 1), "longer than"),
    ],
)
def test_a_wrong_price_file_is_refused_with_a_sentence(
    cli: CommandLine, tmp_path: Path, text: bytes, told: str
) -> None:
    file = tmp_path / "prices.toml"
    file.write_bytes(text)
    assert told in cli.refusal("models", "price", "import", str(file), code=2)
    assert "No such file" in cli.refusal("models", "price", "import", str(tmp_path / "none.toml"))


def test_what_providers_will_charge_is_added_up(cli: CommandLine) -> None:
    key = cli.answer("keys", "create", "--name", "laptop", "--user", "ada@example.com")
    cli.answer("wallet", "topup", "1", "--user", "ada@example.com")
    for number in range(3):
        bill(
            cli.folder,
            key_id=key["id"],
            user_id=key["user_id"],
            micros=100,
            request_id=f"req_{number}",
        )
    found = cli.answer("reconcile", "--from", YESTERDAY, "--by", "month", "--by-channel")
    assert (found["total"], found["attempts"], found["cost"]) == (1, 3, "0.00021")
    (charge,) = found["items"]
    assert charge["period"] is not None
    assert len(charge["period"]) == len("2026-11")
    assert {name: charge[name] for name in charge if name != "period"} == {
        "provider": "simulator",
        "model": "gpt-5.5-2026",
        "channel_id": "ch_1",
        "attempts": 3,
        "completed": 3,
        "client_gone": 0,
        "failed": 0,
        "input_tokens": 360,
        "output_tokens": 150,
        "images": 0,
        "seconds": 0,
        "cost": "0.00021",
    }
    assert cli.answer("reconcile", "--from", YESTERDAY, "--provider", "openai")["items"] == []
    assert cli.answer("reconcile", "--from", YESTERDAY, "--channel", "main")["items"] == []
    printed = cli.run("reconcile", "--from", YESTERDAY).stdout
    assert "3 attempts, $0.00021 in all." in printed
    assert "to" in cli.refusal("reconcile", "--from", YESTERDAY, "--to", YESTERDAY)
    assert "--from" in cli.refusal("reconcile", "--from", "soon")
