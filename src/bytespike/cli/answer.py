"""What a command answers: the same value as JSON for programs or as text for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bytespike.core.json_types import JSON

#: Columns of a table that is not shown on a terminal: wide enough that nothing is wrapped.
_WIDE = 400
#: Of a mapping that is spelled out in a table.
SPELLED_CHARS_MAX = 120
#: Names, ids, times and amounts: not broken over lines while anything else can be.
_UNBROKEN = frozenset(
    {
        *("id", "request_id", "name", "slug", "pattern", "model", "email", "masked", "at", "created_at"),
        *("platform", "quota", "spent", "amount", "credits", "input", "output"),
    }
)

#: How a value is shown to people, by the name of its column.
Cells: TypeAlias = Mapping[str, Callable[[JSON], str]]
Item: TypeAlias = BaseModel | Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Answer:
    """`value` is what `--json` prints. `columns`: of a list, those that the table shows. `note`: a line for people.
    `failed`: the answer is bad news, and the exit code says so. `text`: what is printed as it is, for people and files, in
    place of `value`. `cells`: columns and fields that people are shown in a form of their own, made of the value."""

    value: Mapping[str, JSON]
    columns: tuple[str, ...] = ()
    note: str = ""
    failed: bool = False
    text: str | None = None
    cells: Cells = field(default_factory=dict[str, "Callable[[JSON], str]"])


def record(item: Item, *, note: str = "", cells: Cells | None = None) -> Answer:
    """One thing, all its fields."""
    return Answer(plain(item), note=note, cells=cells or {})


def listing(
    items: Sequence[Item],
    columns: Sequence[str],
    *,
    total: int | None = None,
    note: str = "",
    cells: Cells | None = None,
) -> Answer:
    """Many things: `{"items": [...], "total": n}`. The table shows `columns`, JSON everything."""
    rows: list[JSON] = [dict(plain(item)) for item in items]
    value: Mapping[str, JSON] = {"items": rows, "total": len(rows) if total is None else total}
    return Answer(value, tuple(columns), note, cells=cells or {})


def plain(item: Item) -> Mapping[str, JSON]:
    if isinstance(item, BaseModel):
        return cast("Mapping[str, JSON]", item.model_dump(mode="json"))
    return item


def show(answer: Answer, *, as_json: bool, width: int | None = None) -> None:
    """Print an answer to standard output. As JSON it is one document and nothing else. `width`: columns for text, where
    they are not the terminal's."""
    if as_json:
        sys.stdout.write(json.dumps(answer.value, indent=2, ensure_ascii=False) + "\n")
        return
    if answer.text is not None:
        sys.stdout.write(answer.text)
        return
    if width is None and not sys.stdout.isatty():
        width = _WIDE
    console = Console(width=width, highlight=False)
    if answer.columns:
        items = cast("list[Mapping[str, JSON]]", answer.value["items"])
        console.print(_table(items, answer.columns, answer.cells))
    else:
        console.print(_grid(answer.value, answer.cells))
    if answer.note:
        console.print(Text(answer.note))


def _table(rows: Sequence[Mapping[str, JSON]], columns: Sequence[str], cells: Cells) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=column in _UNBROKEN, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cells.get(column, _cell)(row.get(column))) for column in columns))
    return table


def _grid(value: Mapping[str, JSON], cells: Cells) -> Table:
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, each in value.items():
        grid.add_row(name.replace("_", " "), Text(cells.get(name, _text)(each)))
    return grid


def spelled(value: JSON) -> str:
    """A short mapping by all that is in it, cut where it is long after all: `--json` has it whole."""
    text = _text(value)
    return text if len(text) <= SPELLED_CHARS_MAX else text[: SPELLED_CHARS_MAX - 1] + "…"


def _cell(value: JSON) -> str:
    """A mapping may have hundreds of entries: a table says how many, and the record says which."""
    return str(len(value)) if isinstance(value, dict) else _text(value)


def _text(value: JSON) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_text(each) for each in value) or "-"
        case dict():
            # A model that the upstream calls as we do is named once.
            return ", ".join(n if each == n else f"{n}={_text(each)}" for n, each in value.items()) or "-"
        case _:
            return str(value)
