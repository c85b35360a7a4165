"""Errors: Google's envelope for clients, and whose fault an upstream's error is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import errors as sdk

from bytespike.errors import (
    BodyTooLarge,
    ContentPolicyViolation,
    ContextTooLong,
    GatewayError,
    InvalidRequest,
    NotFound,
    RateLimited,
    UpstreamTimeout,
    error_for,
)
from bytespike.protocols.gemini import DIALECT
from bytespike.protocols.gemini.errors import write_error

#: CONTRACT, section 5: code, HTTP status, Google's status.
TABLE = [
    ("invalid_param", 400, "INVALID_ARGUMENT"),
    ("context_length_exceeded", 400, "INVALID_ARGUMENT"),
    ("unsupported_feature", 400, "INVALID_ARGUMENT"),
    ("invalid_api_key", 401, "UNAUTHENTICATED"),
    ("insufficient_balance", 402, "FAILED_PRECONDITION"),
    ("quota_exceeded", 402, "FAILED_PRECONDITION"),
    ("permission_denied", 403, "PERMISSION_DENIED"),
    ("model_not_in_group", 403, "PERMISSION_DENIED"),
    ("model_not_found", 404, "NOT_FOUND"),
    ("not_found", 404, "NOT_FOUND"),
    ("request_entity_too_large", 413, "INVALID_ARGUMENT"),
    ("rate_limit_exceeded", 429, "RESOURCE_EXHAUSTED"),
    ("concurrency_limit", 429, "RESOURCE_EXHAUSTED"),
    ("content_policy_violation", 451, "INVALID_ARGUMENT"),
    ("internal_error", 500, "INTERNAL"),
    ("upstream_error", 502, "INTERNAL"),
    ("no_available_channel", 503, "UNAVAILABLE"),
    ("timeout", 504, "UNAVAILABLE"),
]


@pytest.mark.parametrize(("code", "status", "word"), TABLE)
def test_the_envelope_says_status_reason_and_message(code: str, status: int, word: str) -> None:
    body = DIALECT.write_error(error_for(code, "what to do"), status, "req_1")
    error = json.loads(body)["error"]
    assert (error["code"], error["status"], error["message"]) == (status, word, "what to do")
    assert error["details"][0] == {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code.upper(), "domain": "bytespike",
    }  # fmt: skip
    # In a stream the same, with the status that the answer would have had.
    assert json.loads(write_error(error_for(code, "what to do"))) == json.loads(body)
    parsed = sdk.APIError(status, json.loads(body))
    assert (parsed.code, parsed.status, parsed.message) == (status, word, "what to do")


def test_every_code_of_the_gateway_has_a_status() -> None:
    def codes(cls: type[GatewayError]) -> set[type[GatewayError]]:
        return {cls}.union(*[codes(child) for child in cls.__subclasses__()])

    for cls in codes(GatewayError):
        error = cls.__new__(cls)  # some make their message of other things
        GatewayError.__init__(error, "x")
        assert json.loads(write_error(error))["error"]["code"] >= 400


def test_a_field_and_a_delay_are_details() -> None:
    error = json.loads(write_error(RateLimited("wait", param="contents[0]", retry_after=35)))["error"]
    assert error["details"][1:] == [
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "contents[0]", "description": "wait"}],
        },
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "35s"},
    ]


def told(code: int, status: str, message: str = "x", *details: dict[str, Any]) -> bytes:
    return json.dumps(
        {"error": {"code": code, "status": status, "message": message, "details": list(details)}}
    ).encode()


def info(reason: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}


CHANNEL = [
    (
        400,
        told(
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            info("API_KEY_INVALID"),
        ),
        401,
    ),
    (400, told(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."), 401),
    (400, told(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), 403),
    (401, told(401, "UNAUTHENTICATED"), 0),
    (403, told(403, "PERMISSION_DENIED", "x", info("SERVICE_DISABLED")), 0),
    (404, told(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta"), 0),
    (404, b"<html>not here</html>", 0),
    (429, told(429, "RESOURCE_EXHAUSTED"), 0),
    (429, b"", 0),
]
REQUEST: list[tuple[int, bytes, type[GatewayError]]] = [
    (400, told(400, "INVALID_ARGUMENT", "Invalid value at 'contents'"), InvalidRequest),
    (400, told(400, "INVALID_ARGUMENT", "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576)."), ContextTooLong),
    (400, told(400, "INVALID_ARGUMENT", "blocked by the Prohibited Use policy"), ContentPolicyViolation),
    (400, told(400, "INVALID_ARGUMENT", "Thought signature is not valid"), InvalidRequest),
    (404, told(404, "NOT_FOUND", "File files/abc does not exist"), NotFound),
    (413, b"", BodyTooLarge),
]  # fmt: skip
UPSTREAM = [
    (500, told(500, "INTERNAL")),
    (502, b"<html>"),
    (503, told(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")),
    (504, told(504, "DEADLINE_EXCEEDED")),
    (408, b""),
    (520, b"\xff\xfe"),
]


@pytest.mark.parametrize(("status", "body", "amounts_to"), CHANNEL)
def test_errors_about_the_credential_the_quota_or_the_model_name_are_the_channels(
    status: int, body: bytes, amounts_to: int
) -> None:
    failure = DIALECT.read_error(status, {}, body)
    assert (failure.about, failure.status) == ("channel", amounts_to)
    assert failure.error.code == "no_available_channel"


@pytest.mark.parametrize(("status", "body", "kind"), REQUEST)
def test_errors_about_the_request_reach_the_client(
    status: int, body: bytes, kind: type[GatewayError]
) -> None:
    failure = DIALECT.read_error(status, {}, body)
    assert (failure.about, type(failure.error)) == ("request", kind)
    if body:
        assert failure.error.message == json.loads(body)["error"]["message"]


@pytest.mark.parametrize(("status", "body"), UPSTREAM)
def test_all_else_is_the_upstreams(status: int, body: bytes) -> None:
    failure = DIALECT.read_error(status, {}, body)
    assert failure.about == "upstream"
    assert isinstance(failure.error, UpstreamTimeout) == (status in (408, 504))


def test_a_field_violation_names_the_member() -> None:
    detail = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "contents", "description": "d"}],
    }
    assert DIALECT.read_error(400, {}, told(400, "INVALID_ARGUMENT", "x", detail)).error.param == "contents"


@pytest.mark.parametrize(
    ("headers", "body", "wait"),
    [
        ({}, told(429, "RESOURCE_EXHAUSTED", "x", {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}), 35),
        ({}, told(503, "UNAVAILABLE", "x", {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}), 2),
        ({}, told(429, "RESOURCE_EXHAUSTED", "Please retry in 48.9s."), 49),
        ({"Retry-After": "7"}, b"", 7),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"", 10),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT"}, b"", None),
        ({}, told(429, "RESOURCE_EXHAUSTED", "x", {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "soon"}), None),
        ({}, told(429, "RESOURCE_EXHAUSTED", "x", {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "999999999s"}), 86_400),
    ],
)  # fmt: skip
def test_the_delay_is_read_in_each_of_its_forms(
    headers: dict[str, str], body: bytes, wait: int | None
) -> None:
    assert DIALECT.read_error(429 if b"503" not in body else 503, headers, body).retry_after == wait


@pytest.mark.parametrize(
    "body", [b"[]", b"[3]", b'{"error":3}', b'{"error":"x"}', b"null", b'[{"error":{"message":"m"}}]', b'{"error":{"details":[3,{"@type":4}]}}']
)  # fmt: skip
def test_bodies_of_any_shape_are_read(body: bytes) -> None:
    assert DIALECT.read_error(400, {}, body).about == "request"
