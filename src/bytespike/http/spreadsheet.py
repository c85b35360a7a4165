"""Lists as CSV, for those who ask for it: `?format=csv`, or `Accept: text/csv`.

A cell that a spreadsheet would take for a formula gets an apostrophe in front: names and notes are written by users, and
a formula in somebody else's spreadsheet can send what is in it elsewhere. Numbers are left as they are.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from bytespike.core.json_types import JSON

Format: TypeAlias = Literal["json", "csv"]

CONTENT_TYPE = "text/csv; charset=utf-8"

#: What begins a formula, also in its full-width form, and the white space that programs skip before one.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_QUALITY = re.compile(r"q\s*=\s*([^;\s]*)")


def accepted(header: str) -> Format:
    """ "csv" where an `Accept` header names text/csv and likes nothing else of ours better."""
    likes = {"text/csv": 0.0, "application/json": 0.0}
    for each in header.lower().split(","):
        name, _, parameters = each.partition(";")
        found = _QUALITY.search(parameters)
        try:
            liked = float(found[1]) if found else 1.0
        except ValueError:
            liked = 0.0
        if name.strip() in likes:
            likes[name.strip()] = max(likes[name.strip()], liked)
    return "csv" if likes["text/csv"] > likes["application/json"] else "json"


def disposition(name: str) -> str:
    """What makes it a file, `name`.csv, where a browser opens it. `name` is ours: nothing in it needs quoting."""
    return f'attachment; filename="{name}.csv"'


def csv_lines(rows: Iterable[Sequence[JSON]]) -> str:
    """Lines of CSV as RFC 4180 has them. Lists are joined with "; ", null is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return text.getvalue()


def _cell(value: JSON) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return guarded("; ".join(map(str, value)))
        case _:
            return guarded(str(value))


def guarded(text: str) -> str:
    """The text, so that no spreadsheet calculates with it unless it is a number."""
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text
