"""A channel that failed: whose fault it is, what the books call it, what the client is told."""

from __future__ import annotations

from typing import get_args

import pytest

from bytespike import errors
from bytespike.core.dialect import UpstreamFailure, reported
from bytespike.protocols.registry import DIALECTS
from bytespike.upstream.errors import Kind, TransportError, told_of
from bytespike.upstream.failures import about_of, noted, told


@pytest.mark.parametrize(
    ("error", "about"),
    [
        (errors.ContentPolicyViolation("x"), "request"),
        (errors.ContextTooLong("x"), "request"),
        (errors.RateLimited("x"), "channel"),
        (errors.UpstreamError("x"), "upstream"),
        (reported(UpstreamFailure(errors.NoAvailableChannel("x"), "channel")), "channel"),
        (reported(UpstreamFailure(errors.NotFound("x"), "request")), "request"),
    ],
)
def test_whose_fault_an_error_inside_of_a_success_is(error: errors.GatewayError, about: str) -> None:
    assert about_of(error) == about


#: What each status of an upstream comes to, whatever its body says.
NAMES = {
    401: "invalid_api_key",
    402: "insufficient_balance",
    403: "permission_denied",
    404: "not_found",
    408: "timeout",
    429: "rate_limit_exceeded",
    500: "upstream_error",
    502: "upstream_error",
    503: "overloaded",
    504: "timeout",
}


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("status", NAMES)
def test_the_books_tell_apart_what_clients_are_told_alike(name: str, status: int) -> None:
    failure = DIALECTS[name].read_error(status, {}, b"")
    assert noted(failure.error, failure.about, failure.status or status) == NAMES[status]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_broken_exchange_is_noted_as_what_it_was(kind: Kind) -> None:
    error = told_of(TransportError(kind, "x", sent=False))
    expected = "timeout" if kind.startswith("timeout") else "upstream_error"
    if kind in ("connect", "tls", "blocked"):
        expected = "connection_failed"
    assert noted(error, "upstream", 0) == expected


@pytest.mark.parametrize(
    ("error", "about", "status", "name"),
    [
        (errors.NoAvailableChannel("x"), "upstream", 529, "overloaded"),
        (errors.NoAvailableChannel("x"), "upstream", 200, "overloaded"),
        (errors.NoAvailableChannel("x"), "upstream", 500, "upstream_error"),
        (errors.UpstreamError("x"), "upstream", 429, "overloaded"),
        (errors.UpstreamError("x"), "upstream", 200, "upstream_error"),
        (errors.NoAvailableChannel("x"), "channel", 418, "no_available_channel"),
        (errors.ContextTooLong("x"), "request", 400, "context_length_exceeded"),
        (errors.NotFound("x"), "request", 404, "not_found"),
        (errors.InternalError("x"), "request", 200, "internal_error"),
    ],
)
def test_what_is_not_told_alike_keeps_its_code(
    error: errors.GatewayError, about: str, status: int, name: str
) -> None:
    assert noted(error, about, status) == name


@pytest.mark.parametrize(
    ("error", "about", "status", "code"),
    [
        (errors.UpstreamTimeout("x"), "upstream", 0, "timeout"),
        (errors.UpstreamError("x"), "upstream", 0, "upstream_error"),
        (errors.UpstreamError("x"), "upstream", 200, "upstream_error"),
        (errors.UpstreamError("x"), "upstream", 500, "no_available_channel"),
        (errors.UpstreamTimeout("x"), "upstream", 504, "no_available_channel"),
        (errors.NoAvailableChannel("the upstream cannot be reached"), "upstream", 0, "no_available_channel"),
        (errors.NoAvailableChannel("x"), "channel", 401, "no_available_channel"),
        (errors.RateLimited("x"), "channel", 200, "no_available_channel"),
    ],
)
def test_the_client_is_told_of_answers_that_broke_and_never_of_a_channels_credential(
    error: errors.GatewayError, about: str, status: int, code: str
) -> None:
    found = told(error, about, status, 7)
    assert found.code == code
    if code == "no_available_channel":
        assert found.message == "every channel for this model failed; try again shortly"
        assert found.retry_after == 7
        assert told(error, about, status, None).retry_after == 1
    else:
        assert found is error
