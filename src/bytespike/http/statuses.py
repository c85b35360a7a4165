"""Error codes to HTTP statuses (CONTRACT section 5)."""

from __future__ import annotations

from collections.abc import Mapping

STATUS: Mapping[str, int] = {
    "invalid_param": 400,
    "context_length_exceeded": 400,
    "previous_response_not_found": 400,
    "unsupported_feature": 400,
    "invalid_api_key": 401,
    "insufficient_balance": 402,
    "quota_exceeded": 402,
    "permission_denied": 403,
    "model_not_in_group": 403,
    "model_not_found": 404,
    "not_found": 404,
    "task_not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "conflict": 409,
    "duplicate_out_task_id": 409,
    "request_entity_too_large": 413,
    "rate_limit_exceeded": 429,
    "concurrency_limit": 429,
    "content_policy_violation": 451,
    "internal_error": 500,
    "upstream_error": 502,
    "no_available_channel": 503,
    "timeout": 504,
}
