"""Anthropic Messages as the simulator speaks it: answers, streams, token counts, models, errors.

Shapes are those of the SDK's types (`message.py`, `raw_*_event.py`, `usage.py`, `model_info.py`) and of recorded
streams: message_start, a ping after the first block has begun, the blocks, message_delta with the final usage,
message_stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator import brain, profile, proofs
from bytespike.providers.simulator.anthropic_rules import Asked, check_version, read_request
from bytespike.providers.simulator.brain import Answer, Piece, Quote, Refuse, Say, Search, Thought, ToolCall
from bytespike.providers.simulator.directives import BadDirective
from bytespike.providers.simulator.exchange import (
    BAD_KEY,
    LIMITED_KEY,
    LIMITED_RETRY_AFTER_S,
    POOR_KEY,
    Dialect,
    Fault,
    Incoming,
    Reply,
    World,
)
from bytespike.providers.simulator.prefix_cache import Bill

MODELS = ("simulator-large", "simulator-small")
MODELS_PAGE = 20

_encode = msgspec.json.encode
_REASONS = {
    "end": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool": "tool_use",
    "refusal": "refusal",
}
#: Error types by status (SDK `shared/error_type.py`, and the API's documentation for 413).
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OVERLOADED = _encode({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
_ERROR_FRAME = b"event: error\ndata: " + _OVERLOADED + b"\n\n"
_PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def error_body(fault: Fault, request_id: str) -> bytes:
    """The error envelope."""
    kind = fault.kind or _TYPES.get(
        fault.status, "api_error" if fault.status >= 500 else "invalid_request_error"
    )
    error: JSONObject = {"type": kind, "message": fault.message}
    if fault.details:
        error["details"] = fault.details[0]
    return _encode({"type": "error", "error": error, "request_id": request_id})


DIALECT = Dialect(name="anthropic", id_header="request-id", error_body=error_body)


# --- the endpoints ---------------------------------------------------------------------------------------------


def messages(incoming: Incoming, world: World) -> Reply:
    """POST /v1/messages. Raises `Fault`."""
    asked = _read(incoming, world, counting=False)
    profile.fail_if_asked(asked.sim, world, incoming.ordinal)
    if asked.sim.error_event_after is not None and not asked.stream:
        raise Fault(529, "Overloaded", delivery=asked.sim)
    answer = brain.answer(asked.prompt, asked.sim, world.seed)
    if asked.stream:
        return Reply(frames=_stream(asked, answer, world.seed), error_frames=_ERROR_FRAME, delivery=asked.sim)
    message = _message(asked, answer)
    message["content"] = [
        block for piece in answer.pieces for block in _blocks(piece, asked, answer, world.seed)
    ]
    message |= _ending(asked, answer)
    message["usage"] = _usage(asked.bill, answer, answer.output_tokens)
    return Reply(_encode(message), delivery=asked.sim)


def count_tokens(incoming: Incoming, world: World) -> Reply:
    """POST /v1/messages/count_tokens: all input tokens, cached or not. Raises `Fault`."""
    asked = _read(incoming, world, counting=True)
    profile.fail_if_asked(asked.sim, world, incoming.ordinal)
    return Reply(_encode({"input_tokens": asked.prompt.input_tokens}), delivery=asked.sim)


def models(incoming: Incoming, world: World) -> Reply:
    """GET /v1/models, and one of them by its id: every id exists. Raises `Fault`."""
    del world
    _account(incoming)
    check_version(incoming.headers)
    if incoming.model:
        return Reply(_encode(_model(incoming.model)))
    query = parse_qs(incoming.query)
    limit = query.get("limit", [str(MODELS_PAGE)])[-1]
    if not limit.isdecimal() or not 1 <= int(limit) <= 1000:
        raise Fault(400, "limit: Input should be between 1 and 1000")
    names = list(MODELS)
    after = query.get("after_id", [""])[-1]
    if after in names:
        names = names[names.index(after) + 1 :]
    page = names[: int(limit)]
    return Reply(
        _encode(
            {
                "data": [_model(name) for name in page],
                "has_more": len(page) < len(names),
                "first_id": page[0] if page else None,
                "last_id": page[-1] if page else None,
            }
        )
    )


def _model(name: str) -> JSONObject:
    return {
        "type": "model",
        "id": name,
        "display_name": f"{name} (simulator)",
        "created_at": "2026-10-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
    }


def _account(incoming: Incoming) -> str:
    """The caller's key. Raises `Fault`."""
    key = incoming.key(x_api_key=True)
    if not key:
        raise Fault(401, "x-api-key header is required")
    if key == BAD_KEY:
        raise Fault(401, "invalid x-api-key")
    if key == POOR_KEY:
        raise Fault(402, "Your credit balance is too low to access the simulator.")
    if key == LIMITED_KEY:
        message = "This request would exceed the rate limit of the simulator's limited key."
        raise Fault(429, message, retry_after=LIMITED_RETRY_AFTER_S)
    return key


def _read(incoming: Incoming, world: World, *, counting: bool) -> Asked:
    account = _account(incoming)
    check_version(incoming.headers)
    try:
        body: JSON = msgspec.json.decode(incoming.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Fault(400, "The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise Fault(400, "Input should be an object")
    try:
        return read_request(body, incoming.headers, account, world, counting=counting)
    except BadDirective as error:
        raise Fault(400, f"simulator directive: {error}") from None


# --- the parts of an answer ------------------------------------------------------------------------------------


def _message(asked: Asked, answer: Answer) -> JSONObject:
    """A message without its content, ending and usage."""
    return {
        "model": asked.prompt.model,
        "id": f"msg_sim{answer.digest.hex()[:24]}",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }


def _ending(asked: Asked, answer: Answer) -> JSONObject:
    details: JSONObject | None = None
    for piece in answer.pieces:
        if isinstance(piece, Refuse):
            details = {"type": "refusal", "category": None, "explanation": piece.text}
    return {
        "stop_reason": asked.sim.stop_reason or _REASONS[answer.stop],
        "stop_sequence": answer.stop_sequence,
        "stop_details": details,
    }


def _usage(bill: Bill, answer: Answer, output: int) -> JSONObject:
    """All figures; `output` is what has been produced so far."""
    usage = _input_usage(bill)
    usage |= {
        "cache_creation": {
            "ephemeral_5m_input_tokens": bill.cached.write_short,
            "ephemeral_1h_input_tokens": bill.cached.write_long,
        },
        "output_tokens": output,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }
    return usage | _output_details(answer) if output == answer.output_tokens else usage


def _input_usage(bill: Bill) -> JSONObject:
    return {
        "input_tokens": bill.fresh,
        "cache_creation_input_tokens": bill.cached.write_short + bill.cached.write_long,
        "cache_read_input_tokens": bill.cached.read,
    }


def _output_details(answer: Answer) -> JSONObject:
    details: JSONObject = {}
    if answer.thinking_tokens:
        details["output_tokens_details"] = {"thinking_tokens": answer.thinking_tokens}
    if answer.searches:
        details["server_tool_use"] = {"web_search_requests": answer.searches, "web_fetch_requests": 0}
    return details


def _blocks(piece: Piece, asked: Asked, answer: Answer, seed: bytes) -> list[JSONObject]:
    """The content blocks of a piece, whole."""
    match piece:
        case Thought(redacted=True):
            return [{"type": "redacted_thinking", "data": proofs.redact(seed, answer.digest)}]
        case Thought(text=text):
            shown = text if asked.shows_thinking else ""
            return [
                {"type": "thinking", "thinking": shown, "signature": proofs.sign(seed, answer.digest, shown)}
            ]
        case Say(text=text, quotes=()):
            return [{"type": "text", "text": text}]
        case Say(text=text, quotes=quotes):
            return [{"citations": [_citation(quote) for quote in quotes], "type": "text", "text": text}]
        case ToolCall():
            return [
                {
                    "type": "tool_use",
                    "id": f"toolu_sim{piece.key}",
                    "name": piece.name,
                    "input": _arguments(piece.arguments),
                    "caller": {"type": "direct"},
                }
            ]
        case Search():
            return _search_blocks(piece)
        case Refuse():
            # A refusal is told in `stop_details`, not in words.
            return []


def _arguments(text: str) -> JSONObject:
    """A call's input. Arguments that were cut short, or are no object, become an empty one, as in the API."""
    try:
        value: JSON = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _search_blocks(search: Search) -> list[JSONObject]:
    call = f"srvtoolu_sim{search.key}"
    hits: list[JSON] = [
        {
            "type": "web_search_result",
            "title": hit.title,
            "url": hit.url,
            "encrypted_content": f"sim-content-{search.key}",
            "page_age": None,
        }
        for hit in search.hits
    ]
    return [
        {"type": "server_tool_use", "id": call, "name": "web_search", "input": {"query": search.query}},
        {"type": "web_search_tool_result", "tool_use_id": call, "content": hits},
    ]


def _citation(quote: Quote) -> JSONObject:
    if quote.document is None:
        return {
            "type": "web_search_result_location",
            "cited_text": quote.cited_text,
            "url": quote.url,
            "title": quote.title,
            "encrypted_index": "sim-index",
        }
    place: JSONObject = {
        "cited_text": quote.cited_text,
        "document_index": quote.document,
        "document_title": quote.title,
    }
    if quote.end == 0:
        return {"type": "page_location", **place, "start_page_number": 1, "end_page_number": 2}
    return {"type": "char_location", **place, "start_char_index": quote.start, "end_char_index": quote.end}


# --- the stream ------------------------------------------------------------------------------------------------


def _frame(name: str, event: JSONObject) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(event))


def _stream(asked: Asked, answer: Answer, seed: bytes) -> Iterator[bytes]:
    opening = _message(asked, answer)
    opening["usage"] = _usage(asked.bill, answer, 1)
    yield _frame("message_start", {"type": "message_start", "message": opening})
    index = 0
    for piece in answer.pieces:
        for block in _blocks(piece, asked, answer, seed):
            raw = piece.arguments if isinstance(piece, ToolCall) else None
            yield from _stream_block(index, block, raw, asked.sim.piece)
            index += 1
    delta: JSONObject = {"type": "message_delta", "delta": _ending(asked, answer)}
    delta["usage"] = {
        **_input_usage(asked.bill),
        "output_tokens": answer.output_tokens,
        **_output_details(answer),
    }
    yield _frame("message_delta", delta)
    yield _frame("message_stop", {"type": "message_stop"})


def _stream_block(index: int, block: JSONObject, raw: str | None, size: int) -> Iterator[bytes]:
    """The events of one block. `raw`: a call's arguments as they were written, valid or not."""
    start, deltas = _unpacked(block, raw, size)
    yield _frame(
        "content_block_start", {"type": "content_block_start", "index": index, "content_block": start}
    )
    if index == 0:
        yield _PING
    head = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":' % index
    )
    for kind, field, value in deltas:
        yield b'%b"%b","%b":%b}}\n\n' % (head, kind, field, _encode(value))
    yield _frame("content_block_stop", {"type": "content_block_stop", "index": index})


def _unpacked(
    block: JSONObject, raw: str | None, size: int
) -> tuple[JSONObject, Iterator[tuple[bytes, bytes, JSON]]]:
    """A block as it begins, and the deltas (type, field, value) that fill it."""
    match block:
        case {"type": "text", "text": str(text)}:
            cited = block.get("citations")
            citations = cited if isinstance(cited, list) else []
            start = {**block, "text": "", "citations": []} if citations else {**block, "text": ""}
            return start, _text_deltas(text, citations, size)
        case {"type": "thinking", "thinking": str(text), "signature": signature}:
            return {**block, "thinking": "", "signature": ""}, _thinking_deltas(text, signature, size)
        case {"type": "tool_use" | "server_tool_use", "input": dict(arguments)}:
            text = raw if raw is not None else _encode(arguments).decode()
            return {**block, "input": {}}, _input_deltas(text, size)
        case _:
            return block, iter(())


def _text_deltas(text: str, citations: list[JSON], size: int) -> Iterator[tuple[bytes, bytes, JSON]]:
    for citation in citations:
        yield b"citations_delta", b"citation", citation
    for at in range(0, len(text), size):
        yield b"text_delta", b"text", text[at : at + size]


def _thinking_deltas(text: str, signature: JSON, size: int) -> Iterator[tuple[bytes, bytes, JSON]]:
    for at in range(0, len(text), size):
        yield b"thinking_delta", b"thinking", text[at : at + size]
    yield b"signature_delta", b"signature", signature


def _input_deltas(text: str, size: int) -> Iterator[tuple[bytes, bytes, JSON]]:
    yield b"input_json_delta", b"partial_json", ""
    if text != "{}":
        for at in range(0, len(text), size):
            yield b"input_json_delta", b"partial_json", text[at : at + size]
