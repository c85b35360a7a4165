"""Errors as answers: the OpenAI envelope, for everything that can go wrong in the management API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bytespike.core.dialect import Dialect
from bytespike.errors import (
    GatewayError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
)
from bytespike.http.statuses import STATUS

log = structlog.get_logger("bytespike.management")


def add_handlers(app: FastAPI, dialect: Dialect) -> None:
    """`dialect`: the one whose envelope is used."""

    def answer(error: GatewayError) -> Response:
        status = STATUS[error.code]
        headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
        return Response(
            dialect.write_error(error, status, ""), status, headers, media_type="application/json"
        )

    def refused(_: Request, error: Exception) -> Response:
        return answer(error if isinstance(error, GatewayError) else InternalError("something went wrong"))

    def invalid(_: Request, error: Exception) -> Response:
        found = cast("RequestValidationError", error).errors()
        return answer(_first(found))

    def other(request: Request, error: Exception) -> Response:
        # FastAPI makes a 400 of whatever is raised while it reads the body.
        if isinstance(error.__cause__, GatewayError):
            return answer(error.__cause__)
        status = cast("HTTPException", error).status_code
        if status == 405:
            return answer(MethodNotAllowed(f"{request.url.path} does not take {request.method}"))
        if status == 404:
            return answer(NotFound(f"no such route: {request.method} {request.url.path[:100]}"))
        return answer(InvalidRequest("the request cannot be read"))

    def unexpected(request: Request, error: Exception) -> Response:
        log.error("unexpected error", path=request.url.path, exc_info=error)
        return answer(InternalError("something went wrong in the gateway; the request id helps its operator"))

    app.add_exception_handler(GatewayError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, other)
    app.add_exception_handler(Exception, unexpected)


def _first(found: Sequence[Mapping[str, object]]) -> InvalidRequest:
    """The first problem with its field; the value that came is not repeated."""
    if not found:
        return InvalidRequest("the request cannot be read")
    first = found[0]
    loc = cast("tuple[object, ...]", first.get("loc", ()))
    # The first element says where ("body", "query"); positions inside JSON text name no field.
    names = [str(each) for each in loc[1:]] if first.get("type") != "json_invalid" else []
    param = ".".join(names)[:200] or None
    return InvalidRequest(f"{param or 'the body'}: {first.get('msg', 'wrong')}", param=param)
