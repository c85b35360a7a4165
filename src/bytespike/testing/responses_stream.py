"""A strict reader of Responses streams, to hold writers to the wire's order.

It knows only the wire: OpenAI's API reference ("Streaming events"), the event types of the official SDK, and what the
SDK's stream helper relies on. What real providers get away with (see `protocols/openai_responses/stream_in.py`) is an
error here: events are numbered from 0 without gaps, one item is open at a time, ids and indices match, a `done` repeats
what the deltas spelt, and the last event's response holds just the items that were done.
"""

from __future__ import annotations

from bytespike.core.json_types import JSON, JSONObject
from bytespike.wire import json
from bytespike.wire.sse import SSEParser

#: The prefix of each kind of item's ids. Kinds that are not listed may have any.
ID_PREFIXES = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "custom_tool_call": "ctc_",
    "web_search_call": "ws_",
    "image_generation_call": "ig_",
}
#: The steps that an item of a kind tells on its way, each once and in order.
STEPS = {
    "web_search_call": ("in_progress", "searching", "completed"),
    "image_generation_call": ("in_progress", "generating", "completed"),
}
#: Kinds of items whose one text is streamed: the stem of its events, and the member that it becomes.
STREAMED = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}
#: Parts of an item: the stem of the events that stream it, the member of the part, and the member of the `done` event.
PARTS = {
    "output_text": ("response.output_text", "text"),
    "refusal": ("response.refusal", "refusal"),
    "reasoning_text": ("response.reasoning_text", "text"),
    "summary_text": ("response.reasoning_summary_text", "text"),
}
_ENDS = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
_REQUIRED = (
    "id", "object", "created_at", "status", "error", "incomplete_details", "model", "output", "parallel_tool_calls",
    "tool_choice", "tools", "usage",
)  # fmt: skip


class StreamInvalid(AssertionError):
    """The stream breaks a rule of the wire. The message says which, and in which event."""


def validate_stream(data: bytes, *, native_ids: bool = False) -> None:
    """Raises `StreamInvalid` unless `data` is one whole stream that ends in the response as it is at last, or in an
    error before there was any. `native_ids`: the items' ids are an upstream's, of any form."""
    checker = _Checker(native_ids)
    parser = SSEParser()
    for number, event in enumerate(parser.feed(data)):
        try:
            decoded = json.decode_object(event.data)
            _check(event.event == decoded.get("type"), f"{event.event!r} names a {decoded.get('type')!r}")
            checker.take(decoded)
        except (StreamInvalid, json.NotJSON) as error:
            raise StreamInvalid(f"event {number}: {error}") from None
    _check(parser.pending == 0, "the stream ends inside of an event")
    _check(checker.over, "nothing says that the stream has ended")


def _check(holds: bool, rule: str) -> None:
    if not holds:
        raise StreamInvalid(rule)


def _object(holder: JSONObject, key: str) -> JSONObject:
    value = holder.get(key)
    if not isinstance(value, dict):
        raise StreamInvalid(f"{key} is an object")
    return value


def _text(holder: JSONObject, key: str) -> str:
    value = holder.get(key)
    if not isinstance(value, str):
        raise StreamInvalid(f"{key} is a string")
    return value


class _Part:
    """A part of the open item: a text of a message, a summary, a text of reasoning."""

    def __init__(self, kind: str, index: int) -> None:
        self.kind = kind
        self.index = index
        self.pieces: list[str] = []
        self.annotations: list[JSON] = []
        self.logprobs: list[JSON] = []
        self.text_done = False


class _Checker:
    def __init__(self, native_ids: bool) -> None:
        self.native_ids = native_ids
        self.sequence = 0
        self.state = "before"
        self.identity: tuple[JSON, JSON, JSON] | None = None
        self.items: list[JSON] = []
        self.ids: set[str] = set()
        self.item: JSONObject | None = None
        self.part: _Part | None = None
        self.parts: list[JSON] = []
        self.pieces: list[str] = []
        self.streamed = False
        self.steps: list[str] = []

    @property
    def over(self) -> bool:
        return self.state == "over"

    def take(self, event: JSONObject) -> None:
        _check(not self.over, f"{event['type']} after the end")
        _check(event.get("sequence_number") == self.sequence, f"sequence number {self.sequence} comes next")
        self.sequence += 1
        kind = _text(event, "type")
        if kind == "error":
            self._error(event)
        elif self.state == "failing":
            _check(kind == "response.failed", "only response.failed follows an error")
            self._end(kind, _object(event, "response"))
        elif kind == "response.created":
            _check(self.state == "before", "the response is created once, at first")
            self._begun(_object(event, "response"))
            self.state = "created"
        elif kind == "response.in_progress":
            _check(self.state == "created", "response.in_progress follows response.created")
            self._begun(_object(event, "response"))
            self.state = "items"
        else:
            _check(self.state == "items", f"{kind} comes while the response is in progress")
            if kind in _ENDS:
                self._end(kind, _object(event, "response"))
            else:
                self._of_item(kind, event)

    # --- the response ------------------------------------------------------------------------------------------

    def _begun(self, response: JSONObject) -> None:
        self._head(response, "in_progress")
        _check(response["output"] == [], "a response begins without output")
        _check(response["usage"] is None, "a response begins without usage")

    def _head(self, response: JSONObject, status: str) -> None:
        for name in _REQUIRED:
            _check(name in response, f"a response has the member {name}")
        _check(response["object"] == "response", "a response says that it is one")
        _check(_text(response, "id").startswith("resp_"), "the response's id begins with resp_")
        _check(response["status"] == status, f"the response is {status}")
        identity = (response["id"], response["created_at"], response["model"])
        _check(self.identity in (None, identity), "id, time and model stay the same")
        self.identity = identity

    def _error(self, event: JSONObject) -> None:
        error = _object(event, "error")
        for name in ("message", "type", "code"):
            _check(_text(error, name) != "", f"an error has a {name}")
        self.state = "over" if self.identity is None else "failing"

    def _end(self, kind: str, response: JSONObject) -> None:
        status = _ENDS[kind]
        self._head(response, status)
        _check(response["output"] == self.items, "the last response holds the items that were done")
        details, error = response["incomplete_details"], response["error"]
        _check((details is not None) == (status == "incomplete"), "only an incomplete response has details")
        _check((error is not None) == (status == "failed"), "only a failed response has an error")
        if status != "failed":
            _check(self.item is None, "an item is still open at the end")
            self._usage(response["usage"])
        self.state = "over"

    def _usage(self, usage: JSON) -> None:
        if not isinstance(usage, dict):
            _check(usage is None, "usage is an object")
            return
        given, made, total = (usage.get(f"{name}_tokens") for name in ("input", "output", "total"))
        if not isinstance(given, int) or not isinstance(made, int) or not isinstance(total, int):
            raise StreamInvalid("usage has input, output and total tokens")
        _check(given >= 0 and made >= 0 and given + made == total, "the total is the sum")
        cached = _object(usage, "input_tokens_details").get("cached_tokens")
        reasoning = _object(usage, "output_tokens_details").get("reasoning_tokens")
        _check(isinstance(cached, int) and 0 <= cached <= given, "cached tokens are a part of the input")
        _check(isinstance(reasoning, int) and 0 <= reasoning <= made, "reasoning is a part of the output")

    # --- items -------------------------------------------------------------------------------------------------

    def _of_item(self, kind: str, event: JSONObject) -> None:
        _check(event.get("output_index") == len(self.items), f"the output index is {len(self.items)}")
        if kind == "response.output_item.added":
            self._added(_object(event, "item"))
            return
        item = self.item
        if item is None:
            raise StreamInvalid(f"{kind} of an item that is not open")
        if kind == "response.output_item.done":
            self._done(item, _object(event, "item"))
            return
        _check(event.get("item_id") == item["id"], "the item's id is the one that it began with")
        stem, _, verb = kind.rpartition(".")
        item_kind = str(item["type"])
        if item_kind in STREAMED and stem == STREAMED[item_kind][0]:
            self._streamed(verb, event, STREAMED[item_kind][1])
        elif item_kind in STEPS and stem == f"response.{item_kind}":
            self.steps.append(verb)
        elif kind == "response.output_text.annotation.added":
            self._annotation(event)
        elif stem in ("response.content_part", "response.reasoning_summary_part"):
            self._part_edge(verb, event, summary=stem.endswith("summary_part"))
        else:
            self._part_text(stem, verb, event)

    def _added(self, item: JSONObject) -> None:
        _check(self.item is None, "an item begins inside of another")
        kind, item_id = _text(item, "type"), _text(item, "id")
        _check(item_id != "" and item_id not in self.ids, "every item has an id of its own")
        if not self.native_ids:
            _check(item_id.startswith(ID_PREFIXES.get(kind, "")), f"the id of a {kind} has its prefix")
            _check(len(item_id) <= 64, "an id has at most 64 characters")
        if kind in ID_PREFIXES:
            _check(item.get("status", "in_progress") == "in_progress", "an item begins in progress")
        if kind == "message":
            _check(item.get("role") == "assistant", "a message is the assistant's")
            _check(item.get("content") == [], "a message begins without content")
        elif kind in STREAMED:
            _check(item.get(STREAMED[kind][1]) == "", "a call begins without arguments")
            for name in ("call_id", "name"):
                _check(_text(item, name) != "", f"a call has a {name}")
        self.ids.add(item_id)
        self.item, self.part = item, None
        self.parts, self.pieces, self.steps, self.streamed = [], [], [], False

    def _done(self, begun: JSONObject, item: JSONObject) -> None:
        kind = str(begun["type"])
        _check(self.part is None, "a part is still open at the end of its item")
        for name in ("type", "id", "call_id", "name", "namespace", "role"):
            _check(item.get(name) == begun.get(name), f"{name} is the one that the item began with")
        _check(item.get("status", "completed") in ("completed", "incomplete", "failed"), "an item ends")
        if kind == "message":
            _check(item.get("content") == self.parts, "a message's content is what its parts were")
        elif kind == "reasoning":
            shown = [*_list(item, "summary"), *_list(item, "content")]
            _check(shown == self.parts, "reasoning shows what its parts were")
        elif kind in STREAMED:
            _check(self.streamed, "a call's arguments are done before it is")
            _check(
                item.get(STREAMED[kind][1]) == "".join(self.pieces),
                "a call's arguments are what was streamed",
            )
        _check(tuple(self.steps) in ((), STEPS.get(kind, ())), f"a {kind} goes its steps in order")
        self.items.append(item)
        self.item = None

    def _streamed(self, verb: str, event: JSONObject, member: str) -> None:
        _check(not self.streamed, "nothing follows the whole arguments")
        if verb == "delta":
            self.pieces.append(_text(event, "delta"))
        else:
            _check(verb == "done", f"arguments have no {verb}")
            _check(_text(event, member) == "".join(self.pieces), "the whole arguments are what was streamed")
            self.streamed = True

    # --- their parts -------------------------------------------------------------------------------------------

    def _part_edge(self, verb: str, event: JSONObject, *, summary: bool) -> None:
        part = _object(event, "part")
        kind = _text(part, "type")
        _check(
            kind in PARTS and summary == (kind == "summary_text"), f"{kind} is a part of this kind of item"
        )
        index = event.get("summary_index" if summary else "content_index")
        if verb == "added":
            _check(self.part is None, "a part begins inside of another")
            _check(index == len(self.parts), f"the index of the part is {len(self.parts)}")
            _check(_text(part, PARTS[kind][1]) == "", "a part begins without text")
            self.part = _Part(kind, len(self.parts))
            return
        open_part = self.part
        if verb != "done" or open_part is None:
            raise StreamInvalid("a part ends once")
        _check(
            index == open_part.index and kind == open_part.kind, "the part that ends is the one that began"
        )
        _check(open_part.text_done, "a part's text is done before the part")
        _check(_text(part, PARTS[kind][1]) == "".join(open_part.pieces), "a part's text is what was streamed")
        if kind == "output_text":
            _check(
                _list(part, "annotations") == open_part.annotations, "annotations are those that were added"
            )
            _check(_list(part, "logprobs") == open_part.logprobs, "log probabilities are those of the deltas")
        self.parts.append(part)
        self.part = None

    def _part_text(self, stem: str, verb: str, event: JSONObject) -> None:
        part = self.part
        if part is None or stem != PARTS[part.kind][0]:
            raise StreamInvalid(f"{stem}.{verb} of a part that is not open")
        index = event.get("summary_index" if part.kind == "summary_text" else "content_index")
        _check(index == part.index, f"the index of the part is {part.index}")
        _check(not part.text_done, "nothing follows the whole text")
        if verb == "delta":
            part.pieces.append(_text(event, "delta"))
            if part.kind == "output_text":
                part.logprobs += _list(event, "logprobs")
            return
        _check(verb == "done", f"a text has no {verb}")
        _check(
            _text(event, PARTS[part.kind][1]) == "".join(part.pieces), "the whole text is what was streamed"
        )
        if part.kind == "output_text":
            _check(_list(event, "logprobs") == part.logprobs, "log probabilities are those of the deltas")
        part.text_done = True

    def _annotation(self, event: JSONObject) -> None:
        part = self.part
        if part is None or part.kind != "output_text":
            raise StreamInvalid("an annotation of a text that is not open")
        _check(not part.text_done, "nothing follows the whole text")
        _check(event.get("content_index") == part.index, "an annotation names its text")
        _check(event.get("annotation_index") == len(part.annotations), "annotations are numbered from 0")
        part.annotations.append(_object(event, "annotation"))


def _list(holder: JSONObject, key: str) -> list[JSON]:
    value = holder.get(key, [])
    if not isinstance(value, list):
        raise StreamInvalid(f"{key} is a list")
    return value
