"""What is not served, and says so (CONTRACT section 1)."""

from __future__ import annotations

from bytespike.errors import NotFound, PermissionDenied
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.request import Inbound

#: Surfaces of the vendors' APIs that clients may expect and this gateway does not have.
NOT_SERVED = (
    "/v1/embeddings",
    "/v1/audio/",
    "/v1/rerank",
    "/v1/assistants",
    "/v1/files",
    "/v1/vector_stores",
    "/v1/threads",
    "/v1/batches",
    "/v1/fine_tuning/",
    "/v1/moderations",
    "/v1/completions",
    "/v1/messages/batches",
)
#: In the query of every signed URL (`media/objects/urls.py`).
_SIGNED = b"&signature="
SERVED = (
    "POST /v1/messages, /v1/messages/count_tokens, /v1/chat/completions, /v1/responses, "
    "/v1beta/models/{model}:generateContent, /v1/images/generations, /v1/images/edits, /v1/tasks/submit, /v1/videos; "
    "GET /v1/models, /v1/usage, /v1/balance"
)


async def absent(inbound: Inbound, exchange: Exchange) -> None:
    """Raises NotFound, with what is served instead; PermissionDenied for a signed URL whose beginning has been changed."""
    path = inbound.path
    if _SIGNED in inbound.query:
        raise PermissionDenied("this URL was not signed here, or has been changed")
    if path.startswith(NOT_SERVED):
        raise NotFound(f"ByteSpike does not serve {path[:100]}; it serves {SERVED}")
    raise NotFound(f"no such route: {inbound.method} {path[:100]}; served are {SERVED}")
