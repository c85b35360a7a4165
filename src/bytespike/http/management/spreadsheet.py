"""Lists as CSV, for those who ask for it: `?format=csv`, or `Accept: text/csv`.

A cell that a spreadsheet would take for a formula gets an apostrophe in front: names and notes are written by users, and
a formula in somebody else's spreadsheet can send what is in it elsewhere. Numbers are left as they are.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from fastapi import Depends, Query, Request
from starlette.responses import StreamingResponse

from bytespike.core.json_types import JSON

Format: TypeAlias = Literal["json", "csv"]

#: What begins a formula, also in its full-width form, and the white space that programs skip before one.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_QUALITY = re.compile(r"q\s*=\s*([^;\s]*)")


def format_of(
    request: Request, format: Annotated[Format | None, Query(description="json or csv")] = None
) -> Format:
    """The parameter decides; else what `Accept` likes better."""
    return format or accepted(request.headers.get("accept", ""))


FormatParam: TypeAlias = Annotated[Format, Depends(format_of)]


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


def csv_response(
    name: str, columns: Sequence[str], pieces: AsyncIterable[Iterable[Mapping[str, JSON]]]
) -> StreamingResponse:
    """A file `name`.csv with a line of column names, and a line for each row of each piece as it comes."""

    async def lines() -> AsyncIterator[str]:
        yield csv_lines([list(columns)])
        async for piece in pieces:
            yield csv_lines([row.get(column) for column in columns] for row in piece)

    disposition = f'attachment; filename="{name}.csv"'
    return StreamingResponse(
        lines(), media_type="text/csv; charset=utf-8", headers={"content-disposition": disposition}
    )


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
