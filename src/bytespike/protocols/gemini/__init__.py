"""Gemini native: `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`.

- `request_in`, `config_in`, `parts_in`, `media_in`   a client's request -> hub
- `request_out`, `contents_out`, `parts_out`   hub -> an upstream's request
- `response`, `answer_out`   whole answers, both ways
- `stream_in`, `candidate_in`, `partial_args`   an upstream's stream -> events
- `stream_out`, `frames_out`   events -> a client's stream
- `framing`   server-sent events and the JSON array
- `tools`, `schemas`, `thinking`, `call_ids`, `grounding`, `logprobs`, `usage`, `finish`, `errors`   one subject each
- `envelope`   other providers' proofs in our opaque field
- `passthrough`, `tap`   same dialect on both sides: the bytes as they are
- `counting`, `models`   countTokens and model lists
- `fields`, `schema`, `names`, `losses`   members of JSON objects, typed chunks, names and quirks, notices

NOTES.md has the facts with their sources, and our decisions.
"""

from __future__ import annotations

from bytespike.core.dialect import Dialect
from bytespike.protocols.gemini.dialect import Gemini

DIALECT: Dialect = Gemini()
