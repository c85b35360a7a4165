"""Every command, end to end against a real database, as a program would use it: --json in, JSON out."""

import asyncio
import json
import re
import socket
import sqlite3
from pathlib import Path

import pytest

from bytespike.accounts.passwords import verify_password
from bytespike.ids import KEY_PREFIX
from bytespike.store import users as stored_users
from bytespike.store.engine import create_engine, reading
from tests.support.billed import bill
from tests.support.command_line import CommandLine


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    """An initialised installation with a user and the group `default`."""
    line = CommandLine(tmp_path / "data")
    line.answer("init")
    line.answer("users", "create", "--email", "ada@example.com")
    return line


def channel(cli: CommandLine, name: str = "main", *more: str) -> dict[str, object]:
    return cli.answer(
        *("channels", "create", "--name", name, "--platform", "openai", "--credential-env", "UPSTREAM"),
        *("--model", "gpt-5.5", "--group", "default", *more),
        env={"UPSTREAM": "upstream-credential"},
    )


# --- the first run ---------------------------------------------------------------------------------------------


def test_init_makes_what_is_missing_and_does_no_harm_again(tmp_path: Path) -> None:
    line = CommandLine(tmp_path / "new")
    first = line.answer("init", "--admin", "root@example.com")
    assert first["groups"] == ["default"]
    assert len(first["password"]) == 20
    assert first["admin"] == "root@example.com"
    key = (tmp_path / "new" / "master.key").read_text()
    again = line.answer("init")
    assert again == {name: first[name] for name in ("data_dir", "master_key_file", "groups")}
    assert (tmp_path / "new" / "master.key").read_text() == key
    assert [user["role"] for user in line.items("users", "list")] == ["admin"]


def test_init_with_an_administrator_that_is_there_changes_nothing_and_says_so(tmp_path: Path) -> None:
    """It is what a container runs each time it starts."""
    line = CommandLine(tmp_path / "new")
    first = line.answer("init", "--admin", "root@example.com")
    assert first["admin_made"] is True
    before = line.items("users", "list")
    again = line.answer(
        "init", "--admin", "Root@Example.com", "--password-env", "PW", env={"PW": "another one"}
    )
    assert again == {**{name: first[name] for name in first if name != "password"}, "admin_made": False}
    assert line.items("users", "list") == before
    said = line.run("init", "--admin", "root@example.com").stdout
    assert "root@example.com is there already" in said
    assert "bytespike users password root@example.com" in said
    assert "password is as it was" in said
    # The password that was printed first still opens the door.
    assert asyncio.run(opens(tmp_path / "new", first["password"]))


async def opens(folder: Path, password: str) -> bool:
    engine = create_engine(f"sqlite:///{folder / 'bytespike.db'}")
    try:
        async with reading(engine) as connection:
            row = await stored_users.by_email(connection, "root@example.com")
            assert row is not None
            return await verify_password(await stored_users.password_hash(connection, row.id), password)
    finally:
        await engine.dispose()


def test_init_makes_no_administrator_of_somebody_who_is_a_user(cli: CommandLine) -> None:
    refused = cli.refusal("init", "--admin", "ada@example.com")
    assert "bytespike users update ada@example.com --role admin" in refused
    assert cli.answer("users", "show", "ada@example.com")["role"] == "user"


def test_a_mistyped_data_directory_makes_no_database(tmp_path: Path) -> None:
    line = CommandLine(tmp_path / "nowhere")
    assert "bytespike init" in line.refusal("keys", "list")
    assert not (tmp_path / "nowhere").exists()


def test_the_database_may_be_named_on_the_command_line(tmp_path: Path) -> None:
    line = CommandLine(tmp_path / "wrong")
    url = f"sqlite:///{tmp_path}/other.db"
    line.answer("init", "--database-url", url, "--data-dir", str(tmp_path / "right"))
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "wrong").exists()
    found = line.answer("groups", "list", "--database-url", url, "--data-dir", str(tmp_path / "right"))
    assert found["total"] == 1


def test_a_database_that_cannot_be_reached_is_told_in_a_line(cli: CommandLine) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://nobody@127.0.0.1:{unused.getsockname()[1]}/none"
        refused = cli.refusal("users", "list", "--database-url", url)
    assert refused.startswith("bytespike: the database does not answer: ")
    assert refused.count("\n") == 1


# --- people ----------------------------------------------------------------------------------------------------


def test_users(cli: CommandLine) -> None:
    made = cli.answer(
        "users", "create", "--email", "Bob@Example.com", "--admin", "--tier", "pro", "--generate"
    )
    assert (made["email"], made["role"], made["tier"]) == ("bob@example.com", "admin", "pro")
    assert len(made["password"]) == 20
    assert [user["email"] for user in cli.items("users", "list")] == ["ada@example.com", "bob@example.com"]
    assert cli.items("users", "list", "--offset", "1")[0]["email"] == "bob@example.com"
    assert cli.answer("users", "list", "--limit", "1")["total"] == 2
    changed = cli.answer(
        "users", "update", "bob@example.com", "--concurrency", "7", "--rpm", "60", "--status", "disabled"
    )
    assert (changed["concurrency"], changed["rpm"], changed["status"]) == (7, 60, "disabled")
    changed = cli.answer("users", "update", made["id"], "--concurrency", "0", "--rpm", "0")
    assert (changed["concurrency"], changed["rpm"], changed["status"]) == (None, None, "disabled")
    assert cli.answer("users", "show", made["id"])["email"] == "bob@example.com"
    assert "already" in cli.refusal("users", "create", "--email", "bob@example.com")
    assert "no user" in cli.refusal("users", "show", "carl@example.com")


def test_a_password_comes_from_a_variable_a_file_or_standard_input(cli: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from a file\n")
    for words, env, stdin in (
        (("--password-env", "PW"), {"PW": "from a variable"}, None),
        (("--password-file", str(file)), None, None),
        (("--password-stdin",), None, "from standard input\n"),
    ):
        assert "password" not in cli.answer(
            "users", "password", "ada@example.com", *words, env=env, stdin=stdin
        )
    assert len(cli.answer("users", "password", "ada@example.com")["password"]) == 20
    assert "PW is empty" in cli.refusal("users", "password", "ada@example.com", "--password-env", "PW")
    both = cli.refusal(
        "users", "password", "ada@example.com", "--password-env", "PW", "--password-stdin", env={"PW": "x"}
    )
    assert "give one of" in both


def test_orgs(cli: CommandLine) -> None:
    made = cli.answer("orgs", "create", "--name", "Acme")
    assert cli.answer("orgs", "pause", "Acme")["status"] == "paused"
    assert cli.answer("orgs", "resume", made["id"])["status"] == "active"
    assert [org["name"] for org in cli.items("orgs", "list")] == ["Acme"]
    key = cli.answer("keys", "create", "--name", "k", "--user", "ada@example.com", "--org", "Acme")
    assert key["org_id"] == made["id"]


# --- groups ----------------------------------------------------------------------------------------------------


def test_groups(cli: CommandLine) -> None:
    made = cli.answer("groups", "create", "--name", "vip", "--multiplier", "1.25", "--exclusive")
    assert (made["multiplier"], made["exclusive"], made["status"]) == ("1.25", True, "active")
    refused = cli.refusal("keys", "create", "--name", "k", "--user", "ada@example.com", "--group", "vip")
    assert "grant" in refused
    assert cli.answer("groups", "grant", "vip", "ada@example.com")["granted"] is True
    cli.answer("keys", "create", "--name", "k", "--user", "ada@example.com", "--group", "vip")
    assert cli.answer("groups", "withdraw", "vip", "ada@example.com")["granted"] is False
    changed = cli.answer("groups", "update", "vip", "--no-exclusive", "--name", "open", "--multiplier", "2")
    assert (changed["name"], changed["exclusive"], changed["multiplier"]) == ("open", False, "2")
    assert cli.answer("groups", "update", "open", "--status", "disabled")["status"] == "disabled"
    assert [group["name"] for group in cli.items("groups", "list")] == ["default", "open"]
    assert "multiplier" in cli.refusal("groups", "create", "--name", "x", "--multiplier", "cheap")


# --- keys ------------------------------------------------------------------------------------------------------


def test_a_key_from_creation_to_revocation(cli: CommandLine) -> None:
    made = cli.answer(
        *(
            "keys",
            "create",
            "--name",
            "laptop",
            "--user",
            "ada@example.com",
            "--quota",
            "20",
            "--limit-5h",
            "0.5",
        ),
        *("--limit-1d", "1.000001", "--limit-7d", "7", "--allow-ip", "10.0.0.0/8", "--allow-ip", "::1"),
        *("--deny-ip", "10.0.0.1", "--model", "gpt-5.5", "--expires-in-days", "30"),
    )
    assert made["key"].startswith(KEY_PREFIX)
    assert made["masked"] == f"sk-byts-…****{made['key'][-4:]}"
    assert (made["quota"], made["rate_limit_5h"], made["rate_limit_1d"]) == ("20.00", "0.50", "1.000001")
    assert (made["ip_whitelist"], made["ip_blacklist"]) == (["10.0.0.0/8", "::1/128"], ["10.0.0.1/32"])
    assert made["allowed_models"] == ["gpt-5-5"]
    assert made["expires_at"] > made["created_at"]
    shown = cli.answer("keys", "show", made["id"])
    windows = [
        {"span": "5h", "spent": "0.00", "limit": "0.50"},
        {"span": "1d", "spent": "0.00", "limit": "1.000001"},
        {"span": "7d", "spent": "0.00", "limit": "7.00"},
    ]
    assert shown == {name: value for name, value in made.items() if name != "key"} | {"windows": windows}
    assert cli.items("keys", "list", "--user", "ada@example.com") == [shown]
    assert cli.answer("keys", "reveal", made["id"])["key"] == made["key"]
    rotated = cli.answer("keys", "rotate", made["id"])
    assert rotated["key"] != made["key"]
    assert cli.answer("keys", "reveal", made["id"])["key"] == rotated["key"]
    assert cli.answer("keys", "revoke", made["id"])["status"] == "revoked"
    assert "revoked" in cli.refusal("keys", "rotate", made["id"])
    assert cli.items("keys", "list", "--status", "active") == []


def test_a_key_is_changed_option_by_option(cli: CommandLine) -> None:
    cli.answer("groups", "create", "--name", "other")
    made = cli.answer(
        *("keys", "create", "--name", "k", "--user", "ada@example.com", "--quota", "5", "--allow-ip", "::1"),
        *("--model", "gpt-5-5", "--expires-in-days", "3"),
    )
    changed = cli.answer("keys", "update", made["id"], "--name", "new", "--group", "other", "--limit-1d", "2")
    assert (changed["name"], changed["group_id"], changed["rate_limit_1d"]) == ("new", 2, "2.00")
    for name in ("quota", "ip_whitelist", "allowed_models", "expires_at", "status"):
        assert changed[name] == made[name]
    changed = cli.answer(
        *("keys", "update", made["id"], "--quota", "0", "--any-ip", "--any-model", "--never-expires"),
        *("--status", "disabled"),
    )
    assert (changed["quota"], changed["ip_whitelist"], changed["allowed_models"]) == ("0.00", [], None)
    assert (changed["expires_at"], changed["status"]) == (None, "disabled")


def test_a_custom_key_comes_from_a_variable(cli: CommandLine) -> None:
    custom = "sk-byts-abcdefghijklmnopqrstuvwxyz012345"
    words = ("keys", "create", "--name", "k", "--user", "ada@example.com", "--custom-key-env", "MINE")
    assert cli.answer(*words, env={"MINE": custom})["key"] == custom
    assert custom not in cli.refusal(*words, env={"MINE": custom})
    assert "tooshort" not in cli.refusal(*words, env={"MINE": "sk-byts-tooshort"})


WRONG_KEY_OPTIONS = [
    (("--quota", "lots"), "--quota"),
    (("--quota", "-1"), "quota"),
    (("--quota", "1.0000001"), "--quota"),
    (("--limit-5h", "1e3"), "--limit-5h"),
    (("--allow-ip", "home"), "ip_whitelist"),
    (("--model", "gtp-5-5"), "gpt-5-5"),
    (("--group", "nowhere"), "nowhere"),
    (("--expires-in-days", "0"), "expires_in_days"),
]


def test_a_wrong_option_of_a_key_is_named(cli: CommandLine) -> None:
    for words, part in WRONG_KEY_OPTIONS:
        refused = cli.refusal("keys", "create", "--name", "k", "--user", "ada@example.com", *words)
        assert part in refused, words
    assert cli.items("keys", "list") == []


# --- channels --------------------------------------------------------------------------------------------------


def test_a_channel_from_creation_to_removal(cli: CommandLine) -> None:
    made = channel(
        cli,
        "main",
        *("--model", "gpt-4o=my-deployment", "--base-url", "openai_chat=https://eu.example.com/v1/"),
        *("--priority", "-1", "--weight", "3", "--region", "eu", "--rpm", "60", "--tpm", "1000"),
        *("--header", "X-Org=acme", "--timeout", "connect=2.5"),
    )
    assert made["models"] == {"gpt-5-5": "gpt-5.5", "gpt-4o": "my-deployment"}
    assert made["base_urls"] == {"openai_chat": "https://eu.example.com/v1"}
    assert (made["priority"], made["weight"], made["region"], made["rpm"], made["tpm"]) == (
        -1,
        3,
        "eu",
        60,
        1000,
    )
    assert (made["headers"], made["timeouts"], made["enabled"]) == (["x-org"], {"connect": 2.5}, True)
    assert cli.items("channels", "list") == [made]
    assert cli.answer("channels", "show", "main") == made
    off = cli.answer("channels", "disable", "main", "--reason", "invoice unpaid")
    assert (off["enabled"], off["disabled_reason"]) == (False, "invoice unpaid")
    on = cli.answer("channels", "enable", "main")
    assert (on["enabled"], on["disabled_reason"]) == (True, None)
    changed = cli.answer(
        *(
            "channels",
            "update",
            "main",
            "--name",
            "renamed",
            "--model",
            "gpt-4o",
            "--weight",
            "0",
            "--rpm",
            "0",
        ),
        *("--credential-stdin",),
        stdin="another-credential\n",
    )
    assert (changed["name"], changed["models"], changed["weight"], changed["rpm"]) == (
        "renamed",
        {"gpt-4o": "gpt-4o"},
        0,
        None,
    )
    assert changed["base_urls"] == made["base_urls"]
    assert (changed["headers"], changed["timeouts"]) == (made["headers"], made["timeouts"])
    bare = cli.answer("channels", "update", "renamed", "--header", "none", "--timeout", "none")
    assert (bare["headers"], bare["timeouts"]) == ([], {})
    assert cli.answer("channels", "remove", "renamed")["removed"] is True
    assert cli.items("channels", "list") == []


def test_a_channels_credential_comes_from_one_place(cli: CommandLine, tmp_path: Path) -> None:
    words = ("channels", "create", "--name", "x", "--platform", "openai")
    assert "--credential-env" in cli.refusal(*words)
    assert "No such file" in cli.refusal(*words, "--credential-file", str(tmp_path / "missing"))
    file = tmp_path / "credential"
    file.write_text("upstream-credential\n")
    cli.answer(*words, "--credential-file", str(file))
    assert cli.run(*words, "--credential", "on-the-command-line").exit_code == 2


WRONG_CHANNEL_OPTIONS = [
    (("--platform", "nobody"), "platform"),
    (("--platform", "simulator"), "base URL"),
    (("--platform", "openai", "--base-url", "openai_chat"), "--base-url"),
    (("--platform", "openai", "--base-url", "latin=https://x"), "dialect"),
    (("--platform", "openai", "--base-url", "openai_chat=ftp://x"), "base_urls"),
    (("--platform", "openai", "--timeout", "connect=soon"), "--timeout"),
    (("--platform", "openai", "--header", "Authorization=x"), "headers"),
    (("--platform", "openai", "--model", "no-such-model"), "not in the catalog"),
    (("--platform", "openai", "--group", "nowhere"), "nowhere"),
]


def test_a_wrong_option_of_a_channel_is_named(cli: CommandLine) -> None:
    create = ("channels", "create", "--name", "x", "--credential-env", "UPSTREAM")
    for words, part in WRONG_CHANNEL_OPTIONS:
        assert part in cli.refusal(*create, *words, env={"UPSTREAM": "x"}), words
    assert cli.items("channels", "list") == []


# --- models ----------------------------------------------------------------------------------------------------


def test_the_list_has_the_models_that_some_channel_serves(cli: CommandLine) -> None:
    every = {model["slug"] for model in cli.items("models", "list")}
    channel(cli)
    served = set(cli.answer("channels", "show", "main")["models"])
    assert {model["slug"] for model in cli.items("models", "list")} == served < every
    assert cli.items("models", "list", "--kind", "video") == []
    assert {model["slug"] for model in cli.items("models", "list", "--all")} == every
    assert {model["kind"] for model in cli.items("models", "list", "--kind", "video", "--all")} == {"video"}
    assert f"{len(every) - len(served)} more are served by no channel" in cli.run("models", "list").stdout
    assert "more are served" not in cli.run("models", "list", "--all").stdout
    cli.answer("models", "add", "house-model", "--like", "gpt-5-5")
    assert [model["slug"] for model in cli.items("models", "list", "--own")] == ["house-model"]


def test_models(cli: CommandLine) -> None:
    every = cli.items("models", "list")
    assert {"claude-sonnet-4-6", "gpt-5-5", "sora2"} <= {model["slug"] for model in every}
    claude = cli.items("models", "list", "--family", "claude")
    assert {model["family"] for model in claude} == {"claude"}
    assert cli.items("models", "list", "--family", "claude", "--kind", "video") == []
    assert "no-such" in cli.refusal("models", "list", "--capability", "no-such")
    channel(cli)
    cli.answer("models", "alias", "add", "my-gpt", "gpt-5.5")
    shown = cli.answer("models", "show", "my-gpt")
    assert (shown["slug"], shown["channels"], shown["aliases"]) == ("gpt-5-5", ["main"], ["my-gpt"])
    assert "nearest" in cli.refusal("models", "show", "gpt-5-55")


def test_aliases(cli: CommandLine) -> None:
    assert (
        cli.answer("models", "alias", "add", "claude-opus-9*", "claude-opus-4.8")["model"]
        == "claude-opus-4-8"
    )
    assert cli.answer("models", "show", "claude-opus-9-1")["slug"] == "claude-opus-4-8"
    assert [each["pattern"] for each in cli.items("models", "alias", "list")] == ["claude-opus-9*"]
    assert "already" in cli.refusal("models", "alias", "add", "claude-opus-9*", "gpt-4o")
    assert "is the name of a model" in cli.refusal("models", "alias", "add", "gpt-4o", "gpt-5-5")
    assert "not in the catalog" in cli.refusal("models", "alias", "add", "x", "no-such-model")
    assert cli.answer("models", "alias", "remove", "claude-opus-9*")["removed"] is True
    assert "no alias" in cli.refusal("models", "alias", "remove", "claude-opus-9*")


def test_prices(cli: CommandLine) -> None:
    channel(cli)
    before = cli.answer("models", "price", "show", "gpt-5-5")
    assert (before["id"], before["input"], before["output"]) == ("catalog", "5.00", "30.00")
    made = cli.answer("models", "price", "set", "gpt-5.5", "--input", "4.5", "--channel", "main")
    assert (made["input"], made["output"]) == ("4.50", "30.00")
    assert cli.answer("models", "price", "show", "gpt-5-5")["input"] == "5.00"
    assert cli.answer("models", "price", "show", "gpt-5-5", "--channel", "main")["input"] == "4.50"
    assert "year" in cli.refusal(
        "models", "price", "set", "gpt-5-5", "--output", "1", "--effective-at", "2999-01-01"
    )
    assert "--effective-at" in cli.refusal(
        "models", "price", "set", "gpt-5-5", "--output", "1", "--effective-at", "soon"
    )
    assert "--cache-write-1h" in cli.refusal("models", "price", "set", "gpt-5-5", "--cache-write-1h", "x")
    assert "no rate" in cli.refusal("models", "price", "set", "gpt-5-5")


# --- money -----------------------------------------------------------------------------------------------------


def test_a_wallet_and_its_entries(cli: CommandLine) -> None:
    of_ada = ("--user", "ada@example.com")
    assert cli.answer("wallet", "balance", *of_ada)["balance"] == "0.00"
    assert "a credit" in cli.refusal("wallet", "refund", "2", *of_ada)
    cli.answer("wallet", "topup", "2", *of_ada)
    key = cli.answer("keys", "create", "--name", "k", *of_ada)
    bill(cli.folder, key_id=key["id"], user_id=key["user_id"], micros=2_000_000)
    assert cli.answer("wallet", "balance", *of_ada)["balance"] == "0.00"
    made = cli.answer(
        "wallet", "topup", "25.000001", *of_ada, "--note", "invoice 17", "--idempotency-key", "i17"
    )
    assert (made["kind"], made["amount"], made["balance"], made["repeated"]) == (
        "topup",
        "25.000001",
        "25.000001",
        False,
    )
    again = cli.answer(
        "wallet", "topup", "25.000001", *of_ada, "--note", "invoice 17", "--idempotency-key", "i17"
    )
    assert (again["id"], again["balance"], again["repeated"]) == (made["id"], "25.000001", True)
    assert "idempotency" in cli.refusal("wallet", "topup", "26", *of_ada, "--idempotency-key", "i17")
    cli.answer("wallet", "credit", "1", *of_ada)
    cli.answer("wallet", "refund", "2", *of_ada)
    assert "$0.00 can be refunded" in cli.refusal("wallet", "refund", "0.000001", *of_ada)
    assert cli.answer("wallet", "debit", "3", *of_ada)["balance"] == "25.000001"
    assert "25.00" in cli.refusal("wallet", "debit", "26", *of_ada)
    assert "amount" in cli.refusal("wallet", "topup", "0", *of_ada)
    assert "not an amount" in cli.refusal("wallet", "topup", "free", *of_ada)
    history = cli.answer("wallet", "history", *of_ada, "--limit", "3")
    assert [(entry["kind"], entry["amount"]) for entry in history["items"]] == [
        ("admin_debit", "-3.00"),
        ("refund", "2.00"),
        ("admin_credit", "1.00"),
    ]
    assert history["total"] == 6
    assert cli.items("wallet", "history", *of_ada, "--offset", "3")[0]["note"] == "invoice 17"


def test_times_are_rfc_3339_with_a_z_wherever_they_are_shown(cli: CommandLine) -> None:
    of_ada = ("--user", "ada@example.com")
    cli.answer("wallet", "topup", "2", *of_ada)
    key = cli.answer("keys", "create", "--name", "k", *of_ada, "--expires-in-days", "1")
    bill(cli.folder, key_id=key["id"], user_id=key["user_id"], micros=5)
    channel(cli)
    shown = [
        cli.items("usage", "list")[0]["at"],
        cli.items("usage", "sum", "--group-by", "day")[0]["bucket"],
        *(entry["created_at"] for entry in cli.items("wallet", "history", *of_ada)),
        *(cli.items(each, "list")[0]["created_at"] for each in ("users", "groups", "keys", "channels")),
        key["expires_at"],
    ]
    assert len(shown) == 9
    for each in shown:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each), each


def test_a_wallet_belongs_to_a_user_or_an_org(cli: CommandLine) -> None:
    cli.answer("orgs", "create", "--name", "Acme")
    assert cli.answer("wallet", "topup", "5", "--org", "Acme")["balance"] == "5.00"
    assert cli.answer("wallet", "balance", "--org", "Acme")["balance"] == "5.00"
    assert "--user or --org" in cli.refusal("wallet", "balance")
    assert "--user or --org" in cli.refusal("wallet", "balance", "--user", "ada@example.com", "--org", "Acme")


def test_usage_of_nothing_is_nothing(cli: CommandLine) -> None:
    assert (
        cli.items("usage", "list", "--user", "ada@example.com", "--model", "gpt-5.5", "--since", "2026-01-01")
        == []
    )
    (total,) = cli.items("usage", "sum")
    assert (total["requests"], total["credits"]) == (0, "0.00")
    assert cli.items("usage", "sum", "--group-by", "day", "--group-by", "model") == []
    assert "--group-by" in cli.refusal("usage", "sum", "--group-by", "colour")
    assert "--since" in cli.refusal("usage", "list", "--since", "yesterday")


# --- the rest --------------------------------------------------------------------------------------------------


def test_doctor_finds_nothing_wrong_in_a_whole_installation(cli: CommandLine) -> None:
    channel(cli)
    cli.answer("keys", "create", "--name", "k", "--user", "ada@example.com")
    cli.answer("wallet", "topup", "5", "--user", "ada@example.com")
    report = cli.answer("doctor")
    assert (report["ok"], report["items"], report["transfers"]) == (True, [], 1)
    assert cli.answer("doctor", "--money")["ok"] is True


def test_doctor_tells_what_is_wrong_and_ends_with_1(cli: CommandLine) -> None:
    channel(cli)
    key = cli.answer("keys", "create", "--name", "k", "--user", "ada@example.com")
    cli.answer("wallet", "topup", "5", "--user", "ada@example.com")
    with sqlite3.connect(cli.folder / "bytespike.db") as database:
        database.execute("UPDATE accounts SET balance = balance + 1 WHERE kind = 'wallet'")
        database.execute("UPDATE keys SET secret = x'00'")
        database.execute("UPDATE channels SET platform = 'gone'")
        database.execute("UPDATE channel_models SET model = 'unheard-of'")
    database.close()
    result = cli.run("doctor", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["ok"] is False
    found = {(each["check"], each["subject"]) for each in report["items"] if each["severity"] == "error"}
    assert {("secrets", key["id"]), ("channels", "main"), ("balances", "all accounts")} <= found
    assert "Something is wrong." in cli.run("doctor").stdout
    money = json.loads(cli.run("doctor", "--money", "--json").stdout)
    assert {each["check"] for each in money["items"]} == {"balances"}


def test_version(cli: CommandLine) -> None:
    number = cli.answer("version")["version"]
    assert cli.run("version").stdout.strip() == number
