"""The answer to a turn that only prepares (`generate: false` on a socket): a response without output."""

from __future__ import annotations

from bytespike.core.json_types import JSONObject
from bytespike.protocols.openai_responses.echo import DEFAULTS, echo_of


def warm_events(body: bytes, response_id: str, model: str, created: int) -> list[JSONObject]:
    """The events of such a response: created and completed. `created` in Unix seconds. Nothing was used."""
    usage: JSONObject = {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "reasoning_tokens": 0,
        "total_tokens": 0,
    }
    response: JSONObject = {
        **DEFAULTS,
        **echo_of(body),
        "id": response_id,
        "object": "response",
        "created_at": created,
        "model": model,
        "status": "completed",
        "completed_at": created,
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": usage,
    }
    begun: JSONObject = {**response, "status": "in_progress", "completed_at": None, "usage": None}
    return [
        {"type": "response.created", "sequence_number": 0, "response": begun},
        {"type": "response.completed", "sequence_number": 1, "response": response},
    ]
