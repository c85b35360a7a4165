"""Every error that the gateway answers with, whatever the dialect.

    GatewayError
    ├── InvalidRequest              the body is wrong: bad JSON, missing or wrong field
    │   ├── ContextTooLong          prompt + max tokens over the window
    │   ├── NoPreviousResponse      previous_response_id names nothing that is kept for this key
    │   ├── UnsupportedFeature      the model or the target dialect cannot do what was asked
    │   └── BodyTooLarge            over the cap of its endpoint
    ├── InvalidKey                  missing, unknown, revoked or expired key
    ├── InsufficientBalance         wallet empty
    ├── QuotaExceeded               the key's lifetime quota is used up
    ├── PermissionDenied            IP denied, org paused, not your resource
    ├── ModelNotInGroup             no channel of the key's group serves it
    ├── ModelNotFound               not in the catalog
    ├── NotFound                    no such route or resource
    │   └── TaskNotFound            no such task of this key
    ├── MethodNotAllowed            the route exists, for another method
    ├── Conflict                    what is asked for does not fit the state that something is in
    │   └── DuplicateOutTaskId      the name is taken by a task with other inputs
    ├── RequestTimeout              the caller's body did not arrive in time
    ├── RateLimited                 a window is used up
    ├── ConcurrencyLimited          too many in flight
    ├── ContentPolicyViolation      the upstream's safety system refused
    ├── UpstreamError               malformed answer, broken connection
    ├── NoAvailableChannel          every channel failed or is cooling down
    ├── UpstreamTimeout             the upstream did not answer in time
    └── InternalError               ours

They know nothing of HTTP: `http/statuses.py` maps codes to statuses, each dialect's `errors.py` to its envelope.
Messages are for the caller: they say which field, which limit or which model, and what to do; never a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

Code: TypeAlias = Literal[
    "invalid_param",
    "context_length_exceeded",
    "previous_response_not_found",
    "unsupported_feature",
    "request_entity_too_large",
    "invalid_api_key",
    "insufficient_balance",
    "quota_exceeded",
    "permission_denied",
    "model_not_in_group",
    "model_not_found",
    "not_found",
    "task_not_found",
    "method_not_allowed",
    "conflict",
    "duplicate_out_task_id",
    "request_timeout",
    "rate_limit_exceeded",
    "concurrency_limit",
    "content_policy_violation",
    "internal_error",
    "upstream_error",
    "no_available_channel",
    "timeout",
]


class GatewayError(Exception):
    """An error with an answer. `param`: the field at fault, as a path. `retry_after`: seconds until it makes sense
    to try again. `code` is the stable name that clients branch on.

    `about` and `upstream_status` are set only on an error that an upstream told inside of a success or in mid-stream:
    whose fault it is, and the status that it amounts to (see `core.dialect.UpstreamFailure`).

    `details`: what the error tells programs of the dialect that it is about, in that dialect's own members; the others'
    envelopes leave it out."""

    code: ClassVar[Code] = "internal_error"
    about: str = ""
    upstream_status: int = 0
    details: Mapping[str, object] | None = None

    def __init__(self, message: str, *, param: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after


class InvalidRequest(GatewayError):
    code = "invalid_param"


class ContextTooLong(InvalidRequest):
    code = "context_length_exceeded"


class NoPreviousResponse(InvalidRequest):
    code = "previous_response_not_found"


class UnsupportedFeature(InvalidRequest):
    """`by_url`: "image" or "document" where all that is wrong is that the target takes such content by no URL, so that
    it can be asked again with the content inline (`core.media_urls`)."""

    code = "unsupported_feature"
    by_url: Literal["image", "document"] | None = None


def untaken_url(message: str, media: Literal["image", "document"], param: str) -> UnsupportedFeature:
    """The refusal of content by URL."""
    error = UnsupportedFeature(message, param=param)
    error.by_url = media
    return error


class BodyTooLarge(InvalidRequest):
    code = "request_entity_too_large"


class InvalidKey(GatewayError):
    code = "invalid_api_key"


class InsufficientBalance(GatewayError):
    code = "insufficient_balance"


class QuotaExceeded(GatewayError):
    code = "quota_exceeded"


class PermissionDenied(GatewayError):
    code = "permission_denied"


class ModelNotInGroup(GatewayError):
    code = "model_not_in_group"


class ModelNotFound(GatewayError):
    code = "model_not_found"


class NotFound(GatewayError):
    code = "not_found"


class TaskNotFound(NotFound):
    code = "task_not_found"


class MethodNotAllowed(GatewayError):
    code = "method_not_allowed"


class Conflict(GatewayError):
    code = "conflict"


class DuplicateOutTaskId(Conflict):
    code = "duplicate_out_task_id"


class RequestTimeout(GatewayError):
    code = "request_timeout"


class RateLimited(GatewayError):
    code = "rate_limit_exceeded"


class ConcurrencyLimited(GatewayError):
    code = "concurrency_limit"


class ContentPolicyViolation(GatewayError):
    code = "content_policy_violation"


class InternalError(GatewayError):
    code = "internal_error"


class UpstreamError(GatewayError):
    code = "upstream_error"


class NoAvailableChannel(GatewayError):
    code = "no_available_channel"


class UpstreamTimeout(GatewayError):
    code = "timeout"


def _by_code(cls: type[GatewayError]) -> dict[str, type[GatewayError]]:
    found: dict[str, type[GatewayError]] = {cls.code: cls}
    for child in cls.__subclasses__():
        found.update(_by_code(child))
    return found


def error_for(code: str, message: str) -> GatewayError:
    """The error of that code (an unknown code is an InternalError)."""
    return _ERRORS.get(code, InternalError)(message)


_ERRORS: dict[str, type[GatewayError]] = {**_by_code(GatewayError), "internal_error": InternalError}
