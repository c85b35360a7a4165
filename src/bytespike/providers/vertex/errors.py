"""Google's errors as Anthropic's, for Claude on Vertex, so that one reader reads both.

Facts: Vertex AI's "API errors" (`{"error": {"code", "message", "status"}}`, in a list where a stream was asked for). What
Claude itself refuses comes in Anthropic's own envelope and stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from bytespike.core.json_types import JSON
from bytespike.providers.carriage import Told
from bytespike.wire import json
from bytespike.wire.limits import ERROR_BYTES_MAX

_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def told(status: int, body: bytes) -> Told:
    """An answer that is no success."""
    try:
        value: JSON = json.decode(body[:ERROR_BYTES_MAX])
    except json.NotJSON:
        return Told(status, body)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("status"), str):
        return Told(status, body)
    message = error.get("message")
    kind = _TYPES.get(status, "api_error")
    return Told(status, json.encode({"type": "error", "error": {"type": kind, "message": message or ""}}))
