"""AWS's exceptions as Anthropic's errors, so that one reader reads both.

Facts: the errors of InvokeModel and InvokeModelWithResponseStream in the Bedrock API reference, and "Common errors" of AWS.
The name is in the header `x-amzn-errortype`, perhaps with an address behind a colon, the text in the body's `message`. Some
statuses are AWS's own: 424 is the model's failure, 408 its time; 429 may also mean that a model is not ready. A wrong name of
a model is a ValidationException of 400, though nothing is wrong with the request: the channel's own name for it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bytespike.providers.carriage import Told
from bytespike.wire import json
from bytespike.wire.limits import ERROR_BYTES_MAX

#: Status and Anthropic's type, by exception. What is not here is told by its own status.
_EXCEPTIONS: Mapping[str, tuple[int, str]] = {
    "accessdenied": (403, "permission_error"),
    "expiredtoken": (401, "authentication_error"),
    "incompletesignature": (401, "authentication_error"),
    "internalserver": (500, "api_error"),
    "invalidsignature": (401, "authentication_error"),
    "missingauthenticationtoken": (401, "authentication_error"),
    "modelerror": (502, "api_error"),
    "modelnotready": (429, "rate_limit_error"),
    "modelstreamerror": (502, "api_error"),
    "modeltimeout": (504, "timeout_error"),
    "optinrequired": (403, "permission_error"),
    "requesttimetooskewed": (401, "authentication_error"),
    "resourcenotfound": (404, "not_found_error"),
    "servicequotaexceeded": (429, "rate_limit_error"),
    "serviceunavailable": (503, "overloaded_error"),
    "throttling": (429, "rate_limit_error"),
    "unrecognizedclient": (401, "authentication_error"),
    "validation": (400, "invalid_request_error"),
}
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
#: Validation of what the channel calls the model, which the caller cannot mend.
_WRONG_MODEL = re.compile(
    r"model identifier is invalid|on-demand throughput isn.t supported|inference profile"
    r"|model id|invalid model|end of its life",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(r"input is too long", re.IGNORECASE)


def told(status: int, headers: Mapping[str, str], body: bytes) -> Told:
    """An answer that is no success."""
    name = headers.get("x-amzn-errortype", "").partition(":")[0]
    return told_exception(name, _message(body), status)


def told_exception(name: str, message: str, status: int = 500) -> Told:
    """An exception by its name ("ThrottlingException", "throttlingException"). `status`: what it came with."""
    status, kind = _EXCEPTIONS.get(
        name.rpartition("#")[2].lower().removesuffix("exception"), (status, _TYPES.get(status, "api_error"))
    )
    if kind == "invalid_request_error" and _WRONG_MODEL.search(message):
        status, kind = 404, "not_found_error"
    if kind == "invalid_request_error" and _TOO_LONG.search(message):
        message = f"prompt is too long: {message}"
    return Told(status, json.encode({"type": "error", "error": {"type": kind, "message": message}}))


def _message(body: bytes) -> str:
    try:
        members = json.decode_object(body[:ERROR_BYTES_MAX])
    except json.NotJSON:
        return ""
    message = members.get("message", members.get("Message"))
    return message if isinstance(message, str) else ""
