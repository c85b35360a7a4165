"""A strict reader of Gemini's streams, to hold writers to the wire, in both framings.

It knows only the wire: the Gemini API reference ("streamGenerateContent"), the types of the official SDK, and how that SDK
cuts a stream (google-genai, `_iter_response_stream`: lines that begin with "data: ", and empty ones; any other line is
taken for a chunk). Members that the SDK does not know are allowed, for it takes them out.
"""

from __future__ import annotations

import base64
import binascii

from bytespike.core.json_types import JSON, JSONObject
from bytespike.wire import json

#: google-genai, FinishReason.
FINISH_REASONS = frozenset(
    {
        "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
        "MALFORMED_FUNCTION_CALL", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_OTHER", "NO_IMAGE",
        "IMAGE_RECITATION", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE", "ESCALATION", "PUP_LIMITED_DISABLED", "CONTINUATION", "MODEL_ARMOR",
        "FINISH_REASON_UNSPECIFIED",
    }
)  # fmt: skip
#: google.rpc.Code.
STATUSES = frozenset(
    {
        "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
        "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
    }
)  # fmt: skip
_DATA = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
_OUTCOMES = frozenset({"OUTCOME_UNSPECIFIED", "OUTCOME_OK", "OUTCOME_FAILED", "OUTCOME_DEADLINE_EXCEEDED"})
_STANDARD = str.maketrans("-_", "+/")


class StreamInvalid(AssertionError):
    """The stream breaks a rule of the wire. The message says which, and in which chunk."""


def validate_stream(data: bytes, *, array: bool = False) -> None:
    """Raises `StreamInvalid` unless `data` is one whole stream: chunks that add up to an answer, or chunks and an error.

    `array`: a JSON array of chunks, else server-sent events.
    """
    validator = _Validator()
    for number, chunk in enumerate(_array(data) if array else _events(data)):
        try:
            validator.chunk(chunk)
        except StreamInvalid as error:
            raise StreamInvalid(f"chunk {number}: {error}") from None
    validator.end()


def _check(holds: bool, rule: str) -> None:
    if not holds:
        raise StreamInvalid(rule)


def _array(data: bytes) -> list[JSONObject]:
    try:
        chunks = json.decode(data)
    except json.NotJSON as error:
        raise StreamInvalid(f"the array is JSON: {error}") from None
    if not isinstance(chunks, list):
        raise StreamInvalid("the stream is an array")
    return [_object(chunk, "a chunk") for chunk in chunks]


def _events(data: bytes) -> list[JSONObject]:
    _check(b"\r" not in data, "lines end in LF")
    chunks: list[JSONObject] = []
    lines = data.split(b"\n")
    _check(data == b"" or data.endswith(b"\n"), "the stream ends inside of a line")
    open_event = False
    for line in lines[:-1]:
        if not line:
            open_event = False
            continue
        _check(line.startswith(b"data: "), "every line is data or empty")
        _check(not open_event, "an event is one line")
        open_event = True
        try:
            chunks.append(json.decode_object(line[6:]))
        except json.NotJSON as error:
            raise StreamInvalid(f"a chunk is a JSON object: {error}") from None
    _check(not open_event, "the stream ends inside of an event")
    return chunks


def _object(value: JSON, what: str) -> JSONObject:
    if not isinstance(value, dict):
        raise StreamInvalid(f"{what} is an object")
    return value


def _list(value: JSON, what: str) -> list[JSON]:
    if not isinstance(value, list):
        raise StreamInvalid(f"{what} is a list")
    return value


def _is_base64(value: JSON) -> bool:
    if not isinstance(value, str):
        return False
    try:
        base64.b64decode(value.translate(_STANDARD) + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


class _Validator:
    def __init__(self) -> None:
        self.identity: tuple[JSON, JSON] | None = None
        self.finished: dict[int, bool] = {}
        self.failed = False
        self.chunks = 0

    def chunk(self, chunk: JSONObject) -> None:
        _check(not self.failed, "nothing follows an error")
        self.chunks += 1
        if "error" in chunk:
            self._error(chunk)
            return
        for name in ("modelVersion", "responseId"):
            _check(isinstance(chunk.get(name), str) and chunk[name] != "", f"a chunk has its {name}")
        identity = (chunk["modelVersion"], chunk["responseId"])
        _check(self.identity in (None, identity), "modelVersion and responseId stay the same")
        self.identity = identity
        candidates = _list(chunk.get("candidates"), "candidates")
        _check(bool(candidates), "a chunk has a candidate")
        for candidate in candidates:
            self._candidate(_object(candidate, "a candidate"))
        if "usageMetadata" in chunk:
            _usage(_object(chunk["usageMetadata"], "usageMetadata"))

    def _error(self, chunk: JSONObject) -> None:
        _check(next(iter(chunk)) == "error", "the SDK knows an error by its first member")
        error = _object(chunk["error"], "an error")
        code = error.get("code")
        _check(isinstance(code, int) and 400 <= code <= 599, "an error has an HTTP status")
        _check(error.get("status") in STATUSES, "an error has a status of google.rpc")
        _check(isinstance(error.get("message"), str) and error["message"] != "", "an error has a message")
        for detail in _list(error.get("details", []), "details"):
            _check("@type" in _object(detail, "a detail"), "a detail says its type")
        self.failed = True

    def _candidate(self, candidate: JSONObject) -> None:
        index = candidate.get("index")
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            raise StreamInvalid("a candidate has an index")
        _check(not self.finished.get(index), "nothing of a candidate follows its finish")
        self.finished[index] = False
        content = _object(candidate.get("content"), "content")
        _check(content.get("role") == "model", "the content is the model's")
        parts = _list(content.get("parts"), "parts")
        _check(bool(parts), "a content has a part")
        for part in parts:
            _part(_object(part, "a part"))
        if "groundingMetadata" in candidate:
            _grounding(_object(candidate["groundingMetadata"], "groundingMetadata"))
        reason = candidate.get("finishReason")
        if reason is not None:
            _check(reason in FINISH_REASONS, f"{reason!r} is a finish reason of the wire")
            self.finished[index] = True

    def end(self) -> None:
        _check(self.chunks > 0, "a stream has a chunk")
        if not self.failed:
            _check(all(self.finished.values()), "every candidate finishes")


def _part(part: JSONObject) -> None:
    kinds = [name for name in _DATA if name in part]
    _check(len(kinds) == 1, f"a part has one kind of data, not {kinds}")
    if "thoughtSignature" in part:
        _check(_is_base64(part["thoughtSignature"]), "a signature is base64")
    _check(part.get("thought") in (None, True, False), "thought is a flag")
    value = part[kinds[0]]
    match kinds[0]:
        case "text":
            _check(isinstance(value, str), "text is a string")
        case "functionCall":
            call = _object(value, "a function call")
            _check(isinstance(call.get("name"), str) and call["name"] != "", "a call has a name")
            _object(call.get("args", {}), "args")
            _check(isinstance(call.get("id", ""), str), "the id of a call is a string")
        case "inlineData":
            blob = _object(value, "inlineData")
            _check(isinstance(blob.get("mimeType"), str) and blob["mimeType"] != "", "a blob has a type")
            _check(_is_base64(blob.get("data")), "a blob's data is base64")
        case "fileData":
            _check(isinstance(_object(value, "fileData").get("fileUri"), str), "a file has a URI")
        case "executableCode":
            code = _object(value, "executableCode")
            _check(isinstance(code.get("code"), str) and "language" in code, "code has a language")
        case "codeExecutionResult":
            result = _object(value, "codeExecutionResult")
            _check(result.get("outcome") in _OUTCOMES, "a result has an outcome")
        case "toolCall":
            _check("toolType" in _object(value, "toolCall"), "a tool call has a type")
        case _:
            _check("toolType" in _object(value, "toolResponse"), "a tool response has a type")


def _grounding(grounding: JSONObject) -> None:
    chunks = _list(grounding.get("groundingChunks", []), "groundingChunks")
    for support in _list(grounding.get("groundingSupports", []), "groundingSupports"):
        support = _object(support, "a support")
        for number in _list(support.get("groundingChunkIndices", []), "groundingChunkIndices"):
            _check(isinstance(number, int) and 0 <= number < len(chunks), "a support names its chunks")
        segment = _object(support.get("segment"), "a segment")
        start, end = segment.get("startIndex", 0), segment.get("endIndex", 0)
        if not isinstance(start, int) or not isinstance(end, int):
            raise StreamInvalid("a segment's offsets are numbers")
        text = segment.get("text")
        size = len(text.encode()) if isinstance(text, str) else end - start
        _check(0 <= start <= end and end - start == size, "a segment's offsets are bytes of its text")


def _usage(usage: JSONObject) -> None:
    for name, value in usage.items():
        if name.endswith("TokenCount"):
            _check(
                isinstance(value, int) and not isinstance(value, bool) and value >= 0, f"{name} is a count"
            )
    parts = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount")
    total = 0
    for name in parts:
        value = usage.get(name, 0)
        total += value if isinstance(value, int) else 0
    _check(usage.get("totalTokenCount") == total, "the total is the sum")
