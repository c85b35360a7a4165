"""OpenAI: what surrounds its two text APIs: keys, the error envelope, the list of models, the body."""

from __future__ import annotations

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator.exchange import (
    BAD_KEY,
    CREATED,
    LIMITED_KEY,
    LIMITED_RETRY_AFTER_S,
    POOR_KEY,
    Dialect,
    Fault,
    Incoming,
    Reply,
    World,
)

MODELS = ("simulator-large", "simulator-small")
SERVER_ERROR = "The server had an error while processing your request."

_encode = msgspec.json.encode
#: Types and codes by status, as the API gives them; 402 is what compatible vendors say.
_TYPES: dict[int, tuple[str, str | None]] = {
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("unknown_error", "invalid_request_error"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def error_body(fault: Fault, request_id: str) -> bytes:
    """The error envelope; the request's id is in the headers alone."""
    del request_id
    default: tuple[str, str | None] = (
        "server_error" if fault.status >= 500 else "invalid_request_error",
        None,
    )
    kind, code = _TYPES.get(fault.status, default)
    if fault.kind:
        kind, code = fault.kind, fault.code
    error = {"message": fault.message, "type": kind, "param": fault.param, "code": fault.code or code}
    return _encode({"error": error})


DIALECT = Dialect(name="openai", id_header="x-request-id", error_body=error_body)


def models(incoming: Incoming, world: World) -> Reply:
    """GET /v1/models, and one of them by its id: every id exists. Raises `Fault`."""
    del world
    account(incoming)
    if incoming.model:
        return Reply(_encode(_model(incoming.model)))
    return Reply(_encode({"object": "list", "data": [_model(name) for name in MODELS]}))


def _model(name: str) -> JSONObject:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "simulator"}


def account(incoming: Incoming) -> str:
    """The caller's key. Raises `Fault`."""
    key = incoming.key(x_api_key=False)
    if not key:
        raise Fault(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
            "auth (i.e. Authorization: Bearer YOUR_KEY).",
            kind="invalid_request_error",
        )
    if key == BAD_KEY:
        raise Fault(401, f"Incorrect API key provided: {key}.")
    if key == POOR_KEY:
        raise Fault(
            429,
            "You exceeded your current quota, please check your plan and billing details.",
            kind="insufficient_quota",
            code="insufficient_quota",
        )
    if key == LIMITED_KEY:
        message = "Rate limit reached for requests with the simulator's limited key."
        raise Fault(429, message, retry_after=LIMITED_RETRY_AFTER_S)
    return key


def body_of(incoming: Incoming) -> JSONObject:
    """The request's body. Raises `Fault`."""
    try:
        body: JSON = msgspec.json.decode(incoming.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Fault(
            400,
            "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload, but what was "
            "sent was not valid JSON.",
        ) from None
    if not isinstance(body, dict):
        raise Fault(400, "Invalid type for request body: expected an object.")
    return body
