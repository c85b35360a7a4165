"""docs/reference/cli.md describes just the commands, options and shapes that there are."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bytespike.ledger.reconciliation import Charge
from tests.support.billed import bill
from tests.support.command_line import CommandLine
from tests.support.reference import REFERENCE, commands, commands_text, replaced

DOCUMENT = (REFERENCE / "cli.md").read_text("utf-8")

# Commands that serve until they are stopped: tests/integration/test_cli_demo.py runs them.
SERVING = {"bytespike serve", "bytespike demo", "bytespike simulator"}

# Commands that call an upstream: tests/integration/test_channels_test.py runs them, --json among it.
CALLING = {"bytespike channels test"}

#: Of which there are none before a gateway has called somebody.
CHARGE = tuple(Charge.__struct_fields__)

# The words of each command that are needed to see what it prints, in an order in which they work.
SCENARIO: tuple[str, ...] = (
    "init",
    "version",
    "users create --email ada@example.com",
    "users list",
    "users show ada@example.com",
    "users update ada@example.com --tier pro",
    "users password ada@example.com --password-env PW",
    "orgs create --name Acme",
    "orgs list",
    "orgs pause Acme",
    "orgs resume Acme",
    "orgs add Acme --user ada@example.com",
    "orgs cap Acme --user ada@example.com --limit-1d 20",
    "orgs members Acme",
    "orgs topup Acme 5",
    "groups create --name vip --exclusive",
    "groups list",
    "groups update vip --multiplier 2",
    "groups grant vip ada@example.com",
    "groups withdraw vip ada@example.com",
    "channels create --name main --platform openai --credential-env PW --model gpt-5-5 --group default",
    "channels list",
    "channels show main",
    "channels update main --weight 2",
    "channels disable main",
    "channels enable main",
    "models list --family claude --all",
    "models show gpt-5-5",
    "models add house-model --like gpt-5-5 --input 7",
    "models update house-model --output 9",
    "models remove house-model",
    "models load CATALOG",
    "models alias add my-gpt gpt-5-5",
    "models alias list",
    "models alias remove my-gpt",
    "models price set gpt-5-5 --input 4",
    "models price show gpt-5-5",
    "models price export",
    "models price import PRICES",
    "keys create --name laptop --user ada@example.com",
    "keys list",
    "keys show KEY",
    "keys update KEY --quota 5",
    "keys cap KEY --model gpt-5-5 --limit-1d 5",
    "keys rotate KEY",
    "keys reveal KEY",
    "keys revoke KEY",
    "wallet topup 5 --user ada@example.com",
    "wallet credit 1 --user ada@example.com",
    "wallet debit 1 --user ada@example.com",
    "wallet balance --user ada@example.com",
    "wallet history --user ada@example.com",
    "wallet low-balance --amount 4.5 --user ada@example.com",
    "wallet debit 1 --user ada@example.com",
    "events list",
    "orgs remove Acme --user ada@example.com",
    "usage list",
    "usage sum",
    "wallet refund 1 --user ada@example.com",
    "usage attempts req_billed",
    "borrowers list",
    "borrowers release LOST",
    "reconcile --from 2026-01-01 --to 2026-02-01",
    "doctor",
    "channels remove main",
)


def documented_fields(command: str) -> set[str]:
    """The fields that the document says a command prints, or that each of its items has."""
    _, group, *rest = command.split()
    verb = " ".join(rest)
    for row in re.findall(r"^\| (`.+) \| (.+) \|$", DOCUMENT, re.MULTILINE):
        named = re.findall(r"`([^`]+)`", row[0])
        first = named[0].split()
        names = [named[0], *(" ".join([*first[:-1], each]) for each in named[1:])]
        if " ".join([group, *([verb] if verb else [])]) in names:
            return _fields(row[1])
    raise AssertionError(f"{command} is not in the table of what --json prints")


def _fields(text: str) -> set[str]:
    found = set(re.findall(r"`([a-z_0-9]+)`", re.sub(r"\([^)]*\)", "", text)))
    for shape, fields in shapes():
        # "a key, with its plaintext" and "keys" both mean the shape "key".
        plurals = f"{shape}s?|{shape}es|{shape.removesuffix('y')}ies"
        if re.search(rf"\b({plurals})\b", text.split("`")[0]):
            found |= fields
    return found


def shapes() -> Iterator[tuple[str, set[str]]]:
    for block in re.findall(r"^- an? \*\*(\w+)\*\*: (.+?)(?=^- |^#|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL):
        listed = block[1].split(". ")[0]
        yield block[0], set(re.findall(r"`([a-z_0-9]+)`", re.sub(r"\([^)]*\)", "", listed)))


def test_every_command_and_option_is_documented_as_the_code_has_it() -> None:
    assert replaced(DOCUMENT, commands_text()) == DOCUMENT, "run python -m tests.support.reference"


def test_every_command_explains_itself() -> None:
    for name, command in commands():
        assert command.help, name
        for param in command.params:
            assert param.name == "help" or param.help, f"{name} {param.name}"


def test_every_command_that_prints_takes_json() -> None:
    for name, command in commands():
        if name != "bytespike serve":
            assert any("--json" in param.opts for param in command.params), name


def test_the_scenario_runs_every_command() -> None:
    for name, _ in commands():
        words = name.removeprefix("bytespike ")
        assert name in SERVING | CALLING or any(f"{step} ".startswith(f"{words} ") for step in SCENARIO), name


def lost_borrower(data_dir: Path) -> str:
    """The row that a gateway leaves whose machine is gone."""
    with closing(sqlite3.connect(data_dir / "bytespike.db")) as database, database:
        database.execute("INSERT INTO borrowers VALUES ('01LOST', 'far', '/spool', 0, 0, 1)")
    return "01LOST"


@pytest.mark.slow
def test_every_command_prints_the_documented_fields_and_no_secret(tmp_path: Path) -> None:
    """Everything printed, for programs and for people, is searched for secrets at the end."""
    line = CommandLine(tmp_path)
    secret = "hunter2-upstream-credential"
    key_id, user_id, plaintexts, allowed = "", "", set[str](), set[int]()
    (tmp_path / "catalog.toml").write_text('[[aliases]]\nmodel = "gpt-4o"\nnames = ["house-4o"]\n')
    (tmp_path / "prices.toml").write_text('[[prices]]\nmodel = "gpt-4o"\ninput = "2"\n')
    stands_for = {"CATALOG": str(tmp_path / "catalog.toml"), "PRICES": str(tmp_path / "prices.toml")}
    for step in SCENARIO:
        if step == "borrowers list":
            stands_for["LOST"] = lost_borrower(tmp_path)
        if step.startswith("wallet refund"):
            bill(tmp_path, key_id=key_id, user_id=user_id, micros=2_000_000)
        words = [stands_for.get(word, word) for word in step.split()]
        before = len(line.printed)
        answer = line.answer(*words, env={"PW": secret})
        name = next(name for name, _ in commands() if f"bytespike {step} ".startswith(f"{name} "))
        shown = answer["items"][0] if answer.get("items") else answer
        if name in ("bytespike keys create", "bytespike keys rotate", "bytespike keys reveal"):
            key_id = stands_for["KEY"] = answer["id"]
            user_id = answer["user_id"]
            plaintexts.add(answer["key"])
            allowed |= {before, before + 1}
        expected = documented_fields(name)
        if name == "bytespike init":
            expected -= {"admin", "admin_made", "password"}
        if name == "bytespike usage list":
            assert answer == {"items": [], "total": 0}
        elif name == "bytespike reconcile":
            assert answer == {"items": [], "total": 0, "attempts": 0, "cost": "0.00"}
            assert expected == set(CHARGE) | set(answer)
        elif name == "bytespike doctor":
            assert set(answer) <= expected
            assert answer["ok"] is True
        else:
            assert set(shown) == expected - ({"password"} if name.startswith("bytespike users") else set()), (
                name
            )
    for words in (
        "keys list",
        f"keys show {key_id}",
        "channels list",
        "users list",
        "doctor",
        "models show gpt-5-5",
    ):
        line.run(*words.split())
    line.run("keys", "rotate", key_id)
    line.run("keys", "show", "no-such-key")
    printed = "\n".join(text for index, text in enumerate(line.printed) if index not in allowed)
    master_key = (tmp_path / "master.key").read_text().strip()
    assert len(plaintexts) == 2
    for each in (secret, master_key, *plaintexts):
        assert each not in printed
    assert len(printed) > 10_000
