"""Models and names that an operator adds: in the database, on every list, and served, without code or a restart."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx2
import pytest

from bytespike.accounts.directory import POLL_S
from bytespike.catalog.resolve import load_catalog
from bytespike.cli.catalog_file import load_standing_file
from bytespike.settings import load
from tests.support.command_line import CommandLine

KEPT = {name: value for name, value in os.environ.items() if not name.startswith("BYTESPIKE_")}
QWEN = [
    "models",
    "add",
    "qwen-4-coder",
    "--family",
    "qwen",
    "--vendor",
    "Alibaba",
    "--context-window",
    "262144",
    "--max-output-tokens",
    "65536",
    "--capability",
    "tools",
    "--input",
    "0.50",
    "--output",
    "2",
]

FILE = """\
[[models]]
slug = "claude-opus-5-5"
like = "claude-opus-4-8"
price = { input = "6.00", output = "30.00" }

[[aliases]]
model = "claude-opus-4-8"
names = ["claude-opus-6*"]
substitute = true
"""


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    line = CommandLine(tmp_path / "data")
    line.answer("init")
    return line


def eventually(found: Callable[[], bool], seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found():
            return True
        time.sleep(0.03)
    return found()


def test_a_model_is_added_changed_and_removed(cli: CommandLine) -> None:
    made = cli.answer(*QWEN)
    assert (made["source"], made["input"], made["hold_output_tokens"]) == ("command", "0.50", 8192)
    assert cli.items("models", "list", "--own") == [made]
    changed = cli.answer("models", "update", "qwen-4-coder", "--output", "3", "--capability", "vision")
    assert (changed["input"], changed["output"]) == ("0.50", "3.00")
    assert (changed["capabilities"], changed["input_modalities"]) == (["vision"], ["text", "image"])
    assert cli.answer("models", "show", "qwen.4.coder")["output"] == "3.00"
    assert cli.answer("models", "remove", "qwen-4-coder")["shipped"] is False
    assert "not in the catalog" in cli.refusal("models", "show", "qwen-4-coder")


def test_a_model_of_the_package_is_changed_and_given_back(cli: CommandLine) -> None:
    before = cli.answer("models", "show", "gpt-5-5")
    assert before["source"] == "package"
    changed = cli.answer("models", "update", "gpt-5.5", "--hold-output-tokens", "4096", "--output", "31")
    assert (changed["hold_output_tokens"], changed["output"], changed["input"]) == (4096, "31.00", "5.00")
    # It is the price that is billed, too.
    assert cli.answer("models", "price", "show", "gpt-5-5")["output"] == "31.00"
    assert cli.answer("models", "remove", "gpt-5-5")["shipped"] is True
    assert cli.answer("models", "show", "gpt-5-5") == before


def test_wrong_models_are_refused_by_their_field(cli: CommandLine) -> None:
    assert "slug: gpt-5-5 is in the package" in cli.refusal("models", "add", "gpt-5-5", "--like", "gpt-4o")
    assert "slug: gpt-55 and gpt-5-5 differ" in cli.refusal("models", "add", "gpt-55", "--like", "gpt-4o")
    assert "family: " in cli.refusal("models", "add", "new-one")
    assert "price.input: " in cli.refusal("models", "add", "new-one", "--like", "gpt-4o", "--input", "-1")
    assert "--created: " in cli.refusal("models", "add", "new-one", "--like", "gpt-4o", "--created", "today")
    cli.answer(*QWEN)
    assert "already" in cli.refusal(*QWEN)
    assert "nothing to change" in cli.refusal("models", "update", "qwen-4-coder")
    assert "no model 'gpt-5-5' of yours" in cli.refusal("models", "remove", "gpt-5-5")


def test_removing_a_model_names_the_channels_that_still_list_it(cli: CommandLine) -> None:
    cli.answer(*QWEN)
    cli.answer(
        *[
            "channels",
            "create",
            "--name",
            "main",
            "--platform",
            "openai",
            "--credential-env",
            "PW",
            "--group",
            "default",
        ],
        *("--model", "qwen-4-coder=qwen4"),
        env={"PW": "x"},
    )
    assert cli.answer("models", "remove", "qwen-4-coder")["channels"] == ["main"]
    assert "serves qwen-4-coder, which is not in the catalog" in cli.run("doctor").stdout


def test_a_newer_default_means_what_the_operator_has(cli: CommandLine) -> None:
    cli.answer("models", "alias", "add", "claude-opus-6*", "claude-opus-4-8", "--substitute")
    shown = cli.answer("models", "show", "claude-opus-6-5-20280101")
    assert (shown["slug"], shown["aliases"]) == ("claude-opus-4-8", ["claude-opus-6*"])
    # A name that belongs to a model is not given away, not even by a pattern.
    cli.answer("models", "add", "claude-opus-6-5", "--like", "claude-opus-4-8")
    assert cli.answer("models", "show", "claude-opus-6.5")["slug"] == "claude-opus-6-5"
    assert cli.answer("models", "show", "claude-opus-6.6")["slug"] == "claude-opus-4-8"


def test_a_file_is_loaded_once_and_says_all_that_is_its_own(cli: CommandLine) -> None:
    path = cli.folder / "catalog.toml"
    path.write_text(FILE)
    cli.answer(*QWEN)
    first = cli.answer("models", "load")
    assert (first["added"], first["aliases_added"]) == (["claude-opus-5-5"], ["claude-opus-6*"])
    nothing = {"added": [], "changed": [], "removed": [], "aliases_added": [], "aliases_removed": []}
    assert cli.answer("models", "load", str(path)) == {"file": str(path), **nothing}
    assert {each["slug"]: each["source"] for each in cli.items("models", "list", "--own")} == {
        "qwen-4-coder": "command",
        "claude-opus-5-5": "file",
    }
    # Its own are changed in the file alone.
    for words in (["update", "claude-opus-5-5", "--input", "1"], ["remove", "claude-opus-5-5"]):
        assert "claude-opus-5-5 is the catalog file's" in cli.refusal("models", *words)
    assert "is the catalog file's" in cli.refusal("models", "alias", "remove", "claude-opus-6*")
    path.write_text(FILE.replace("6.00", "7.00").replace("claude-opus-6*", "claude-opus-7*"))
    second = cli.answer("models", "load")
    assert second == {
        "file": str(path),
        **nothing,
        "changed": ["claude-opus-5-5"],
        "aliases_added": ["claude-opus-7*"],
        "aliases_removed": ["claude-opus-6*"],
    }
    assert cli.answer("models", "show", "claude-opus-5-5")["input"] == "7.00"
    path.write_text("")
    assert cli.answer("models", "load")["removed"] == ["claude-opus-5-5"]
    assert [each["slug"] for each in cli.items("models", "list", "--own")] == ["qwen-4-coder"]


def test_what_commands_added_becomes_the_files_when_it_names_it(cli: CommandLine) -> None:
    cli.answer("models", "add", "claude-opus-5-5", "--like", "claude-opus-4-8")
    cli.answer("models", "alias", "add", "claude-opus-6*", "claude-opus-4-7")
    (cli.folder / "catalog.toml").write_text(FILE)
    found = cli.answer("models", "load")
    assert (found["changed"], found["aliases_added"], found["aliases_removed"]) == (
        ["claude-opus-5-5"],
        ["claude-opus-6*"],
        [],
    )
    (row,) = cli.items("models", "alias", "list")
    assert (row["model"], row["source"], row["substitute"]) == ("claude-opus-4-8", "file", True)


def test_a_file_may_lead_to_a_model_that_a_command_added(cli: CommandLine) -> None:
    path = cli.folder / "catalog.toml"
    path.write_text('[[aliases]]\nmodel = "qwen-4-coder"\nnames = ["coder"]\n')
    assert (
        f"{path}, line 3: the alias coder leads to qwen-4-coder, which is not in the catalog"
        in cli.refusal("models", "load", code=2)
    )
    cli.answer(*QWEN)
    assert cli.answer("models", "load")["aliases_added"] == ["coder"]


def test_a_wrong_file_changes_nothing_and_says_where_it_is_wrong(cli: CommandLine) -> None:
    path = cli.folder / "catalog.toml"
    path.write_text(FILE.replace('"6.00"', "6.00").replace('"claude-opus-6*"', '"gpt-4o"'))
    told = cli.refusal("models", "load", code=2)
    assert f"{path}, line 4: claude-opus-5-5: price.input: expected `str`, got `float`" in told
    path.write_text(FILE.replace('"claude-opus-6*"', '"gpt-4o"'))
    told = cli.refusal("models", "load", code=2)
    assert f"{path}, line 8: the alias gpt-4o is the name of a model" in told
    assert cli.items("models", "list", "--own") == []
    assert "no such file" in cli.refusal("models", "load", str(path) + "x").lower()
    path.unlink()
    assert "there is no" in cli.refusal("models", "load")


def test_a_row_that_this_version_cannot_read_is_left_out_alone(cli: CommandLine) -> None:

    cli.answer(*QWEN)
    cli.answer("models", "add", "house-model", "--like", "gpt-4o")
    with sqlite3.connect(cli.folder / "bytespike.db") as database:
        database.execute(
            """UPDATE models SET definition = '{"slug": "house-model", "wings": 2}' WHERE slug = 'house-model'"""
        )
    assert "house-model is left out" in cli.run("doctor").stdout
    assert [each["slug"] for each in cli.items("models", "list", "--own")] == ["qwen-4-coder"]
    cli.answer("models", "remove", "house-model")


def test_gateways_that_start_at_once_load_the_file_once(cli: CommandLine) -> None:
    path = cli.folder / "catalog.toml"
    path.write_text(FILE)
    with patch.dict(os.environ, {**KEPT, "DATA_DIR": str(cli.folder)}, clear=True):

        async def starts() -> None:
            await asyncio.gather(*(load_standing_file(load(), {}) for _ in range(4)))

        asyncio.run(starts())
    assert [each["slug"] for each in cli.items("models", "list", "--own")] == ["claude-opus-5-5"]
    with sqlite3.connect(cli.folder / "bytespike.db") as database:
        query = "SELECT count(*) FROM audit_log WHERE action = 'models.load' AND actor = 'serve'"
        assert database.execute(query).fetchone() == (1,)


def start(folder: Path, *words: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bytespike.cli.main", *words],
        env={**KEPT, "DATA_DIR": str(folder), "PORT": "0", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_gateway_does_not_start_with_a_wrong_file(tmp_path: Path) -> None:
    (tmp_path / "catalog.toml").write_text(FILE.replace("price", "prise"))
    process = start(tmp_path, "serve")
    _, told = process.communicate(timeout=180)
    assert process.returncode == 2
    assert f"{tmp_path}/catalog.toml, line 4: claude-opus-5-5: prise: unknown field" in told
    process = start(tmp_path, "serve", BYTESPIKE_CATALOG_FILE=str(tmp_path / "none.toml"))
    _, told = process.communicate(timeout=180)
    assert process.returncode == 2
    assert "catalog_file: " in told


@pytest.fixture
def running(tmp_path: Path) -> Generator[dict[str, Any]]:
    """A demo that found a catalog file when it started."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "catalog.toml").write_text(FILE)
    process = start(tmp_path / "data", "demo", "--json", BYTESPIKE_LOG_LEVEL="error")
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if line == "}\n":
            break
    try:
        yield json.loads(printed)
    finally:
        process.terminate()
        process.communicate(timeout=180)


@pytest.mark.slow
def test_running_gateways_serve_what_is_added_within_a_second(
    tmp_path: Path, running: dict[str, Any]
) -> None:
    assert POLL_S < 1, "so often it looks; what follows only waits, as long as a busy machine takes"
    cli = CommandLine(tmp_path / "data")
    headers = {"x-api-key": running["key"]}
    claude = [slug for slug, model in load_catalog().models.items() if model.family == "claude"]
    with httpx2.Client(base_url=running["base_url"], headers=headers) as client:

        def ask(model: str, content: str = "Hi") -> httpx2.Response:
            messages = [{"role": "user", "content": content}]
            return client.post("/v1/messages", json={"model": model, "max_tokens": 64, "messages": messages})

        def price(slug: str) -> dict[str, Any] | None:
            entries = client.get("/api/pricing").json()["data"]
            return next((each for each in entries if each["id"] == slug), None)

        def served(slug: str, base: str = "/v1/models") -> bool:
            found = client.get(base).json()
            return slug in {each["id"] for each in found.get("data", found.get("items", []))}

        # The file that was there at the start.
        entry = price("claude-opus-5-5")
        assert entry is not None
        assert (entry["available"], entry["per_million_tokens"]["input"]) == (False, "6.00")
        answer = ask("claude-opus-6-1")
        assert answer.json()["model"] == "claude-opus-6-1"
        assert "claude-opus-4-8" in answer.headers["x-bytespike-notices"]
        assert ask("claude-opus-5-5").status_code == 403
        # A channel begins to serve the model.
        cli.answer(
            *("channels", "update", "simulator-anthropic"),
            *(word for slug in [*claude, "claude-opus-5-5"] for word in ("--model", slug)),
        )
        assert eventually(lambda: served("claude-opus-5-5"))
        assert served("claude-opus-5-5", "/api/v1/me/available-models?page_size=200")
        answer = ask("claude-opus-5.5")
        assert (answer.status_code, answer.json()["model"]) == (200, "claude-opus-5.5")
        assert "x-bytespike-notices" not in answer.headers
        # Its own price is the one that is held and billed: dearer than the model that it is like.
        held = float(ask("claude-opus-5-5").headers["x-estimated-credits"])
        assert held > float(ask("claude-opus-4-8").headers["x-estimated-credits"])
        # Commands, on a running gateway.
        cli.answer(*QWEN)
        assert eventually(lambda: price("qwen-4-coder") is not None)
        cli.answer("models", "alias", "add", "opus", "claude-opus-5-5")
        assert eventually(lambda: ask("opus").status_code == 200)
        cli.answer("models", "remove", "qwen-4-coder")
        assert eventually(lambda: price("qwen-4-coder") is None)
        cli.answer("models", "update", "claude-opus-4-8", "--output", "26", "--display-name", "Our Opus")
        assert eventually(lambda: (price("claude-opus-4-8") or {})["per_million_tokens"]["output"] == "26.00")
        cli.answer("models", "remove", "claude-opus-4-8")
        assert eventually(lambda: (price("claude-opus-4-8") or {})["per_million_tokens"]["output"] == "25.00")
        # And the file again.
        (tmp_path / "data" / "catalog.toml").write_text(FILE.replace("6.00", "8.00"))
        cli.answer("models", "load")
        assert eventually(lambda: (price("claude-opus-5-5") or {})["per_million_tokens"]["input"] == "8.00")
