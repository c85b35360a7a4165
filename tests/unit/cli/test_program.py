"""Commands are loaded when they are called, and look the same before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bytespike.cli.program import ENTRIES, Loaded
from tests.support.command_line import CommandLine

#: What takes long to import.
HEAVY = ("alembic", "fastapi", "opentelemetry.sdk", "sqlalchemy", "uvicorn")


@pytest.mark.parametrize("name", ENTRIES)
def test_what_help_shows_of_a_command_is_what_the_command_says_of_itself(name: str) -> None:
    command = Loaded()[name]
    assert command.name == name
    first = command.help.split("\n\n")[0]
    assert " ".join(first.split()) == ENTRIES[name].about


def test_help_of_a_command_is_that_of_the_command_itself(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    assert "--idempotency-key" in line.run("wallet", "topup", "--help").stdout
    assert "--workers" in line.run("serve", "--help").stdout
    assert "rotate" in line.run("keys", "--help").stdout


def test_a_name_that_is_nearly_one_is_told(tmp_path: Path) -> None:
    assert "Did you mean 'serve'?" in CommandLine(tmp_path).refusal("sreve", code=2)


def heavy_after(code: str) -> set[str]:
    """Which of the heavy packages a new interpreter has imported."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(HEAVY) & set(done.stdout.splitlines()[-1].split())


@pytest.mark.slow
def test_help_and_completion_import_no_command() -> None:
    code = (
        "from typer.testing import CliRunner\nfrom bytespike.cli.main import app\n"
        "done = CliRunner().invoke(app, ['--help'])\n"
        "assert done.exit_code == 0 and 'borrowers' in done.stdout"
    )
    assert heavy_after(code) == set()


@pytest.mark.slow
def test_a_command_on_the_database_does_not_import_the_server_nor_what_migrates(tmp_path: Path) -> None:
    CommandLine(tmp_path).answer("init")
    code = (
        "from typer.testing import CliRunner\nfrom bytespike.cli.main import app\n"
        f"done = CliRunner().invoke(app, ['keys', 'list', '--json', '--data-dir', {str(tmp_path)!r}])\n"
        "assert done.exit_code == 0, done.stderr"
    )
    assert heavy_after(code) == {"sqlalchemy"}
