"""The answer that most answers are: one text, with nothing that needs a second look, written from ready-made pieces.

A response object has some thirty members, and all but a few of them are the same each time. `response.write_response`
builds and encodes them all; what is written here is byte for byte the same, which tests hold, for answers that consist of
one text without citations, log probabilities or members of this dialect's own.
"""

from __future__ import annotations

from typing import Final

from bytespike.core import content as c
from bytespike.core.json_types import JSONObject
from bytespike.core.response import ChatResponse
from bytespike.core.usage import Usage
from bytespike.protocols.openai_responses.echo import Echo
from bytespike.protocols.openai_responses.names import NAME
from bytespike.protocols.openai_responses.usage import UNKNOWN
from bytespike.wire import json

_TEXT_PART: Final = c.TextPart


def is_plain(response: ChatResponse) -> bool:
    """Whether the answer can be written here. Of its end only the regular one is plain."""
    if len(response.candidates) != 1 or NAME in response.extras:
        return False
    candidate = response.candidates[0]
    if len(candidate.parts) != 1 or candidate.logprobs is not None or candidate.finish.reason != "stop":
        return False
    part = candidate.parts[0]
    if type(part) is not _TEXT_PART or part.citations or NAME in part.extras:
        return False
    usage = response.usage
    return not (usage.web_searches or usage.cache_write_1h or NAME in usage.extras)


def plain_body(response: ChatResponse, head: JSONObject, tail: str, echo: Echo) -> bytes:
    """The body of a plain answer. `head`: id, created_at, model. `tail`: of the message's id; it needs no escapes."""
    part = response.candidates[0].parts[0]
    text = part.text if isinstance(part, c.TextPart) else ""
    encode = json.encode
    return b"".join(
        (
            b'{"id":',
            encode(head["id"]),
            b',"object":"response","created_at":',
            encode(head["created_at"]),
            b',"status":"completed","error":null,"incomplete_details":null,"model":',
            encode(head["model"]),
            b',"output":[{"type":"message","role":"assistant","id":"msg_',
            tail.encode(),
            b'_0","status":"completed","content":[{"type":"output_text","annotations":[],"text":',
            encode(text),
            b',"logprobs":[]}]}]',
            echo.text(),
            b',"usage":',
            _usage(response.usage),
            b"}",
        )
    )


def _usage(usage: Usage) -> bytes:
    if usage == UNKNOWN:
        return b"null"
    prompt = usage.prompt_total
    output = usage.output
    reasoning = usage.reasoning
    return (
        b'{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d,"cache_write_tokens":%d},"output_tokens":%d,'
        b'"output_tokens_details":{"reasoning_tokens":%d},"total_tokens":%d,"reasoning_tokens":%d}'
        % (
            prompt,
            usage.cache_read,
            usage.cache_write_5m,
            output,
            reasoning,
            prompt + output,
            reasoning,
        )
    )
