"""The command line, run in this process: quick, and with its output in hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from bytespike.cli.main import app


class CommandLine:
    """Runs commands against the data directory `folder`. Keeps everything that was ever printed in `printed`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed: list[str] = []

    def run(self, *words: str, env: Mapping[str, str] | None = None, stdin: str | None = None) -> Result:
        environment = {
            "DATA_DIR": str(self.folder),
            "PORT": None,
            "DATABASE_URL": None,
            "COLUMNS": "200",
            **(env or {}),
        }
        result = CliRunner().invoke(app, list(words), env=environment, input=stdin)
        self.printed += [result.stdout, result.stderr]
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def answer(
        self, *words: str, env: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> dict[str, Any]:
        """The JSON document of a command that succeeds."""
        result = self.run(*words, "--json", env=env, stdin=stdin)
        assert result.exit_code == 0, result.stderr
        assert result.stderr == ""
        return json.loads(result.stdout)

    def items(self, *words: str) -> list[dict[str, Any]]:
        """The items of a list command."""
        found = self.answer(*words)
        assert found["total"] >= len(found["items"])
        return found["items"]

    def refusal(
        self, *words: str, code: int = 1, env: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> str:
        """What a command that fails says: on standard error alone."""
        result = self.run(*words, env=env, stdin=stdin)
        assert result.exit_code == code, (result.exit_code, result.stdout, result.stderr)
        assert result.stdout == ""
        assert result.stderr
        return result.stderr
