"""Gemini: Google's error envelope, and the keys.

Words and details are those of recorded errors and of errors that users of the API have published.
"""

from __future__ import annotations

from urllib.parse import parse_qs

import msgspec

from bytespike.core.json_types import JSONObject
from bytespike.providers.simulator.exchange import (
    BAD_KEY,
    LIMITED_KEY,
    LIMITED_RETRY_AFTER_S,
    POOR_KEY,
    Dialect,
    Fault,
    Incoming,
)
from bytespike.providers.simulator.proto_json import Violation

_RPC = "type.googleapis.com/google.rpc."
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
BROKEN = "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting"


def error(fault: Fault) -> JSONObject:
    """The envelope. A wait is told in a RetryInfo, and in no header."""
    status = _STATUSES.get(fault.status, "INTERNAL" if fault.status >= 500 else "INVALID_ARGUMENT")
    inner: JSONObject = {"code": fault.status, "message": fault.message, "status": status}
    details = list(fault.details)
    if fault.retry_after is not None:
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{fault.retry_after}s"})
    if details:
        inner["details"] = [*details]
    return {"error": inner}


def error_body(fault: Fault, request_id: str) -> bytes:
    """The envelope as bytes; Google does not tell the request's id."""
    del request_id
    return msgspec.json.encode(error(fault))


DIALECT = Dialect(name="gemini", id_header="", error_body=error_body, tells_retry=False)


def refuse(message: str) -> Fault:
    """A 400 in Google's words."""
    return Fault(400, message)


def invalid(field: str, message: str) -> Fault:
    """A 400 about a field that could be read, and may not be so."""
    return refuse(f"* GenerateContentRequest.{field}: {message}\n")


def unreadable(violation: Violation) -> Fault:
    """A 400 about a field that could not be read."""
    told: JSONObject = {"description": violation.description}
    if violation.field:
        told["field"] = violation.field
    detail: JSONObject = {"@type": f"{_RPC}BadRequest", "fieldViolations": [told]}
    return Fault(400, violation.description, details=(detail,))


def account(incoming: Incoming) -> str:
    """The caller's key: `x-goog-api-key`, or `?key=`. Raises `Fault`."""
    key = incoming.headers.get("x-goog-api-key") or parse_qs(incoming.query).get("key", [""])[-1]
    if not key:
        raise Fault(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or "
            "other form of API consumer identity to call this API.",
        )
    if key == BAD_KEY:
        detail: JSONObject = {
            "@type": f"{_RPC}ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }
        raise Fault(400, "API key not valid. Please pass a valid API key.", details=(detail,))
    if key == POOR_KEY:
        raise Fault(
            429,
            "Your prepayment credits are depleted. Please go to AI Studio to manage your project and billing.",
        )
    if key == LIMITED_KEY:
        quota: JSONObject = {
            "@type": f"{_RPC}QuotaFailure",
            "violations": [
                {
                    "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
                    "quotaId": "GenerateRequestsPerMinutePerProjectPerModel",
                }
            ],
        }
        message = (
            "You exceeded your current quota, please check your plan and billing details. \nPlease retry in "
            f"{LIMITED_RETRY_AFTER_S}s."
        )
        raise Fault(429, message, retry_after=LIMITED_RETRY_AFTER_S, details=(quota,))
    return key
