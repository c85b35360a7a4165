"""Gemini as the simulator speaks it: answers, streams, token counts, models.

Shapes are those of the SDK's types (`GenerateContentResponse` and what it holds) and of recorded answers. A stream is a
row of whole responses with a part of the answer each: events with `?alt=sse`, else the elements of one JSON array.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator import brain, gemini_errors, gemini_operations, profile, proofs, tokens
from bytespike.providers.simulator.brain import Answer, Refuse, Say, Thought, ToolCall
from bytespike.providers.simulator.directives import FLAG, BadDirective
from bytespike.providers.simulator.exchange import Fault, Incoming, Reply, World
from bytespike.providers.simulator.gemini_grounding import grounding
from bytespike.providers.simulator.gemini_rules import Asked, read_count, read_request
from bytespike.providers.simulator.logprobs import token_logprobs
from bytespike.providers.simulator.schema_values import Dice

DIALECT = gemini_errors.DIALECT
MODELS = ("simulator-large", "simulator-small")
MODELS_PATH = "/models"
INPUT_TOKENS_MAX = 1_048_576
OUTPUT_TOKENS_MAX = 65_536
ACTION = re.compile(r"(?:/gemini)?/v1(?:beta)?/models/[^:]+:[A-Za-z]+")
_VERSION = re.compile(r"/v1(?:beta|alpha)?(/.*)")
_ARRAY_TYPE = "application/json; charset=UTF-8"
_SSE_TYPE = "text/event-stream"

_encode = msgspec.json.encode
_REASONS = {
    "end": "STOP",
    "length": "MAX_TOKENS",
    "stop_sequence": "STOP",
    "tool": "STOP",
    "refusal": "SAFETY",
}


def route(path: str) -> str:
    """What a path asks for: `:generateContent` and the like of a model, or `/models`."""
    versioned = _VERSION.fullmatch(path)
    if versioned is None:
        return path
    rest = versioned.group(1)
    if rest == MODELS_PATH:
        return rest
    media = gemini_operations.route(rest)
    if media != rest:
        return media
    if not rest.startswith(MODELS_PATH + "/"):
        return path
    _, found, action = rest.partition(":")
    return f":{action}" if found else MODELS_PATH


def _model_of(incoming: Incoming) -> str:
    return incoming.path.partition(f"{MODELS_PATH}/")[2].partition(":")[0]


# --- the endpoints ---------------------------------------------------------------------------------------------


def generate(incoming: Incoming, world: World) -> Reply:
    """POST /v1beta/models/{model}:generateContent. Raises `Fault`."""
    asked = _read(incoming, world, read_request)
    profile.fail_if_asked(asked.sim, world, incoming.ordinal)
    if asked.sim.error_event_after is not None:
        raise Fault(500, gemini_errors.BROKEN, delivery=asked.sim)
    answers = _answers(asked, world)
    if _blocks(asked):
        return Reply(_encode(_blocked(asked, answers)), delivery=asked.sim)
    candidates: list[JSON] = [_candidate(asked, answer, at, world.seed) for at, answer in enumerate(answers)]
    response = {"candidates": candidates, **_tail(asked, answers, answers)}
    return Reply(_encode(response), delivery=asked.sim)


def stream(incoming: Incoming, world: World) -> Reply:
    """POST /v1beta/models/{model}:streamGenerateContent. Raises `Fault`."""
    if parse_qs(incoming.query).get("alt", [""])[-1] == "sse":
        asked = _stream_request(incoming, world)
        broken = b"data: " + _broken() + b"\r\n\r\n"
        frames = (b"data: " + _encode(chunk) + b"\r\n\r\n" for chunk in _chunks(asked, world))
        return Reply(frames=frames, error_frames=broken, delivery=asked.sim, stream_type=_SSE_TYPE)
    try:
        asked = _stream_request(incoming, world)
    except Fault as fault:
        # In this form an error is an element of the array like any other.
        body = b"[" + _encode(gemini_errors.error(fault)) + b"]"
        return Reply(body, status=fault.status, delivery=fault.delivery)
    opening = b",\r\n" if asked.sim.error_event_after else b"["
    broken = opening + _broken() + b"\n]"
    return Reply(
        frames=_array(_chunks(asked, world)),
        error_frames=broken,
        delivery=asked.sim,
        stream_type=_ARRAY_TYPE,
    )


def count_tokens(incoming: Incoming, world: World) -> Reply:
    """POST /v1beta/models/{model}:countTokens. Raises `Fault`."""
    asked = _read(incoming, world, read_count)
    profile.fail_if_asked(asked.sim, world, incoming.ordinal)
    total = asked.prompt.input_tokens
    counted: JSONObject = {"totalTokens": total, "promptTokensDetails": _modality(total)}
    return Reply(_encode(counted), delivery=asked.sim)


def models(incoming: Incoming, world: World) -> Reply:
    """GET /v1beta/models, and one of them by its name: every name exists. Raises `Fault`."""
    del world
    gemini_errors.account(incoming)
    name = _model_of(incoming)
    if name:
        return Reply(_encode(_model(name)))
    return Reply(_encode({"models": [_model(name) for name in MODELS]}))


def _model(name: str) -> JSONObject:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": f"{name} (simulator)",
        "description": "The simulator, not a real model.",
        "inputTokenLimit": INPUT_TOKENS_MAX,
        "outputTokenLimit": OUTPUT_TOKENS_MAX,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1,
        "maxTemperature": 2,
        "thinking": True,
    }


def _read(incoming: Incoming, world: World, reader: Callable[..., Asked]) -> Asked:
    gemini_errors.account(incoming)
    try:
        body: JSON = msgspec.json.decode(incoming.body) if incoming.body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise gemini_errors.refuse("Invalid JSON payload received. Unexpected token.") from None
    if not isinstance(body, dict):
        raise gemini_errors.refuse(
            'Invalid JSON payload received. Unknown name "": Root element must be a message.'
        )
    try:
        return reader(body, incoming.headers, _model_of(incoming), world)
    except BadDirective as error:
        raise Fault(400, f"simulator directive: {error}") from None


def _stream_request(incoming: Incoming, world: World) -> Asked:
    asked = _read(incoming, world, read_request)
    profile.fail_if_asked(asked.sim, world, incoming.ordinal)
    return asked


def _broken() -> bytes:
    return _encode(gemini_errors.error(Fault(500, gemini_errors.BROKEN)))


# --- the parts of an answer ------------------------------------------------------------------------------------


def _answers(asked: Asked, world: World) -> list[Answer]:
    return [brain.answer(asked.prompt, asked.sim, world.seed, choice) for choice in range(asked.candidates)]


def _blocks(asked: Asked) -> bool:
    """The prompt itself is refused; a refusal in words is a candidate's."""
    return asked.sim.refusal == FLAG


def _blocked(asked: Asked, answers: list[Answer]) -> JSONObject:
    return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **_tail(asked, answers, [])}


def _tail(asked: Asked, answers: list[Answer], counted: list[Answer]) -> JSONObject:
    """What every response ends with; `counted` are the answers that have been given by then."""
    tail: JSONObject = {}
    if not asked.sim.no_usage:
        output = sum(answer.output_tokens - answer.thinking_tokens for answer in counted)
        thoughts = sum(answer.thinking_tokens for answer in counted)
        tail["usageMetadata"] = _usage(asked, output, thoughts)
    tail["modelVersion"] = asked.prompt.model
    tail["responseId"] = f"sim{answers[0].digest.hex()[:20]}"
    return tail


def _usage(asked: Asked, output: int, thoughts: int) -> JSONObject:
    bill = asked.bill
    usage: JSONObject = {"promptTokenCount": bill.total}
    if output:
        usage["candidatesTokenCount"] = output
    usage["totalTokenCount"] = bill.total + output + thoughts
    if bill.cached.read:
        usage["cachedContentTokenCount"] = bill.cached.read
        usage["cacheTokensDetails"] = _modality(bill.cached.read)
    usage["promptTokensDetails"] = _modality(bill.total)
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    return usage


def _modality(count: int) -> list[JSON]:
    return [{"modality": "TEXT", "tokenCount": count}]


def _candidate(asked: Asked, answer: Answer, at: int, seed: bytes) -> JSONObject:
    content: JSONObject = {"role": "model"}
    parts = _parts(asked, answer, seed)
    if parts:
        content["parts"] = [*parts]
    return {"content": content, **_ending(asked, answer), "index": at}


def _parts(asked: Asked, answer: Answer, seed: bytes) -> list[JSONObject]:
    """The parts of an answer, whole: thoughts, text, calls. A proof stands on the first call, else on the text."""
    thoughts = [piece for piece in answer.pieces if isinstance(piece, Thought) and not piece.redacted]
    parts: list[JSONObject] = [
        {"text": thought.text, "thought": True} for thought in thoughts if asked.shows_thoughts
    ]
    text = _text(asked, answer)
    calls = [_call(piece) for piece in answer.pieces if isinstance(piece, ToolCall)]
    proof: JSONObject = {"thoughtSignature": proofs.sign_thought(seed, answer.digest)}
    if text or (not calls and answer.stop != "refusal" and thoughts):
        parts.append({"text": text, **proof} if thoughts and not calls else {"text": text})
    found = [call for call in calls if call is not None]
    parts.extend({"functionCall": call, **(proof if at == 0 else {})} for at, call in enumerate(found))
    return parts


def _text(asked: Asked, answer: Answer) -> str:
    text = "".join(piece.text for piece in answer.pieces if isinstance(piece, Say))
    if asked.plain_enum and text.startswith('"'):
        return text.strip('"')
    return text


def _call(call: ToolCall) -> JSONObject | None:
    """A call; None if its arguments were cut short, or are no object."""
    try:
        arguments: JSON = msgspec.json.decode(call.arguments)
    except msgspec.DecodeError:
        return None
    if not isinstance(arguments, dict):
        return None
    return {"id": f"sim{call.key}", "name": call.name, "args": arguments}


def _ending(asked: Asked, answer: Answer) -> JSONObject:
    ending: JSONObject = {"finishReason": asked.sim.stop_reason or _REASONS[answer.stop]}
    if answer.stop == "tool":
        ending["finishMessage"] = "Model generated function call(s)."
    for piece in answer.pieces:
        if isinstance(piece, Refuse):
            ending["finishMessage"] = piece.text
            ending["safetyRatings"] = [
                {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
            ]
    found = grounding(answer)
    if found is not None:
        ending["groundingMetadata"] = found
    text = _text(asked, answer)
    if asked.logprobs is not None and text:
        ending |= _logprobs(text, asked.logprobs, Dice(answer.digest))
    return ending


def _logprobs(text: str, top: int, dice: Dice) -> JSONObject:
    found = list(token_logprobs(text, top, dice))
    chosen: list[JSON] = [{"token": row.token, "logProbability": row.value} for row in found]
    others: list[JSON] = [
        {"candidates": [{"token": token, "logProbability": value} for token, value in row.top]}
        for row in found
    ]
    average = sum(row.value for row in found) / len(found)
    return {
        "avgLogprobs": average,
        "logprobsResult": {"chosenCandidates": chosen, "topCandidates": others},
    }


# --- the stream ------------------------------------------------------------------------------------------------


def _array(chunks: Iterator[JSONObject]) -> Iterator[bytes]:
    opening = b"["
    last: bytes | None = None
    for chunk in chunks:
        if last is not None:
            yield last
        last = opening + _encode(chunk) + b"\n"
        opening = b",\r\n"
    if last is not None:
        yield last + b"]"


def _chunks(asked: Asked, world: World) -> Iterator[JSONObject]:
    answers = _answers(asked, world)
    if _blocks(asked):
        yield _blocked(asked, answers)
        return
    rows = [_pieces(asked, answer, world.seed) for answer in answers]
    shown = [0] * len(answers)
    thoughts = sum(answer.thinking_tokens for answer in answers)
    tail = _tail(asked, answers, answers)
    open_rows = list(range(len(rows)))
    while open_rows:
        for at in tuple(open_rows):
            part = next(rows[at], None)
            if part is None:
                open_rows.remove(at)
                continue
            parts, last = part
            content: JSONObject = {"role": "model"}
            if parts:
                content["parts"] = [*parts]
            shown[at] += sum(_shown(part) for part in parts)
            ending = _ending(asked, answers[at]) if last else {}
            candidate: JSONObject = {"content": content, **ending, "index": at}
            done = last and len(open_rows) == 1
            if not done and "usageMetadata" in tail:
                tail = {**tail, "usageMetadata": _usage(asked, sum(shown), thoughts)}
            elif done:
                tail = _tail(asked, answers, answers)
            yield {"candidates": [candidate], **tail}


def _shown(part: JSONObject) -> int:
    """Output tokens of a part, about: what is exact comes at the end."""
    if part.get("thought") is True:
        return 0
    text = part.get("text")
    return tokens.count(text) if isinstance(text, str) else tokens.count_bytes(_encode(part["functionCall"]))


def _pieces(asked: Asked, answer: Answer, seed: bytes) -> Iterator[tuple[list[JSONObject], bool]]:
    """The parts of each response of a candidate's stream, and whether it is its last. A text's proof comes in the last,
    on an empty text."""
    size = asked.sim.piece
    rows: list[JSONObject] = []
    for part in _parts(asked, answer, seed):
        text = part.get("text")
        if not isinstance(text, str):
            rows.append(part)
            continue
        rest = {name: value for name, value in part.items() if name not in ("text", "thoughtSignature")}
        rows.extend({"text": text[at : at + size], **rest} for at in range(0, len(text), size))
        if "thoughtSignature" in part:
            rows.append({"text": "", "thoughtSignature": part["thoughtSignature"]})
    for row in rows[:-1]:
        yield [row], False
    yield rows[-1:], True
