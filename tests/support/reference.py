"""The parts of docs/reference/ that follow from the code: the tables of settings and metrics, and the commands with their options.

`python -m tests.support.reference` writes them into the documents; tests hold that they are what it would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from bytespike.cli.main import app
from bytespike.observe.families import FAMILIES, PREFIX
from bytespike.settings import Settings, described, variables

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
BEGIN = "<!-- begin: written by `python -m tests.support.reference` -->"
END = "<!-- end -->"
_HELP_OPTION = "help"
_COMMON = ("data_dir", "database_url", "as_json")


def settings_text() -> str:
    """One row for each setting."""
    rows = [
        "| Setting | Environment | Default | What it is for | What is expected |",
        "|---|---|---|---|---|",
    ]
    for name, facts in described():
        names = " or ".join(f"`{variable}`" for variable in variables(name))
        rows.append(
            f"| `{name}` | {names} | {_default(name)} | {_cell(facts.about)} | {_cell(facts.expected)} |"
        )
    return "\n".join(rows)


def _default(name: str) -> str:
    value = Settings.__dataclass_fields__[name].default
    if value in (None, "", (), Path()):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def metrics_text() -> str:
    """One row for each metric."""
    rows = ["| Metric | Kind | Labels | What it tells |", "|---|---|---|---|"]
    for family in FAMILIES:
        name = PREFIX + family.name + ("_total" if family.kind == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(f"| `{name}` | {family.kind} | {labels} | {_cell(family.about)} |")
    return "\n".join(rows)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command of the program with its full name, in the order of `--help`."""
    yield from _commands("bytespike", typer.main.get_command(app))


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for part, each in command.commands.items():
            yield from _commands(f"{name} {part}", each)
    else:
        yield name, command


def commands_text() -> str:
    """A section for each command."""
    return "\n\n".join(_section(name, command) for name, command in commands())


def _section(name: str, command: Any) -> str:
    own = [each for each in command.params if each.name not in (_HELP_OPTION, *_COMMON)]
    arguments = [each for each in own if each.param_type_name == "argument"]
    options = [each for each in own if each.param_type_name == "option"]
    words = [name, *(_argument(each) for each in arguments)]
    lines = [f"### `{' '.join(words)}`", "", " ".join((command.help or "").split())]
    if command.epilog:
        lines += ["", command.epilog]
    if own:
        lines += ["", "| Argument or option | |", "|---|---|"]
        lines += [f"| `{_argument(each)}` | {_cell(each.help or '')} |" for each in arguments]
        lines += [f"| {_option(each)} | {_about(each)} |" for each in options]
    return "\n".join(lines)


def _argument(argument: Any) -> str:
    return (argument.metavar or argument.name).upper()


def _option(option: Any) -> str:
    names = [*option.opts, *option.secondary_opts]
    value = "" if option.is_flag else f" {option.metavar or _kind(option)}"
    return ", ".join(f"`{name}{value}`" for name in names)


def _kind(option: Any) -> str:
    kind = option.type_descriptor.annotation
    return "N" if kind is int else "PATH" if kind is Path else "TEXT"


def _about(option: Any) -> str:
    text = _cell(option.help or "")
    if option.required:
        return f"{text} Required."
    shown = option.default not in (None, "", False, [], ()) and not callable(option.default)
    return f"{text} Default: `{option.default}`." if shown else text


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def replaced(document: str, text: str) -> str:
    """The document with its generated part set to `text`."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def main() -> None:
    for name, text in (
        ("settings.md", settings_text()),
        ("cli.md", commands_text()),
        ("metrics.md", metrics_text()),
    ):
        path = REFERENCE / name
        path.write_text(replaced(path.read_text("utf-8"), text), "utf-8")


if __name__ == "__main__":
    main()
