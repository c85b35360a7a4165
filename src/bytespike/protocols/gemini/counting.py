"""`countTokens`: the count in an upstream's answer, and the answer for a client.

Requests are read by `request_in.read_count_request`. Source: google-genai, CountTokensResponse; recorded traffic.
"""

from __future__ import annotations

from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import UpstreamError
from bytespike.protocols.token_figures import TOKENS_MAX
from bytespike.wire import json


def read_count(body: bytes) -> int:
    """Tokens of the prompt. Raises `UpstreamError`."""
    try:
        total = json.decode_object(body).get("totalTokens", 0)
    except json.NotJSON as error:
        raise UpstreamError(f"The upstream's count is malformed: {error}.") from None
    if not isinstance(total, int) or isinstance(total, bool) or not 0 <= total <= TOKENS_MAX:
        raise UpstreamError("The upstream's count is no count.")
    return total


def write_count(total: int, cached: int = 0) -> bytes:
    """`total`: tokens of the prompt, of which `cached` come from a cache."""
    details: list[JSON] = [{"modality": "TEXT", "tokenCount": total}]
    told: JSONObject = {"totalTokens": total, "promptTokensDetails": details}
    if cached:
        told["cachedContentTokenCount"] = cached
    return json.encode(told)


def counted_request(body: bytes) -> bytes:
    """The body of a request for content in the body of `countTokens`: its `generateContentRequest`, or itself."""
    try:
        whole = json.decode_object(body)
    except json.NotJSON:
        return body
    for name in ("generateContentRequest", "generate_content_request"):
        inner = whole.get(name)
        if isinstance(inner, dict):
            return json.encode(inner)
    return body
