"""OpenAI Chat Completions as the simulator speaks it: answers, streams, models, errors.

Shapes are those of the SDK's types (`chat_completion.py`, `chat_completion_chunk.py`, `completion_usage.py`) and of
recorded streams: a chunk with the role, the deltas, a chunk with the finish reason, a chunk with the usage if it was
asked for, [DONE]. Several choices take turns.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator import brain, profile
from bytespike.providers.simulator.brain import Answer, Quote, Refuse, Say, Thought, ToolCall
from bytespike.providers.simulator.directives import BadDirective
from bytespike.providers.simulator.exchange import CREATED, Fault, Incoming, Reply, World
from bytespike.providers.simulator.logprobs import TokenLogprob, token_logprobs
from bytespike.providers.simulator.openai_api import SERVER_ERROR, body_of
from bytespike.providers.simulator.openai_api import account as account_of
from bytespike.providers.simulator.openai_chat_rules import Asked, read_request
from bytespike.providers.simulator.schema_values import Dice

FINGERPRINT = "fp_simulator"
OBFUSCATION_CHARS = 16

_encode = msgspec.json.encode
_REASONS = {
    "end": "stop",
    "length": "length",
    "stop_sequence": "stop",
    "tool": "tool_calls",
    "refusal": "stop",
}
_ERROR_FRAME = (
    b'data: {"error":{"message":"The server had an error while processing your request.","type":"server_error",'
    b'"param":null,"code":null}}\n\n'
)
_DONE = b"data: [DONE]\n\n"


# --- the endpoints ---------------------------------------------------------------------------------------------


def completions(incoming: Incoming, world: World) -> Reply:
    """POST /v1/chat/completions. Raises `Fault`."""
    account = account_of(incoming)
    asked = _read(incoming, account, world)
    profile.fail_if_asked(asked.sim, world, incoming.ordinal)
    if asked.sim.error_event_after is not None and not asked.stream:
        raise Fault(500, SERVER_ERROR, delivery=asked.sim)
    answers = [brain.answer(asked.prompt, asked.sim, world.seed, choice) for choice in range(asked.choices)]
    if asked.stream:
        return Reply(frames=_stream(asked, answers), error_frames=_ERROR_FRAME, delivery=asked.sim)
    completion = _head(asked, answers, "chat.completion")
    completion["choices"] = [_choice(asked, answer, at) for at, answer in enumerate(answers)]
    if not asked.sim.no_usage:
        completion["usage"] = _usage(asked, answers)
    return Reply(_encode(completion), delivery=asked.sim)


def _read(incoming: Incoming, account: str, world: World) -> Asked:
    try:
        return read_request(body_of(incoming), incoming.headers, account, world)
    except BadDirective as error:
        raise Fault(400, f"simulator directive: {error}") from None


# --- the parts of an answer ------------------------------------------------------------------------------------


def _head(asked: Asked, answers: list[Answer], kind: str) -> JSONObject:
    return {
        "id": f"chatcmpl-sim{answers[0].digest.hex()[:24]}",
        "object": kind,
        "created": CREATED,
        "model": asked.prompt.model,
        "service_tier": asked.tier,
        "system_fingerprint": FINGERPRINT,
    }


def _text(answer: Answer) -> str:
    return "".join(piece.text for piece in answer.pieces if isinstance(piece, Say))


def _refusal(answer: Answer) -> str | None:
    return next((piece.text for piece in answer.pieces if isinstance(piece, Refuse)), None)


def _thoughts(answer: Answer) -> str:
    return "".join(piece.text for piece in answer.pieces if isinstance(piece, Thought) and not piece.redacted)


def _calls(answer: Answer) -> list[ToolCall]:
    return [piece for piece in answer.pieces if isinstance(piece, ToolCall)]


def _says(answer: Answer) -> bool:
    return any(isinstance(piece, Say) for piece in answer.pieces)


def _finish(asked: Asked, answer: Answer) -> str:
    return asked.sim.stop_reason or _REASONS[answer.stop]


def _choice(asked: Asked, answer: Answer, at: int) -> JSONObject:
    text, refusal = _text(answer), _refusal(answer)
    message: JSONObject = {
        "role": "assistant",
        "content": text if _says(answer) or not (refusal or _calls(answer)) else None,
        "refusal": refusal,
        "annotations": list(_annotations(answer)),
    }
    if asked.sim.reasoning_content and (thoughts := _thoughts(answer)):
        message["reasoning_content"] = thoughts
    calls = [_call(call) for call in _calls(answer)]
    if calls:
        message["tool_calls"] = list(calls)
    return {
        "index": at,
        "message": message,
        "logprobs": _logprobs(asked, answer, text, refusal),
        "finish_reason": _finish(asked, answer),
    }


def _call(call: ToolCall) -> JSONObject:
    if call.free_form:
        return {
            "id": _call_id(call),
            "type": "custom",
            "custom": {"name": call.name, "input": call.arguments},
        }
    function: JSONObject = {"name": call.name, "arguments": call.arguments}
    return {"id": _call_id(call), "type": "function", "function": function}


def _call_id(call: ToolCall) -> str:
    return f"call_sim{call.key}"


def _annotations(answer: Answer) -> Iterator[JSONObject]:
    at = 0
    for piece in answer.pieces:
        if isinstance(piece, Say):
            for quote in piece.quotes:
                if quote.document is None:
                    yield _annotation(quote, at, at + len(piece.text))
            at += len(piece.text)


def _annotation(quote: Quote, start: int, end: int) -> JSONObject:
    place: JSONObject = {"start_index": start, "end_index": end, "title": quote.title or "", "url": quote.url}
    return {"type": "url_citation", "url_citation": place}


def _usage(asked: Asked, answers: list[Answer]) -> JSONObject:
    bill = asked.bill
    output = sum(answer.output_tokens for answer in answers)
    return {
        "prompt_tokens": bill.total,
        "completion_tokens": output,
        "total_tokens": bill.total + output,
        "prompt_tokens_details": {
            "cached_tokens": bill.cached.read,
            "audio_tokens": 0,
            "cache_write_tokens": bill.cached.write_short + bill.cached.write_long,
        },
        "completion_tokens_details": {
            "reasoning_tokens": sum(answer.thinking_tokens for answer in answers),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _logprobs(asked: Asked, answer: Answer, text: str, refusal: str | None) -> JSONObject | None:
    if asked.logprobs is None or not (text or refusal):
        return None
    dice = Dice(answer.digest)
    said: JSON = list(_token_logprobs(text, asked.logprobs, dice)) if text else None
    refused: JSON = list(_token_logprobs(refusal, asked.logprobs, dice)) if refusal else None
    return {"content": said, "refusal": refused}


def _token_logprobs(text: str, top: int, dice: Dice) -> Iterator[JSONObject]:
    for found in token_logprobs(text, top, dice):
        yield _row(found)


def _row(found: TokenLogprob) -> JSONObject:
    top: list[JSON] = [_logprob(token, value) for token, value in found.top]
    return {**_logprob(found.token, found.value), "top_logprobs": top}


def _logprob(token: str, value: float) -> JSONObject:
    return {"token": token, "logprob": value, "bytes": list(token.encode("utf-8", "replace"))}


# --- the stream ------------------------------------------------------------------------------------------------


class _Chunks:
    """Writes the chunks of one stream: all begin alike, and differ in their choice."""

    __slots__ = ("_head", "_mask", "_tail")

    def __init__(self, asked: Asked, answers: list[Answer]) -> None:
        head = _encode(_head(asked, answers, "chat.completion.chunk"))
        self._head = b"data: " + head[:-1] + b',"choices":['
        self._tail = b'],"usage":null' if asked.stream_usage and not asked.sim.no_usage else b"]"
        self._mask = answers[0].digest.hex() if asked.obfuscate else ""

    def chunk(self, at: int, delta: bytes, logprobs: bytes = b"null", finish: bytes = b"null") -> bytes:
        choice = b'{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b}' % (at, delta, logprobs, finish)
        return b"%b%b%b%b}\n\n" % (self._head, choice, self._tail, self._obfuscation(len(delta)))

    def usage(self, usage: JSONObject) -> bytes:
        return b'%b],"usage":%b%b}\n\n' % (self._head, _encode(usage), self._obfuscation(OBFUSCATION_CHARS))

    def _obfuscation(self, size: int) -> bytes:
        """Padding that evens out the sizes of chunks, from the answer's own digest."""
        if not self._mask:
            return b""
        return b',"obfuscation":"%b"' % self._mask[: -size % OBFUSCATION_CHARS].encode()


def _stream(asked: Asked, answers: list[Answer]) -> Iterator[bytes]:
    chunks = _Chunks(asked, answers)
    rows = [_deltas(asked, answer) for answer in answers]
    for at, answer in enumerate(answers):
        content: JSON = "" if _says(answer) or not _calls(answer) else None
        yield chunks.chunk(at, _encode({"role": "assistant", "content": content, "refusal": None}))
    open_rows = list(enumerate(rows))
    while open_rows:
        still_open: list[tuple[int, Iterator[tuple[bytes, bytes]]]] = []
        for at, row in open_rows:
            delta = next(row, None)
            if delta is None:
                yield chunks.chunk(at, b"{}", finish=_encode(_finish(asked, answers[at])))
            else:
                yield chunks.chunk(at, delta[0], delta[1])
                still_open.append((at, row))
        open_rows = still_open
    if asked.stream_usage and not asked.sim.no_usage:
        yield chunks.usage(_usage(asked, answers))
    yield _DONE


def _deltas(asked: Asked, answer: Answer) -> Iterator[tuple[bytes, bytes]]:
    """The deltas of a choice and their log probabilities, both as JSON."""
    size = asked.sim.piece
    if asked.sim.reasoning_content:
        for part in _parts(_thoughts(answer), size):
            yield b'{"reasoning_content":%b}' % _encode(part), b"null"
    dice = Dice(answer.digest)
    for name, text in (("content", _text(answer)), ("refusal", _refusal(answer) or "")):
        for part in _parts(text, size):
            logprobs = b"null"
            if asked.logprobs is not None:
                figures: JSONObject = {"content": None, "refusal": None}
                figures[name] = list(_token_logprobs(part, asked.logprobs, dice))
                logprobs = _encode(figures)
            yield b'{"%b":%b}' % (name.encode(), _encode(part)), logprobs
    annotations = list(_annotations(answer))
    if annotations:
        yield _encode({"annotations": annotations}), b"null"
    for index, call in enumerate(_calls(answer)):
        yield from _call_deltas(index, call, size)


def _call_deltas(index: int, call: ToolCall, size: int) -> Iterator[tuple[bytes, bytes]]:
    kind, field = ("custom", "input") if call.free_form else ("function", "arguments")
    inner: JSONObject = {"name": call.name, field: ""}
    opening: JSONObject = {"index": index, "id": _call_id(call), "type": kind, kind: inner}
    yield _encode({"tool_calls": [opening]}), b"null"
    head = b'{"tool_calls":[{"index":%d,"%b":{"%b":' % (index, kind.encode(), field.encode())
    for part in _parts(call.arguments, size):
        yield head + _encode(part) + b"}}]}", b"null"


def _parts(text: str, size: int) -> Iterator[str]:
    for at in range(0, len(text), size):
        yield text[at : at + size]
