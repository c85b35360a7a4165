"""Lists as CSV from the resources: which form is asked for, and the answer that is a file."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import Annotated, TypeAlias

from fastapi import Depends, Query, Request
from starlette.responses import StreamingResponse

from bytespike.core.json_types import JSON
from bytespike.http.spreadsheet import CONTENT_TYPE, Format, accepted, csv_lines, disposition


def format_of(
    request: Request, format: Annotated[Format | None, Query(description="json or csv")] = None
) -> Format:
    """The parameter decides; else what `Accept` likes better."""
    return format or accepted(request.headers.get("accept", ""))


FormatParam: TypeAlias = Annotated[Format, Depends(format_of)]


def csv_response(
    name: str, columns: Sequence[str], pieces: AsyncIterable[Iterable[Mapping[str, JSON]]]
) -> StreamingResponse:
    """A file `name`.csv with a line of column names, and a line for each row of each piece as it comes."""

    async def lines() -> AsyncIterator[str]:
        yield csv_lines([list(columns)])
        async for piece in pieces:
            yield csv_lines([row.get(column) for column in columns] for row in piece)

    return csv_file(name, lines())


def csv_file(name: str, lines: AsyncIterator[str]) -> StreamingResponse:
    """The same of lines that are made."""
    return StreamingResponse(
        lines, media_type=CONTENT_TYPE, headers={"content-disposition": disposition(name)}
    )
