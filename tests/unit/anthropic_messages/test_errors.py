"""Errors of the Anthropic dialect: the envelope for clients, and what an upstream's error means."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from bytespike.core.dialect import Peek
from bytespike.core.events import Failed
from bytespike.errors import (
    Code,
    ContentPolicyViolation,
    ContextTooLong,
    GatewayError,
    InvalidRequest,
    RateLimited,
    error_for,
)
from bytespike.protocols.anthropic_messages import DIALECT
from bytespike.protocols.upstream_errors import retry_after

ENVELOPE_TYPES = {
    "invalid_param": "invalid_request_error",
    "context_length_exceeded": "invalid_request_error",
    "previous_response_not_found": "invalid_request_error",
    "unsupported_feature": "invalid_request_error",
    "invalid_api_key": "authentication_error",
    "insufficient_balance": "billing_error",
    "quota_exceeded": "billing_error",
    "permission_denied": "permission_error",
    "model_not_in_group": "permission_error",
    "model_not_found": "not_found_error",
    "not_found": "not_found_error",
    "request_entity_too_large": "request_too_large",
    "rate_limit_exceeded": "rate_limit_error",
    "concurrency_limit": "rate_limit_error",
    "content_policy_violation": "invalid_request_error",
    "internal_error": "api_error",
    "upstream_error": "api_error",
    "no_available_channel": "overloaded_error",
    "timeout": "api_error",
}


@pytest.mark.parametrize(("code", "type_"), ENVELOPE_TYPES.items())
def test_each_code_has_the_envelope_type_of_the_contract(code: str, type_: str) -> None:
    body = json.loads(DIALECT.write_error(error_for(code, "what to do"), 400, "req_1"))
    assert body == {
        "type": "error",
        "error": {"type": type_, "message": "what to do"},
        "request_id": "req_1",
    }


@pytest.mark.parametrize("code", get_args(Code))
def test_no_code_is_without_an_envelope_type(code: str) -> None:
    body = json.loads(DIALECT.write_error(error_for(code, "m"), 400, "req_1"))
    assert (body["error"]["type"] == "api_error") == (code in ("internal_error", "upstream_error", "timeout"))


def _error(type_: str, message: str, **members: Any) -> bytes:
    detail = {"type": type_, "message": message} | members
    return json.dumps({"type": "error", "error": detail, "request_id": "req_up"}).encode()


#: status, body, about, code of the error
FAILURES: dict[str, tuple[int, bytes, str, str]] = {
    "a bad field": (
        400,
        _error("invalid_request_error", "messages.0.content: Field required"),
        "request",
        "invalid_param",
    ),
    "a prompt that is too long": (
        400,
        _error("invalid_request_error", "prompt is too long: 3333404 tokens > 200000 maximum"),
        "request",
        "context_length_exceeded",
    ),
    "a prompt and a limit that are too long together": (
        400,
        _error(
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        ),
        "request",
        "context_length_exceeded",
    ),
    "content policy": (
        400,
        _error("invalid_request_error", "Output blocked by content filtering policy"),
        "request",
        "content_policy_violation",
    ),
    "a model that the upstream does not know": (
        404,
        _error("not_found_error", "model: claude-x"),
        "channel",
        "no_available_channel",
    ),
    "such a model, told as a bad request": (
        400,
        _error("invalid_request_error", "Model Not Exist"),
        "channel",
        "no_available_channel",
    ),
    "a path that is not there": (404, b"<html>nginx</html>", "channel", "no_available_channel"),
    "a file that is not there": (
        404,
        _error("not_found_error", "File not found: file_011"),
        "request",
        "not_found",
    ),
    "a body that is too large": (
        413,
        _error("request_too_large", "Request exceeds the maximum size"),
        "request",
        "request_entity_too_large",
    ),
    "an unprocessable body of a compatible vendor": (
        422,
        b'{"error":{"message":"temperature must be in range"}}',
        "request",
        "invalid_param",
    ),
    "an empty wallet, told as a bad request": (
        400,
        _error("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
        "channel",
        "no_available_channel",
    ),
    "a spend limit, told by its code": (
        400,
        _error("invalid_request_error", "No.", details={"error_code": "contract_spend_limit_reached"}),
        "channel",
        "no_available_channel",
    ),
    "a bad key": (
        401,
        _error("authentication_error", "invalid x-api-key"),
        "channel",
        "no_available_channel",
    ),
    "a bill": (402, _error("billing_error", "pay"), "channel", "no_available_channel"),
    "no permission": (403, _error("permission_error", "no"), "channel", "no_available_channel"),
    "a rate limit": (429, _error("rate_limit_error", "slow down"), "channel", "no_available_channel"),
    "an internal error": (500, _error("api_error", "Internal server error"), "upstream", "upstream_error"),
    "a gateway timeout": (504, _error("timeout_error", "timed out"), "upstream", "timeout"),
    "overloaded": (529, _error("overloaded_error", "Overloaded"), "upstream", "no_available_channel"),
    "overloaded, told with another status": (
        503,
        _error("overloaded_error", "Overloaded"),
        "upstream",
        "no_available_channel",
    ),
    "a proxy's page": (502, b"<html>Bad Gateway</html>", "upstream", "upstream_error"),
    "an empty 400": (400, b"", "request", "invalid_param"),
    "an error that is a string": (400, b'{"error":"nope"}', "request", "invalid_param"),
    "an error of wrong types": (400, b'{"error":{"type":5,"message":[]}}', "request", "invalid_param"),
    "no JSON at all": (400, b"\xff\xfe", "request", "invalid_param"),
}


@pytest.mark.parametrize(("status", "body", "about", "code"), FAILURES.values(), ids=FAILURES)
def test_an_upstreams_error_is_about_the_request_the_channel_or_the_upstream(
    status: int, body: bytes, about: str, code: str
) -> None:
    failure = DIALECT.read_error(status, {}, body)
    assert (failure.about, failure.error.code) == (about, code)
    assert failure.error.message


def test_an_error_about_the_request_says_which_field() -> None:
    error = DIALECT.read_error(400, {}, _error("invalid_request_error", "tools.0.name: too long")).error
    assert isinstance(error, InvalidRequest)
    assert (error.param, error.message) == ("tools.0.name", "tools.0.name: too long")
    no_path = DIALECT.read_error(400, {}, _error("invalid_request_error", "That is wrong: very"))
    assert no_path.error.param is None


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("prompt is too long: 5 > 4", ContextTooLong),
        ("blocked by content filtering policy", ContentPolicyViolation),
        ("x", InvalidRequest),
    ],
)
def test_the_kinds_of_a_bad_request_are_told_by_their_words(message: str, kind: type) -> None:
    assert type(DIALECT.read_error(400, {}, _error("invalid_request_error", message)).error) is kind


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_an_error_about_the_channel_shows_nothing_of_it(status: int) -> None:
    body = _error("x", "org 1234 with key sk-ant-secret is over its limit")
    failure = DIALECT.read_error(status, {}, body)
    assert "1234" not in failure.error.message
    assert "sk-ant" not in failure.error.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "99999999999999999999"}, 86_400),
        (
            {"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"},
            30,
        ),
        (
            {"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"},
            0,
        ),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: int | None) -> None:
    assert retry_after(headers) == seconds
    failure = DIALECT.read_error(429, headers, b"")
    assert (failure.retry_after, failure.error.retry_after) == (seconds, seconds)


#: type of an error without a status, about, code of the error, the status that it amounts to
TOLD: dict[str, tuple[str, str, int]] = {
    "invalid_request_error": ("request", "invalid_param", 0),
    "request_too_large": ("request", "request_entity_too_large", 0),
    "rate_limit_error": ("channel", "no_available_channel", 429),
    "authentication_error": ("channel", "no_available_channel", 401),
    "billing_error": ("channel", "no_available_channel", 402),
    "permission_error": ("channel", "no_available_channel", 403),
    "not_found_error": ("channel", "no_available_channel", 404),
    "overloaded_error": ("upstream", "no_available_channel", 0),
    "timeout_error": ("upstream", "timeout", 0),
    "api_error": ("upstream", "upstream_error", 0),
    "brand_new_error": ("upstream", "upstream_error", 0),
}


def told_by_patch_response(body: bytes) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        DIALECT.patch_response(body, "claude")
    return raised.value


def told_by_read_response(body: bytes) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        DIALECT.read_response(body)
    return raised.value


def told_by_tap(body: bytes) -> GatewayError:
    tap = DIALECT.tap(Peek("claude", True), "claude")
    assert tap.feed(b"event: error\ndata: " + body + b"\n\n") == b""
    assert tap.failure is not None
    return tap.failure


def told_by_stream_reader(body: bytes) -> GatewayError:
    (failed,) = DIALECT.stream_reader().feed(b"event: error\ndata: " + body + b"\n\n")
    assert isinstance(failed, Failed)
    error = error_for(failed.code, failed.message)
    error.about, error.upstream_status = failed.about, failed.status
    return error


@pytest.mark.parametrize("type_", TOLD)
@pytest.mark.parametrize(
    "read", [told_by_patch_response, told_by_read_response, told_by_tap, told_by_stream_reader]
)
def test_an_error_without_a_status_is_the_error_that_it_tells(type_: str, read: Any) -> None:
    about, code, status = TOLD[type_]
    error = read(_error(type_, "org 1234 of ops@example.com is overdrawn"))
    assert (error.about, error.code, error.upstream_status) == (about, code, status)
    # Only what is about the request is told in the upstream's words.
    assert ("1234" in error.message) == (about == "request")


def test_a_refusal_without_a_status_is_a_refusal() -> None:
    body = _error("invalid_request_error", "Output blocked by content filtering policy")
    for read in (told_by_patch_response, told_by_read_response, told_by_tap, told_by_stream_reader):
        assert isinstance(read(body), ContentPolicyViolation)


def test_an_empty_wallet_amounts_to_a_402() -> None:
    body = _error("invalid_request_error", "Your credit balance is too low to access the Anthropic API.")
    assert DIALECT.read_error(400, {}, body).status == 402
    assert DIALECT.read_error(402, {}, body).status == 0


def test_an_error_of_ours_keeps_its_words() -> None:
    body = DIALECT.write_error(RateLimited("wait 5 s", retry_after=5), 429, "req_2")
    assert json.loads(body)["error"] == {"type": "rate_limit_error", "message": "wait 5 s"}


def test_a_request_error_that_quotes_the_caller_is_not_read_as_the_accounts_trouble():
    body = (
        b'{"type":"error","error":{"type":"invalid_request_error",'
        b'"message":"messages.1.content.0: unexpected tool_use_id found: billing"}}'
    )
    assert DIALECT.read_error(400, {}, body).about == "request"
    body = b'{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}'
    assert DIALECT.read_error(400, {}, body).about == "channel"
