"""What of an answer must survive a translation, in the hub's terms, and nothing else.

Dialects order and cut parts differently: chat has one text, one list of calls. So the essence of an answer is, for each
choice, its text, its reasoning with proofs, its calls, provider-side calls and (by call) their results, citations, refusal and why it
stopped, each in order; and the usage buckets.
"""

from __future__ import annotations

import json
from typing import Any

from bytespike.core import content as c
from bytespike.core.response import Candidate, ChatResponse
from bytespike.core.usage import Usage

#: Reasons that one dialect has one word for.
_REASONS = {"stop_sequence": "stop", "pause": "stop", "context_window": "length"}


def essence(response: ChatResponse) -> dict[str, Any]:
    return {
        "choices": [_candidate(candidate) for candidate in response.candidates],
        "usage": usage_essence(response.usage),
    }


def usage_essence(usage: Usage) -> dict[str, int]:
    return {
        name: getattr(usage, name)
        for name in (
            "input",
            "cache_read",
            "cache_write_5m",
            "cache_write_1h",
            "output",
            "reasoning",
            "web_searches",
        )
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    found: dict[str, Any] = {
        "text": "",
        "citations": [],
        "reasoning": [],
        "calls": [],
        "server_calls": [],
        "server_results": {},
        "refusal": "",
        "other": [],
    }
    for part in candidate.parts:
        match part:
            case c.TextPart(text=text, citations=citations):
                found["text"] += text
                found["citations"] += [_citation(citation) for citation in citations]
            case c.ReasoningPart(text=text, proof=proof, redacted=redacted):
                if text or proof:
                    found["reasoning"].append((text, proof, redacted))
            case c.ToolCallPart(name=name, arguments=arguments, kind=kind):
                found["calls"].append((part.id, name, _arguments(arguments, kind), kind))
            case c.ServerToolCallPart(name=name, arguments=arguments):
                found["server_calls"].append((part.id, name, _arguments(arguments, "function")))
            case c.ServerToolResultPart(call_id=call_id, kind=kind, content=content, is_error=is_error):
                found["server_results"][call_id] = (kind, content, is_error)
            case c.RefusalPart(text=text):
                found["refusal"] += text
            case _:
                found["other"].append(type(part).__name__)
    found["finish"] = _REASONS.get(candidate.finish.reason, candidate.finish.reason)
    return found


def _citation(citation: c.Citation) -> tuple[Any, ...]:
    return (
        citation.kind,
        citation.url,
        citation.title,
        citation.cited_text,
        citation.document_index,
        citation.proof,
        *(() if citation.kind == "web" else (citation.start, citation.end)),
    )


def _arguments(text: str, kind: str) -> Any:
    if kind == "custom":
        return text
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text
