"""OpenAI Responses as the simulator speaks it: the endpoint, the response object, its items.

Shapes are those of the SDK's types (`response.py`, `response_output_item.py`, `response_usage.py`) and of recorded
answers. `openai_responses_stream` has the events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator import brain, profile, proofs
from bytespike.providers.simulator.brain import Answer, Refuse, Say, Search, Thought, ToolCall
from bytespike.providers.simulator.directives import BadDirective
from bytespike.providers.simulator.exchange import CREATED, Fault, Incoming, Reply, World
from bytespike.providers.simulator.logprobs import token_logprobs
from bytespike.providers.simulator.openai_api import SERVER_ERROR, account, body_of
from bytespike.providers.simulator.openai_responses_items import REASONING_PREFIX
from bytespike.providers.simulator.openai_responses_rules import Asked, read_request
from bytespike.providers.simulator.openai_responses_stream import Events, error_frames
from bytespike.providers.simulator.schema_values import Dice

_encode = msgspec.json.encode
_NONCE_BYTES = 12
_ID_BYTES = 24
_NO_IMAGES: JSONObject = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "total_tokens": 0,
}


def responses(incoming: Incoming, world: World) -> Reply:
    """POST /v1/responses. Raises `Fault`."""
    caller = account(incoming)
    try:
        asked = read_request(body_of(incoming), incoming.headers, caller, world)
    except BadDirective as error:
        raise Fault(400, f"simulator directive: {error}") from None
    profile.fail_if_asked(asked.sim, world, incoming.ordinal)
    broken = asked.sim.error_event_after
    if broken is not None and not asked.stream:
        raise Fault(500, SERVER_ERROR, delivery=asked.sim)
    answer = brain.answer(asked.prompt, asked.sim, world.seed)
    opening = _opening(asked, _id(incoming, caller, world))
    output = list(_output(asked, answer, world.seed))
    final = _final(asked, answer, opening, output)
    if asked.stream:
        spoilt = error_frames(opening, broken) if broken is not None else b""
        return Reply(
            frames=_stream(asked, opening, output, final, world), error_frames=spoilt, delivery=asked.sim
        )
    body = _encode(final)
    _keep(asked, final, output, world, len(body))
    return Reply(body, delivery=asked.sim)


def _stream(
    asked: Asked, opening: JSONObject, output: list[JSONObject], final: JSONObject, world: World
) -> Iterator[bytes]:
    events = Events(asked.sim.piece, obfuscate=asked.obfuscate)
    yield from events.opening(opening)
    for at, item in enumerate(output):
        yield from events.item(at, item)
    last = events.closing(final)
    _keep(asked, final, output, world, len(last))
    yield last


def _keep(asked: Asked, final: JSONObject, output: list[JSONObject], world: World, size: int) -> None:
    """Store the response, if the request does not forbid it."""
    name = final["id"]
    if asked.store and isinstance(name, str):
        whole = size + len(_encode(asked.body))
        world.responses.keep(asked.account, name, asked.items, output, whole)


def _id(incoming: Incoming, caller: str, world: World) -> str:
    """The same request of the same account is the same response."""
    named = hashlib.blake2b(world.seed + caller.encode() + b"\0" + incoming.body, digest_size=_ID_BYTES)
    return f"resp_{named.hexdigest()}"


# --- the response object ---------------------------------------------------------------------------------------


def _opening(asked: Asked, name: str) -> JSONObject:
    """The response before anything has been said."""
    body = asked.body
    text = body.get("text")
    text = text if isinstance(text, dict) else {}
    reasoning = body.get("reasoning")
    reasoning = reasoning if isinstance(reasoning, dict) else {}
    return {
        "id": name,
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "model": asked.prompt.model,
        "moderation": None,
        "output": [],
        "parallel_tool_calls": asked.prompt.parallel,
        "presence_penalty": 0.0,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "prompt_cache_retention": body.get("prompt_cache_retention") or "in_memory",
        "reasoning": {
            "context": reasoning.get("context") or "current_turn",
            "effort": reasoning.get("effort"),
            "mode": reasoning.get("mode") or "standard",
            "summary": reasoning.get("summary") or reasoning.get("generate_summary"),
        },
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": body.get("service_tier") or "auto",
        "store": asked.store,
        "temperature": _given(body, "temperature", 1.0),
        "text": {
            "format": text.get("format") or {"type": "text"},
            "verbosity": text.get("verbosity") or "medium",
        },
        "tool_choice": body.get("tool_choice") or "auto",
        "tool_usage": {"image_gen": _NO_IMAGES, "web_search": {"num_requests": 0}},
        "tools": [_tool(tool) for tool in _listed(body.get("tools"))],
        "top_logprobs": body.get("top_logprobs") or 0,
        "top_p": _given(body, "top_p", 1.0),
        "truncation": body.get("truncation") or "disabled",
        "usage": None,
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _given(body: JSONObject, name: str, default: JSON) -> JSON:
    value = body.get(name)
    return default if value is None else value


def _listed(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []


def _tool(tool: JSON) -> JSON:
    """A tool as the API gives it back: with what was left out."""
    if not isinstance(tool, dict) or tool.get("type") != "function":
        return tool
    return {"description": None, "output_schema": None, "parameters": None, "strict": True, **tool}


def _final(asked: Asked, answer: Answer, opening: JSONObject, output: list[JSONObject]) -> JSONObject:
    """The response when all has been said."""
    status, reason = _status(asked, answer)
    items: list[JSON] = list(output)
    final: JSONObject = {**opening, "status": status, "output": items, "service_tier": asked.tier}
    if status == "completed":
        final["completed_at"] = CREATED + 1
    elif status == "failed":
        final["error"] = {"code": "server_error", "message": SERVER_ERROR}
    else:
        final["incomplete_details"] = {"reason": reason}
    final["tool_usage"] = {"image_gen": _NO_IMAGES, "web_search": {"num_requests": answer.searches}}
    if not asked.sim.no_usage:
        final["usage"] = _usage(asked, answer)
    return final


def _status(asked: Asked, answer: Answer) -> tuple[str, str]:
    """How the response ends, and why if it is incomplete. A directive's word is a status or such a reason."""
    wanted = asked.sim.stop_reason
    if wanted in ("completed", "failed"):
        return wanted, ""
    if wanted is not None:
        return "incomplete", wanted
    return ("incomplete", "max_output_tokens") if answer.stop == "length" else ("completed", "")


def _usage(asked: Asked, answer: Answer) -> JSONObject:
    bill = asked.bill
    return {
        "input_tokens": bill.total,
        "input_tokens_details": {
            "cache_write_tokens": bill.cached.write_short + bill.cached.write_long,
            "cached_tokens": bill.cached.read,
        },
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": answer.thinking_tokens},
        "total_tokens": bill.total + answer.output_tokens,
    }


# --- the items -------------------------------------------------------------------------------------------------


def _output(asked: Asked, answer: Answer, seed: bytes) -> Iterator[JSONObject]:
    """The items of the answer, whole. Texts that follow each other are one message."""
    name = answer.digest.hex()
    cut = answer.stop == "length"
    words: list[Say | Refuse] = []
    for at, piece in enumerate(answer.pieces):
        if isinstance(piece, Say | Refuse):
            words.append(piece)
            continue
        if words:
            yield _message(asked, answer, words, f"msg_sim{name}{at:02d}", "completed")
            words = []
        match piece:
            case Thought():
                yield _reasoning(asked, answer, piece, at, seed)
            case Search():
                yield _search(asked, piece)
            case ToolCall():
                status = "incomplete" if cut and piece is answer.pieces[-1] else "completed"
                yield _call(piece, status)
    if words or not answer.pieces:
        status = "incomplete" if cut else "completed"
        yield _message(asked, answer, words, f"msg_sim{name}{len(answer.pieces):02d}", status)


def _reasoning(asked: Asked, answer: Answer, thought: Thought, at: int, seed: bytes) -> JSONObject:
    nonce = answer.digest[: _NONCE_BYTES - 1] + bytes((at,))
    shown = not thought.redacted
    summary: list[JSON] = []
    content: list[JSON] = []
    if shown and asked.sim.reasoning_content:
        # As compatible vendors do: the thoughts themselves, not a summary.
        content.append({"type": "reasoning_text", "text": thought.text})
    elif shown and asked.sums_up:
        summary.append({"type": "summary_text", "text": thought.text})
    item: JSONObject = {
        "id": REASONING_PREFIX + nonce.hex(),
        "type": "reasoning",
        "content": content,
        "summary": summary,
    }
    if asked.encrypts:
        item["encrypted_content"] = proofs.encrypt_reasoning(seed, nonce)
    return item


def _search(asked: Asked, search: Search) -> JSONObject:
    action: JSONObject = {"type": "search", "queries": [search.query], "query": search.query}
    if asked.sources:
        action["sources"] = [{"type": "url", "url": hit.url} for hit in search.hits]
    return {
        "id": f"ws_sim{search.key}",
        "type": "web_search_call",
        "status": "completed",
        "action": action,
    }


def _call(call: ToolCall, status: str) -> JSONObject:
    kind, field, prefix = ("function_call", "arguments", "fc_sim")
    if call.free_form:
        kind, field, prefix = ("custom_tool_call", "input", "ctc_sim")
    item: JSONObject = {
        "id": prefix + call.key,
        "type": kind,
        "status": status,
        field: call.arguments,
        "call_id": f"call_sim{call.key}",
        "name": call.name,
    }
    if call.namespace:
        item["namespace"] = call.namespace
    return item


def _message(asked: Asked, answer: Answer, words: list[Say | Refuse], name: str, status: str) -> JSONObject:
    content: list[JSON] = []
    said = [piece for piece in words if isinstance(piece, Say)]
    if said or not words:
        text = "".join(piece.text for piece in said)
        content.append(
            {
                "type": "output_text",
                "annotations": list(_annotations(said)),
                "logprobs": list(_logprobs(asked, answer, text)),
                "text": text,
            }
        )
    content.extend({"type": "refusal", "refusal": piece.text} for piece in words if isinstance(piece, Refuse))
    return {"id": name, "type": "message", "status": status, "content": content, "role": "assistant"}


def _annotations(said: list[Say]) -> Iterator[JSON]:
    at = 0
    for piece in said:
        end = at + len(piece.text)
        for quote in piece.quotes:
            if quote.document is None:
                yield {
                    "type": "url_citation",
                    "end_index": end,
                    "start_index": at,
                    "title": quote.title or "",
                    "url": quote.url,
                }
        at = end


def _logprobs(asked: Asked, answer: Answer, text: str) -> Iterator[JSON]:
    if asked.logprobs is None:
        return
    for found in token_logprobs(text, asked.logprobs, Dice(answer.digest)):
        top: list[JSON] = [_logprob(token, value) for token, value in found.top]
        yield {**_logprob(found.token, found.value), "top_logprobs": top}


def _logprob(token: str, value: float) -> JSONObject:
    return {"token": token, "bytes": list(token.encode("utf-8", "replace")), "logprob": value}
