"""Errors of upstreams: whose trouble they are, and what the client is told. And the client's own envelope."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike import errors
from bytespike.core.dialect import Peek
from bytespike.core.events import Failed
from bytespike.protocols.openai_chat import DIALECT
from bytespike.protocols.upstream_errors import MESSAGE_CHARS_MAX


def openai(message: str, **members: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": None, "param": None, "code": None, **members}}


#: Status, body, whose trouble, the client's error class.
ROWS: dict[str, tuple[int, Any, str, type[errors.GatewayError]]] = {
    "a bad field": (
        400,
        openai("bad", type="invalid_request_error", param="temperature"),
        "request",
        errors.InvalidRequest,
    ),
    "an unprocessable field (DeepSeek)": (422, openai("bad"), "request", errors.InvalidRequest),
    "the window": (400, openai("too long", code="context_length_exceeded"), "request", errors.ContextTooLong),
    "the window, in words": (
        400,
        openai("This model's maximum context length is 65536 tokens.", type="invalid_request_error"),
        "request",
        errors.ContextTooLong,
    ),
    "the window (Moonshot)": (
        400,
        openai(
            "Invalid request: Your request exceeded model token limit: 8192", type="invalid_request_error"
        ),
        "request",
        errors.ContextTooLong,
    ),
    "the window (Zhipu)": (
        400,
        openai("Prompt exceeds max length", code="1261"),
        "request",
        errors.ContextTooLong,
    ),
    "the window (MiniMax)": (
        400,
        {
            "type": "error",
            "error": {
                "type": "bad_request_error",
                "message": "invalid params, context window exceeds limit (2013)",
                "http_code": "400",
            },
        },
        "request",
        errors.ContextTooLong,
    ),
    "a policy (OpenAI)": (
        400,
        openai("flagged", code="content_policy_violation"),
        "request",
        errors.ContentPolicyViolation,
    ),
    "a policy (Azure)": (
        400,
        openai("filtered", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
        "request",
        errors.ContentPolicyViolation,
    ),
    "a policy (Zhipu)": (400, openai("sensitive", code="1301"), "request", errors.ContentPolicyViolation),
    "a policy (OpenRouter)": (
        403,
        {"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["x"], "flagged_input": "y"}}},
        "request",
        errors.ContentPolicyViolation,
    ),
    "a policy (Alibaba)": (
        400,
        {"code": "DataInspectionFailed", "message": "no"},
        "request",
        errors.ContentPolicyViolation,
    ),
    "a policy (Volcengine)": (
        400,
        openai("sensitive", code="InputTextSensitiveContentDetected"),
        "request",
        errors.ContentPolicyViolation,
    ),
    "a body too large": (413, "Request Entity Too Large", "request", errors.BodyTooLarge),
    "a failed generation (Groq)": (
        400,
        openai("bad call", code="tool_use_failed"),
        "request",
        errors.InvalidRequest,
    ),
    "text beside a code (xAI)": (
        400,
        {"code": "bad", "error": "no such parameter"},
        "request",
        errors.InvalidRequest,
    ),
    "detail (vLLM)": (422, {"detail": [{"loc": ["body"], "msg": "x"}]}, "request", errors.InvalidRequest),
    "a list (Gemini)": (
        400,
        [{"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}],
        "request",
        errors.InvalidRequest,
    ),
    "a bad key, told as a bad request (Gemini)": (
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "API key not valid. Please pass a valid API key.",
                    "status": "INVALID_ARGUMENT",
                    "details": [
                        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
                    ],
                }
            }
        ],
        "channel",
        errors.NoAvailableChannel,
    ),
    "a bad key, told in words alone (Gemini)": (
        400,
        [{"error": {"code": 400, "message": "API key expired. Please renew the API key."}}],
        "channel",
        errors.NoAvailableChannel,
    ),
    "a model that is not there (Gemini)": (
        404,
        [
            {
                "error": {
                    "code": 404,
                    "message": "models/x is not found for API version v1main",
                    "status": "NOT_FOUND",
                }
            }
        ],
        "channel",
        errors.NoAvailableChannel,
    ),
    "a model that is not there (DeepSeek)": (
        400,
        openai("Model Not Exist", type="invalid_request_error", code="invalid_request_error"),
        "channel",
        errors.NoAvailableChannel,
    ),
    "a model that is not there (OpenRouter)": (
        400,
        {"error": {"message": "vendor/x is not a valid model ID", "code": 400}},
        "channel",
        errors.NoAvailableChannel,
    ),
    "a model that is not there (MiniMax)": (
        400,
        {
            "type": "error",
            "error": {"type": "bad_request_error", "message": "invalid params, unknown model 'x' (2013)"},
        },
        "channel",
        errors.NoAvailableChannel,
    ),
    "a model that is not there (vLLM)": (
        404,
        {"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404},
        "channel",
        errors.NoAvailableChannel,
    ),
    "a member that speaks of models": (
        400,
        openai("unknown model of the caller's own words", param="tools[0].function.description"),
        "request",
        errors.InvalidRequest,
    ),
    "something not found": (404, openai("No such file", code="file_not_found"), "request", errors.NotFound),
    "the channel's model": (
        404,
        openai("The model `x` does not exist", code="model_not_found"),
        "channel",
        errors.NoAvailableChannel,
    ),
    "the channel's model, by its param": (
        404,
        openai("not a chat model", param="model"),
        "channel",
        errors.NoAvailableChannel,
    ),
    "the channel's base URL": (404, "<html>nginx</html>", "channel", errors.NoAvailableChannel),
    "the key": (
        401,
        openai("Incorrect API key provided: sk-x", code="invalid_api_key"),
        "channel",
        errors.NoAvailableChannel,
    ),
    "the key (DeepSeek)": (
        401,
        openai("Authentication Fails", type="authentication_error", code="invalid_request_error"),
        "channel",
        errors.NoAvailableChannel,
    ),
    "the balance (DeepSeek)": (402, openai("Insufficient Balance"), "channel", errors.NoAvailableChannel),
    "permissions": (
        403,
        openai("You are not allowed to sample from this model"),
        "channel",
        errors.NoAvailableChannel,
    ),
    "the rate": (
        429,
        openai("Rate limit reached", code="rate_limit_exceeded"),
        "channel",
        errors.NoAvailableChannel,
    ),
    "the quota": (
        429,
        openai("You exceeded your current quota", code="insufficient_quota"),
        "channel",
        errors.NoAvailableChannel,
    ),
    "the quota, as a 400": (
        400,
        openai("no money", code="insufficient_quota"),
        "channel",
        errors.NoAvailableChannel,
    ),
    "arrears (Zhipu)": (429, openai("arrears", code="1113"), "channel", errors.NoAvailableChannel),
    "concurrency (Zhipu)": (429, openai("busy", code="1302"), "channel", errors.NoAvailableChannel),
    "an overdue account (Volcengine)": (
        403,
        openai("overdue", code="AccountOverdueError"),
        "channel",
        errors.NoAvailableChannel,
    ),
    "an overloaded engine (Moonshot)": (
        429,
        openai("overloaded", type="engine_overloaded_error"),
        "upstream",
        errors.UpstreamError,
    ),
    "a crash": (500, openai("boom", type="server_error"), "upstream", errors.UpstreamError),
    "a bad gateway": (502, "<html>502</html>", "upstream", errors.UpstreamError),
    "overloaded": (503, b"", "upstream", errors.UpstreamError),
    "a timeout": (504, "gateway timeout", "upstream", errors.UpstreamTimeout),
    "a request timeout": (408, openai("timed out"), "upstream", errors.UpstreamTimeout),
    "a teapot": (418, b"", "upstream", errors.UpstreamError),
}


def encode(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


@pytest.mark.parametrize("row", ROWS)
def test_an_error_answer_means(row: str) -> None:
    status, body, about, kind = ROWS[row]
    failure = DIALECT.read_error(status, {}, encode(body))
    assert failure.about == about
    assert type(failure.error) is kind


@pytest.mark.parametrize("row", [row for row in ROWS if ROWS[row][2] != "request"])
def test_what_is_not_about_the_request_is_not_told_in_the_providers_words(row: str) -> None:
    status, body, _, _ = ROWS[row]
    said = DIALECT.read_error(status, {}, encode(body)).error.message
    for word in ("sk-x", "quota", "Balance", "arrears", "overdue", "nginx", "boom"):
        assert word not in said


#: A failure inside of a success: whose trouble, the client's error class, and the status that it amounts to.
TOLD: dict[str, tuple[dict[str, Any], str, type[errors.GatewayError], int]] = {
    "MiniMax refuses the input": (
        {"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}},
        "request",
        errors.ContentPolicyViolation,
        0,
    ),
    "MiniMax refuses the output": (
        {"base_resp": {"status_code": 1027, "status_msg": "output new_sensitive"}},
        "request",
        errors.ContentPolicyViolation,
        0,
    ),
    "MiniMax refuses a member": (
        {"base_resp": {"status_code": 2013, "status_msg": "invalid params, temperature"}},
        "request",
        errors.InvalidRequest,
        0,
    ),
    "MiniMax limits the rate, with a number that is Zhipu's for a bad key": (
        {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
        "channel",
        errors.NoAvailableChannel,
        429,
    ),
    "MiniMax refuses the key": (
        {"base_resp": {"status_code": 2049, "status_msg": "invalid api key"}},
        "channel",
        errors.NoAvailableChannel,
        401,
    ),
    "MiniMax fails": (
        {"base_resp": {"status_code": 1033, "status_msg": "mysql"}},
        "upstream",
        errors.UpstreamError,
        0,
    ),
    "OpenRouter refuses the content": (
        {"error": {"code": 403, "message": "flagged", "metadata": {"flagged_input": "y"}}},
        "request",
        errors.ContentPolicyViolation,
        0,
    ),
    "OpenRouter has no credit": (
        {"error": {"code": 402, "message": "the account of ops@example.com is empty"}},
        "channel",
        errors.NoAvailableChannel,
        402,
    ),
    "OpenRouter limits the rate": (
        {"error": {"code": 429, "message": "slow"}},
        "channel",
        errors.NoAvailableChannel,
        429,
    ),
    "OpenRouter's provider is down": (
        {"error": {"code": 502, "message": "down"}},
        "upstream",
        errors.UpstreamError,
        0,
    ),
    "the prompt is too long": (
        {"error": {"code": 400, "message": "This model's maximum context length is 5 tokens"}},
        "request",
        errors.ContextTooLong,
        0,
    ),
}


def told_by_patch_response(body: dict[str, Any]) -> errors.GatewayError:
    with pytest.raises(errors.GatewayError) as raised:
        DIALECT.patch_response(encode(body), "gpt")
    return raised.value


def told_by_read_response(body: dict[str, Any]) -> errors.GatewayError:
    with pytest.raises(errors.GatewayError) as raised:
        DIALECT.read_response(encode(body))
    return raised.value


def told_by_tap(body: dict[str, Any]) -> errors.GatewayError:
    tap = DIALECT.tap(Peek("gpt", True), "gpt")
    assert tap.feed(b"data: " + encode(body) + b"\n\n") == b""
    assert tap.failure is not None
    return tap.failure


def told_by_stream_reader(body: dict[str, Any]) -> errors.GatewayError:
    (failed,) = DIALECT.stream_reader().feed(b"data: " + encode(body) + b"\n\n")
    assert isinstance(failed, Failed)
    error = errors.error_for(failed.code, failed.message)
    error.about, error.upstream_status = failed.about, failed.status
    return error


@pytest.mark.parametrize("row", TOLD)
@pytest.mark.parametrize(
    "read", [told_by_patch_response, told_by_read_response, told_by_tap, told_by_stream_reader]
)
def test_an_error_inside_of_a_success_is_the_error_that_it_tells(row: str, read: Any) -> None:
    body, about, kind, status = TOLD[row]
    error = read(body)
    assert (type(error), error.about, error.upstream_status) == (kind, about, status)
    assert "ops@example.com" not in error.message
    if kind is errors.ContentPolicyViolation:
        assert error.message in ("input new_sensitive", "output new_sensitive", "flagged")


@pytest.mark.parametrize("choices", [None, [], [{"index": 0, "message": {"content": "x"}}]])
def test_a_refusal_counts_whatever_stands_beside_it(choices: Any) -> None:
    body = {"choices": choices, "base_resp": {"status_code": 1027, "status_msg": "no"}}
    for read in (told_by_patch_response, told_by_read_response, told_by_tap, told_by_stream_reader):
        assert isinstance(read(body), errors.ContentPolicyViolation)
    fine = {
        "choices": [{"message": {"role": "assistant", "content": "x"}}],
        "base_resp": {"status_code": 0, "status_msg": ""},
    }
    assert DIALECT.read_response(encode(fine)).candidates
    assert DIALECT.patch_response(encode(fine), "gpt")[0] == encode(fine)


@pytest.mark.parametrize(
    ("status", "body", "amounts_to"),
    [
        (400, [{"error": {"message": "x", "details": [{"reason": "API_KEY_INVALID"}]}}], 401),
        (400, openai("no money", code="insufficient_quota"), 402),
        (400, openai("Model Not Exist"), 404),
        (401, openai("no"), 0),
        (429, openai("no", code="insufficient_quota"), 0),
        (400, openai("bad", param="x"), 0),
    ],
)
def test_a_channels_fault_amounts_to_a_status_where_its_own_is_another(
    status: int, body: Any, amounts_to: int
) -> None:
    assert DIALECT.read_error(status, {}, encode(body)).status == amounts_to


def test_the_request_is_told_the_providers_words_and_the_member() -> None:
    error = DIALECT.read_error(400, {}, encode(openai("temperature is too hot", param="temperature"))).error
    assert (error.message, error.param) == ("temperature is too hot", "temperature")
    plain = DIALECT.read_error(400, {}, b"just text").error
    assert plain.message == "just text"
    page = DIALECT.read_error(400, {}, b"<html>secret</html>").error
    assert "secret" not in page.message
    long = DIALECT.read_error(400, {}, encode(openai("x" * 100_000))).error
    assert len(long.message) == MESSAGE_CHARS_MAX


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "1.2"}, 2),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 2),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:28:30 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "9" * 400}, 24 * 3600),
        ({"retry-after": "²"}, None),
        ({}, None),
    ],
)
def test_when_to_try_again(headers: dict[str, str], seconds: int | None) -> None:
    failure = DIALECT.read_error(429, headers, encode(openai("slow")))
    assert failure.retry_after == seconds
    assert failure.error.retry_after == seconds


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"5",
        b"[]",
        b"[5]",
        b"{}",
        b'{"error": null}',
        b'{"error": 5}',
        b'{"error": []}',
        b"\xff",
        b"[" * 9999,
    ],
)
def test_a_strange_body_is_still_an_answer(body: bytes) -> None:
    for status in (400, 401, 404, 429, 500, 999):
        DIALECT.read_error(status, {}, body)


#: CONTRACT.md section 5.
TYPES = {
    "invalid_param": "invalid_request_error",
    "context_length_exceeded": "invalid_request_error",
    "previous_response_not_found": "invalid_request_error",
    "unsupported_feature": "invalid_request_error",
    "invalid_api_key": "authentication_error",
    "insufficient_balance": "insufficient_balance",
    "quota_exceeded": "insufficient_balance",
    "permission_denied": "permission_error",
    "model_not_in_group": "permission_error",
    "model_not_found": "invalid_request_error",
    "not_found": "invalid_request_error",
    "task_not_found": "invalid_request_error",
    "method_not_allowed": "invalid_request_error",
    "conflict": "invalid_request_error",
    "duplicate_out_task_id": "invalid_request_error",
    "request_entity_too_large": "invalid_request_error",
    "request_timeout": "invalid_request_error",
    "rate_limit_exceeded": "rate_limit_error",
    "concurrency_limit": "rate_limit_error",
    "content_policy_violation": "invalid_request_error",
    "internal_error": "api_error",
    "upstream_error": "api_error",
    "no_available_channel": "api_error",
    "timeout": "api_error",
}


@pytest.mark.parametrize("code", TYPES)
def test_the_envelope_of_every_code(code: str) -> None:
    error = errors.error_for(code, "what happened")
    assert json.loads(DIALECT.write_error(error, 400, "req_1")) == {
        "error": {"message": "what happened", "type": TYPES[code], "param": None, "code": code}
    }


def test_every_code_of_the_gateway_is_in_the_table() -> None:
    assert set(TYPES) == set(errors.Code.__args__)


def test_the_envelope_names_the_member() -> None:
    written = DIALECT.write_error(errors.InvalidRequest("x", param="messages[0].content"), 400, "req_1")
    assert json.loads(written)["error"]["param"] == "messages[0].content"
