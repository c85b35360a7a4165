"""OpenAI Chat Completions and its many compatible vendors.

- `request_in`, `conversation_in`, `content_in`, `message_in`   a client's request -> hub
- `request_out`, `conversation_out`, `history_out`, `content_out`, `thinking_out`   hub -> an upstream's request
- `response`, `answer_out`   whole answers, both ways
- `stream_in`, `choice_in`, `calls_in`   an upstream's stream -> events
- `stream_out`, `parts_out`, `frames_out`   events -> a client's stream
- `tools`, `tool_choice`, `reasoning`, `citations`, `server_tools`, `usage`, `finish`, `errors`   one subject each, both ways
- `inline_think`   reasoning that stands in the content
- `passthrough`, `tap`   same dialect on both sides: the bytes as they are
- `quirks`   what vendors do differently; NOTES.md has the facts and their sources
"""

from __future__ import annotations

from bytespike.core.dialect import Dialect
from bytespike.protocols.openai_chat.dialect import OpenAIChat

DIALECT: Dialect = OpenAIChat()
#: As upstreams with the quirk `inline_think` speak it.
INLINE_THINKING: Dialect = OpenAIChat(inline_think=True)
