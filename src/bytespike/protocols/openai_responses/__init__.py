"""The Responses API of OpenAI: `POST /v1/responses`, and the vendors that copy it.

- `request_in`, `conversation_in`, `content_in`   a client's request -> hub
- `request_out`, `conversation_out`, `content_out`   hub -> an upstream's request
- `response`, `answer_out`, `items`, `output_in`   whole answers and their items, both ways; `plain_answer` is the short way
- `stream_in`, `items_in`   an upstream's stream -> events
- `stream_out`, `live_items`, `frames`   events -> a client's stream
- `tools`, `tool_names`, `tool_choice`, `annotations`, `logprobs`, `usage`, `finish`, `errors`   one subject each, both ways
- `envelope`   other providers' proofs and parts in this dialect's opaque field
- `echo`   what a response repeats of its request
- `passthrough`, `tap`   same dialect on both sides: the bytes as they are
- `stored`   what keeping conversations takes
- `quirks`   what vendors do differently; NOTES.md has the facts and their sources
"""

from __future__ import annotations

from bytespike.core.dialect import Dialect
from bytespike.protocols.openai_responses.dialect import OpenAIResponses
from bytespike.protocols.openai_responses.echo import echo_of

DIALECT: Dialect = OpenAIResponses()

__all__ = ["DIALECT", "echo_of"]
