"""What a command answers: the same value as JSON for programs or as text for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bytespike.core.json_types import JSON

#: Columns of a table that is not shown on a terminal: wide enough that nothing is wrapped.
_WIDE = 400

Item: TypeAlias = BaseModel | Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Answer:
    """`value` is what `--json` prints. `columns`: of a list, those that the table shows. `note`: a line for people.
    `failed`: the answer is bad news, and the exit code says so."""

    value: Mapping[str, JSON]
    columns: tuple[str, ...] = ()
    note: str = ""
    failed: bool = False


def record(item: Item, *, note: str = "") -> Answer:
    """One thing, all its fields."""
    return Answer(plain(item), note=note)


def listing(
    items: Sequence[Item], columns: Sequence[str], *, total: int | None = None, note: str = ""
) -> Answer:
    """Many things: `{"items": [...], "total": n}`. The table shows `columns`, JSON everything."""
    rows: list[JSON] = [dict(plain(item)) for item in items]
    return Answer({"items": rows, "total": len(rows) if total is None else total}, tuple(columns), note)


def plain(item: Item) -> Mapping[str, JSON]:
    if isinstance(item, BaseModel):
        return cast("Mapping[str, JSON]", item.model_dump(mode="json"))
    return item


def show(answer: Answer, *, as_json: bool) -> None:
    """Print an answer to standard output. As JSON it is one document and nothing else."""
    if as_json:
        sys.stdout.write(json.dumps(answer.value, indent=2, ensure_ascii=False) + "\n")
        return
    console = Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
    if answer.columns:
        console.print(_table(cast("list[Mapping[str, JSON]]", answer.value["items"]), answer.columns))
    else:
        console.print(_grid(answer.value))
    if answer.note:
        console.print(Text(answer.note))


def _table(rows: Sequence[Mapping[str, JSON]], columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_text(row.get(column))) for column in columns))
    return table


def _grid(value: Mapping[str, JSON]) -> Table:
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, each in value.items():
        grid.add_row(name.replace("_", " "), Text(_text(each)))
    return grid


def _text(value: JSON) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_text(each) for each in value) or "-"
        case dict():
            return ", ".join(f"{name}={_text(each)}" for name, each in value.items()) or "-"
        case _:
            return str(value)
