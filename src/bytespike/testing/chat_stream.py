"""A strict reader of OpenAI's chat streams, to hold writers to the wire's order.

It knows only the wire: OpenAI's API reference ("Streaming", "The chat completion chunk object"), the chunk types of the
official SDK, and the SDK's rule for merging deltas (entries of lists carry `index`). What vendors get away with is an
error here.
"""

from __future__ import annotations

from bytespike.core.json_types import JSON, JSONObject
from bytespike.wire import json
from bytespike.wire.sse import SSEParser

FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_CHUNK_MEMBERS = ("id", "object", "created", "model", "choices")
_DELTA_TEXTS = ("content", "refusal", "reasoning_content")
#: Lists in a delta whose entries clients merge by `index`.
_INDEXED = (
    "tool_calls",
    "reasoning_details",
    "annotations",
    "citation_details",
    "server_tool_calls",
    "images",
)


class StreamInvalid(AssertionError):
    """The stream breaks a rule of the wire. The message says which, and in which frame."""


def validate_stream(data: bytes) -> None:
    """Raises `StreamInvalid` unless `data` is one whole stream: chunks that add up to an answer and `[DONE]`, or chunks,
    an error frame and `[DONE]`."""
    validator = _Validator()
    parser = SSEParser()
    for number, event in enumerate(parser.feed(data)):
        try:
            if event.event:
                raise StreamInvalid("a chat event has no name")
            validator.frame(event.data)
        except StreamInvalid as error:
            raise StreamInvalid(f"frame {number}: {error}") from None
    if parser.pending:
        raise StreamInvalid("the stream ends inside of an event")
    validator.end()


def _check(holds: bool, rule: str) -> None:
    if not holds:
        raise StreamInvalid(rule)


class _Choice:
    """What one choice has sent so far."""

    def __init__(self) -> None:
        self.spoken = False
        self.finish: str | None = None
        self.arguments: dict[int, str] = {}
        self.functions: set[int] = set()
        self.lengths: dict[str, int] = {}
        self.content_chars = 0

    def delta(self, delta: JSONObject) -> None:
        if not self.spoken:
            _check(delta.get("role") == "assistant", "the first delta of a choice names the role")
            self.spoken = True
        else:
            _check("role" not in delta, "only the first delta of a choice names the role")
        for name in _DELTA_TEXTS:
            _check(delta.get(name) is None or isinstance(delta[name], str), f"{name} is a string")
        content = delta.get("content")
        self.content_chars += len(content) if isinstance(content, str) else 0
        for name in _INDEXED:
            if name in delta:
                self._indexed(name, delta[name])

    def _indexed(self, name: str, entries: JSON) -> None:
        _check(isinstance(entries, list) and bool(entries), f"{name} is a list that is not empty")
        for entry in entries if isinstance(entries, list) else ():
            if not isinstance(entry, dict):
                raise StreamInvalid(f"an entry of {name} is an object")
            index = entry.get("index")
            if not isinstance(index, int) or isinstance(index, bool):
                raise StreamInvalid(f"an entry of {name} has an index")
            known = self.lengths.get(name, 0)
            _check(0 <= index <= known, f"the indices of {name} grow by one")
            self.lengths[name] = max(known, index + 1)
            if name == "tool_calls":
                self._call(index, entry, new=index == known)
            elif name == "annotations":
                self._annotation(entry)

    def _call(self, index: int, entry: JSONObject, *, new: bool) -> None:
        if new:
            _check(isinstance(entry.get("id"), str) and entry["id"] != "", "a new call has an id")
            _check(entry.get("type") in ("function", "custom"), "a new call has a type")
            inner = entry.get(str(entry["type"]))
            if not isinstance(inner, dict):
                raise StreamInvalid("a new call has a member of its type")
            _check(isinstance(inner.get("name"), str) and inner["name"] != "", "a new call has a name")
            self.arguments[index] = ""
            if entry["type"] == "function":
                self.functions.add(index)
        else:
            _check(not entry.get("id"), "the id of a call is sent once")
        inner = entry.get("function", entry.get("custom"))
        if isinstance(inner, dict):
            _check(new or "name" not in inner, "the name of a call is sent once")
            piece = inner.get("arguments", inner.get("input"))
            _check(isinstance(piece, str), "arguments are a string")
            self.arguments[index] += piece if isinstance(piece, str) else ""

    def _annotation(self, entry: JSONObject) -> None:
        if entry.get("type") != "url_citation":
            return
        inner = entry.get("url_citation")
        if not isinstance(inner, dict):
            raise StreamInvalid("a url_citation has its member")
        start, end = inner.get("start_index"), inner.get("end_index")
        if not isinstance(start, int) or not isinstance(end, int):
            raise StreamInvalid("a citation has a start and an end")
        _check(
            isinstance(inner.get("url"), str) and isinstance(inner.get("title"), str),
            "a citation has url and title",
        )

    def finished(self, reason: str) -> None:
        _check(reason in FINISH_REASONS, f"{reason!r} is a finish reason of the wire")
        _check(self.finish is None, "a choice finishes once")
        self.finish = reason
        if reason == "tool_calls":
            for index in self.functions:
                try:
                    json.decode(self.arguments[index])
                except json.NotJSON:
                    raise StreamInvalid(f"the arguments of call {index} are JSON") from None


class _Validator:
    def __init__(self) -> None:
        self.identity: tuple[JSON, JSON, JSON] | None = None
        self.choices: dict[int, _Choice] = {}
        self.usage_seen = False
        self.failed = False
        self.done = False

    def frame(self, data: bytes) -> None:
        _check(not self.done, "nothing follows [DONE]")
        if data == b"[DONE]":
            self.done = True
            return
        _check(not self.failed, "only [DONE] follows an error")
        try:
            chunk = json.decode_object(data)
        except json.NotJSON as error:
            raise StreamInvalid(f"a frame is a JSON object: {error}") from None
        if "error" in chunk:
            self._error(chunk)
        else:
            self._chunk(chunk)

    def _error(self, chunk: JSONObject) -> None:
        error = chunk["error"]
        if not isinstance(error, dict):
            raise StreamInvalid("an error is an object")
        for name in ("message", "type", "code"):
            _check(isinstance(error.get(name), str) and error[name] != "", f"an error has a {name}")
        self.failed = True

    def _chunk(self, chunk: JSONObject) -> None:
        for name in _CHUNK_MEMBERS:
            _check(name in chunk, f"a chunk has the member {name}")
        _check(chunk["object"] == "chat.completion.chunk", "a chunk says that it is one")
        _check(str(chunk["id"]).startswith("chatcmpl-"), "an id looks like this dialect's")
        _check(isinstance(chunk["created"], int), "created is an integer")
        identity = (chunk["id"], chunk["created"], chunk["model"])
        _check(self.identity in (None, identity), "id, created and model stay the same")
        self.identity = identity
        _check(not self.usage_seen, "nothing follows the usage")
        choices = chunk["choices"]
        if not isinstance(choices, list):
            raise StreamInvalid("choices is a list")
        if not choices:
            self._usage(chunk.get("usage"))
            return
        _check(chunk.get("usage") is None, "usage comes in a chunk of its own")
        for choice in choices:
            if not isinstance(choice, dict):
                raise StreamInvalid("a choice is an object")
            self._choice(choice)

    def _choice(self, choice: JSONObject) -> None:
        index = choice.get("index")
        if not isinstance(index, int):
            raise StreamInvalid("a choice has an index")
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            raise StreamInvalid("a choice has a delta")
        state = self.choices.setdefault(index, _Choice())
        _check(state.finish is None, "nothing of a choice follows its finish")
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            _check(not delta, "the delta of the finishing chunk is empty")
            _check(state.spoken, "a choice speaks before it finishes")
            state.finished(reason)
        elif delta or not isinstance(choice.get("logprobs"), dict):
            state.delta(delta)

    def _usage(self, usage: JSON) -> None:
        if not isinstance(usage, dict):
            raise StreamInvalid("a chunk without choices has usage")
        _check(all(choice.finish for choice in self.choices.values()), "usage follows the last finish")
        prompt, completion, total = (
            usage.get(f"{name}_tokens") for name in ("prompt", "completion", "total")
        )
        if not isinstance(prompt, int) or not isinstance(completion, int) or not isinstance(total, int):
            raise StreamInvalid("usage has prompt, completion and total tokens")
        _check(prompt >= 0 and completion >= 0 and prompt + completion == total, "the total is the sum")
        self.usage_seen = True

    def end(self) -> None:
        _check(self.done, "the stream ends with [DONE]")
        if not self.failed:
            _check(bool(self.choices), "an answer has a choice")
            _check(all(choice.finish for choice in self.choices.values()), "every choice finishes")
