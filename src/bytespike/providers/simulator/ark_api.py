"""Volcengine Ark: what surrounds its APIs for pictures and videos: keys, the error envelope, the body.

{"error": {"code": "InvalidParameter", "message": "... Request id: 021...", "param": "", "type": "BadRequest"}}
"""

from __future__ import annotations

import msgspec

from bytespike.core.json_types import JSON
from bytespike.providers.simulator.checks import Node, Problem
from bytespike.providers.simulator.exchange import (
    BAD_KEY,
    LIMITED_KEY,
    LIMITED_RETRY_AFTER_S,
    POOR_KEY,
    Dialect,
    Fault,
    Incoming,
)

#: What stands before every path of the API.
PREFIX = "/api/v3"

#: Codes and types by status.
_WORDS: dict[int, tuple[str, str]] = {
    400: ("InvalidParameter", "BadRequest"),
    401: ("AuthenticationError", "Unauthorized"),
    403: ("AccessDenied", "Forbidden"),
    404: ("NotFound", "NotFound"),
    409: ("InvalidAction", "Conflict"),
    429: ("RateLimitExceeded.EndpointRPMExceeded", "TooManyRequests"),
    503: ("ServerOverloaded", "ServiceUnavailable"),
}
_OTHER = ("InternalServiceError", "InternalServerError")


def error_body(fault: Fault, request_id: str) -> bytes:
    code, kind = _WORDS.get(fault.status, _OTHER if fault.status >= 500 else _WORDS[400])
    error = {
        "code": fault.code or code,
        "message": f"{fault.message} Request id: {request_id}",
        "param": fault.param or "",
        "type": fault.kind or kind,
    }
    return msgspec.json.encode({"error": error})


DIALECT = Dialect(name="ark", id_header="x-request-id", error_body=error_body)


def refuse(message: str, param: str = "", code: str = "InvalidParameter") -> Fault:
    """A 400 in Ark's words."""
    return Fault(400, message, kind="BadRequest", param=param, code=code)


def worded(problem: Problem) -> Fault:
    """What is wrong with a field."""
    where = ".".join(map(str, problem.path))
    if problem.kind == "missing":
        return refuse(
            f"The request failed because it is missing `{where}` parameter.",
            where,
            f"MissingParameter.{problem.path[-1]}",
        )
    return refuse(
        f"The parameter `{where}` specified in the request is not valid: {_reason(problem)}.", where
    )


def account(incoming: Incoming) -> str:
    """The caller's key. Raises `Fault`."""
    key = incoming.key(x_api_key=False)
    if not key:
        raise Fault(401, "The API key in the request is missing or invalid.")
    if key == BAD_KEY:
        raise Fault(401, "The API key doesn't exist.")
    if key == POOR_KEY:
        raise Fault(
            403,
            "The request failed because your account has an overdue balance.",
            code="AccountOverdueError",
            kind="Forbidden",
        )
    if key == LIMITED_KEY:
        message = "The Requests Per Minute (RPM) limit of the associated endpoint for your account has been exceeded."
        raise Fault(429, message, retry_after=LIMITED_RETRY_AFTER_S)
    return key


def body_of(incoming: Incoming) -> Node:
    """The request's body. Raises `Fault`."""
    try:
        body: JSON = msgspec.json.decode(incoming.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise refuse("The request failed because the body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise refuse("The request failed because the body is no object.")
    return Node(body)


def _reason(problem: Problem) -> str:
    match problem.kind:
        case "value":
            return f"expected one of {', '.join(problem.allowed)}, but got {problem.got}"
        case "type":
            return f"expected {problem.expected}, but got {problem.got}"
        case "unknown":
            return "unknown field"
        case _:
            return f"out of range, got {problem.got}"
