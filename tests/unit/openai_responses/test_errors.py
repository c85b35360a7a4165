"""Errors, both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike import errors
from bytespike.errors import GatewayError
from bytespike.protocols.openai_responses import DIALECT
from bytespike.protocols.openai_responses.errors import failed_member
from bytespike.protocols.upstream_errors import MESSAGE_CHARS_MAX

ENVELOPES: list[tuple[GatewayError, str]] = [
    (errors.InvalidRequest("m", param="input"), "invalid_request_error"),
    (errors.ContextTooLong("m"), "invalid_request_error"),
    (errors.UnsupportedFeature("m"), "invalid_request_error"),
    (errors.NoPreviousResponse("m"), "invalid_request_error"),
    (errors.BodyTooLarge("m"), "invalid_request_error"),
    (errors.ModelNotFound("m"), "invalid_request_error"),
    (errors.NotFound("m"), "invalid_request_error"),
    (errors.ContentPolicyViolation("m"), "invalid_request_error"),
    (errors.InvalidKey("m"), "authentication_error"),
    (errors.InsufficientBalance("m"), "insufficient_balance"),
    (errors.QuotaExceeded("m"), "insufficient_balance"),
    (errors.PermissionDenied("m"), "permission_error"),
    (errors.ModelNotInGroup("m"), "permission_error"),
    (errors.RateLimited("m"), "rate_limit_error"),
    (errors.ConcurrencyLimited("m"), "rate_limit_error"),
    (errors.InternalError("m"), "api_error"),
    (errors.UpstreamError("m"), "api_error"),
    (errors.NoAvailableChannel("m"), "api_error"),
    (errors.UpstreamTimeout("m"), "api_error"),
]


@pytest.mark.parametrize(("error", "kind"), ENVELOPES, ids=lambda value: getattr(value, "code", value))
def test_the_envelope_is_openais(error: GatewayError, kind: str) -> None:
    assert json.loads(DIALECT.write_error(error, 400, "req_1")) == {
        "error": {"message": "m", "type": kind, "param": error.param, "code": error.code}
    }


def test_a_failed_response_has_codes_that_clients_know() -> None:
    assert failed_member(errors.ContextTooLong("m"))["code"] == "context_length_exceeded"
    assert failed_member(errors.ConcurrencyLimited("m"))["code"] == "rate_limit_exceeded"
    assert failed_member(errors.UpstreamTimeout("m"))["code"] == "server_error"


def told(**error: Any) -> bytes:
    return json.dumps({"error": error}).encode()


UPSTREAM: list[tuple[int, bytes, str, str, int]] = [
    (400, told(message="bad", type="invalid_request_error", param="input[0]"), "request", "invalid_param", 0),
    (400, told(message="m", code="context_length_exceeded"), "request", "context_length_exceeded", 0),
    (400, told(message="Your input exceeds the context window of this model."), "request", "context_length_exceeded", 0),
    (400, told(message="m", code="content_policy_violation"), "request", "content_policy_violation", 0),
    (413, told(message="m"), "request", "request_entity_too_large", 0),
    (404, told(message="Item not found", code="not_found", param="input"), "request", "not_found", 0),
    (404, b"", "channel", "no_available_channel", 0),
    (404, told(message="m", code="model_not_found", param="model"), "channel", "no_available_channel", 0),
    (400, told(message="m", code="model_not_found", param="model"), "channel", "no_available_channel", 404),
    (401, told(message="m"), "channel", "no_available_channel", 0),
    (403, b"<html>", "channel", "no_available_channel", 0),
    (429, told(message="m", code="rate_limit_exceeded"), "channel", "no_available_channel", 0),
    (429, told(message="m", type="insufficient_quota"), "channel", "no_available_channel", 0),
    (400, b'{"code":"invalid-argument","error":"Incorrect API key provided."}', "channel", "no_available_channel", 401),
    (500, b"", "upstream", "upstream_error", 0),
    (503, told(message="m", code="server_overloaded"), "upstream", "upstream_error", 0),
    (504, b"", "upstream", "timeout", 0),
    (418, b'"text"', "upstream", "upstream_error", 0),
]  # fmt: skip


@pytest.mark.parametrize(("status", "data", "about", "code", "amounts_to"), UPSTREAM)
def test_an_upstreams_error_is_about_somebody(
    status: int, data: bytes, about: str, code: str, amounts_to: int
) -> None:
    failure = DIALECT.read_error(status, {}, data)
    assert (failure.about, failure.error.code, failure.status) == (about, code, amounts_to)


def test_a_request_error_says_what_and_where() -> None:
    failure = DIALECT.read_error(
        400, {}, told(message="x" * 5000, type="invalid_request_error", param="tools[0]")
    )
    assert failure.error.param == "tools[0]"
    assert len(failure.error.message) == MESSAGE_CHARS_MAX


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after-ms": "1500"}, 2),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 10),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT"}, None),
        ({"retry-after": "9" * 40}, 86_400),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: int | None) -> None:
    assert DIALECT.read_error(429, headers, b"").retry_after == seconds
