"""What a same-dialect stream has told so far, kept so that the gateway can end it.

A stream of this dialect ends in an event that repeats its whole answer, after each open part and item has ended with all of
its text. Whoever ends one early must therefore know the items that are done, and the text of what is open. Finished
items are kept as the bytes that they came in; of deltas only the text, of one part at a time.

Wire facts (OpenAI's API reference, "Streaming events"): items are numbered, and what belongs to one says its
`output_index`; an answer that reached its token limit is `incomplete` with the reason `max_output_tokens`, and so is the
item that was cut, whose arguments then are incomplete JSON.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.usage import Usage
from bytespike.protocols.openai_responses.frames import Frames
from bytespike.protocols.openai_responses.schema import UNREADABLE, decode_item_event
from bytespike.protocols.openai_responses.usage import write_usage
from bytespike.wire import json
from bytespike.wire.sse import event_of

#: So many pieces of a text are joined to one: as single pieces they would take ten times its size.
PIECES_MAX: Final = 256
#: Items of one answer that are kept; more is a hostile or broken upstream.
ITEMS_MAX: Final = 4096

_ADDED: Final = "response.output_item.added"
_DONE: Final = "response.output_item.done"
_PARTS_ADDED: Final = frozenset({"response.content_part.added", "response.reasoning_summary_part.added"})
_PARTS_DONE: Final = frozenset({"response.content_part.done", "response.reasoning_summary_part.done"})
_ANNOTATION: Final = "response.output_text.annotation.added"
#: By the type of a part: the stem of the events that stream its text, and the member that this becomes.
_PARTS: Final = {
    "output_text": ("response.output_text", "text"),
    "refusal": ("response.refusal", "refusal"),
    "reasoning_text": ("response.reasoning_text", "text"),
    "summary_text": ("response.reasoning_summary_text", "text"),
}
#: The same by the type of an item that has one text and no parts.
_STREAMED: Final = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}
_TEXT_DONE: Final = frozenset(f"{stem}.done" for stem, _ in (*_PARTS.values(), *_STREAMED.values()))
_NOTED: Final = frozenset({_ADDED, _DONE, _ANNOTATION}) | _PARTS_ADDED | _PARTS_DONE | _TEXT_DONE


class _Open:
    """An item that has begun. `part`: the one that is open, `parts` those before it, as JSON. `texts`, `pieces`: of what is
    open, the text. `whole`: that is all of it."""

    __slots__ = ("annotations", "item", "part", "parts", "pieces", "texts", "whole")

    def __init__(self, item: bytes) -> None:
        self.item = item
        self.parts: list[bytes] = []
        self.part: bytes | None = None
        self.texts: list[str] = []
        self.pieces: list[str] = []
        self.annotations: list[bytes] = []
        self.whole = False

    @property
    def text(self) -> str:
        """What has come of its open text."""
        return "".join(self.texts) + "".join(self.pieces)

    def begin_text(self) -> None:
        self.texts = []
        self.pieces = []
        self.annotations = []
        self.whole = False


class Unfinished:
    """Of one stream. `head`: its response object as it was at first. `last`: the event that went by last."""

    __slots__ = ("_done", "_live", "_live_index", "_open", "head", "last")

    def __init__(self) -> None:
        self.head = b""
        self.last = b""
        self._open: dict[int, _Open] = {}
        self._done: dict[int, bytes] = {}
        self._live_index = -1
        self._live = _Open(b"")

    def delta(self, index: int | None, text: str) -> None:
        """More text of item number `index`."""
        if index != self._live_index:
            found = None if index is None else self._open.get(index)
            if found is None or index is None:
                return
            self._live_index = index
            self._live = found
        live = self._live
        pieces = live.pieces
        pieces.append(text)
        if len(pieces) >= PIECES_MAX:
            live.texts.append("".join(pieces))
            pieces.clear()

    def note(self, kind: str, data: bytes) -> None:
        """An event that is no delta. Never raises: what is not understood is not repeated at the end."""
        if kind not in _NOTED:
            return
        try:
            event = decode_item_event(data)
        except UNREADABLE:
            return
        index = event.output_index
        self._live_index = -1
        if kind == _ADDED:
            if len(self._open) + len(self._done) < ITEMS_MAX:
                self._open[index] = _Open(bytes(event.item))
            return
        if kind == _DONE:
            self._open.pop(index, None)
            if len(self._done) < ITEMS_MAX:
                self._done[index] = bytes(event.item)
            return
        opened = self._open.get(index)
        if opened is None:
            return
        if kind in _PARTS_ADDED:
            opened.part = bytes(event.part)
            opened.begin_text()
        elif kind in _PARTS_DONE:
            opened.parts.append(bytes(event.part))
            opened.part = None
            opened.begin_text()
        elif kind == _ANNOTATION:
            opened.annotations.append(bytes(event.annotation))
        else:
            opened.whole = True

    def cut(self, model: str, usage: Usage) -> bytes:
        """The events that end the stream, as at its token limit."""
        frames = Frames()
        frames.sequence = _sequence_of(self.last) + 1
        items: dict[int, JSON] = {index: _object(raw) for index, raw in self._done.items()}
        for index, opened in sorted(self._open.items()):
            items[index] = _ended(frames, index, opened)
        response = _object(self.head)
        response |= {
            "model": model,
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": [items[index] for index in sorted(items)],
            "usage": write_usage(usage),
        }
        frames.event("response.incomplete", {"response": response})
        return frames.taken()


def _ended(frames: Frames, index: int, opened: _Open) -> JSONObject:
    """Ends an item with what it has. Gives it as it is at last."""
    item = _object(opened.item)
    kind = str(item.get("type"))
    place: JSONObject = {"item_id": item.get("id"), "output_index": index}
    parts: list[JSON] = [_object(raw) for raw in opened.parts]
    if opened.part is not None:
        parts.append(_ended_part(frames, place, opened, parts))
    if kind in _STREAMED:
        stem, member = _STREAMED[kind]
        text = _begun(item.get(member)) + opened.text
        if not opened.whole:
            frames.event(f"{stem}.done", {**place, member: text})
        item[member] = text
    elif kind == "message":
        item["content"] = parts
    elif kind == "reasoning":
        item["summary"] = [part for part in parts if _type_of(part) == "summary_text"]
        content: list[JSON] = [part for part in parts if _type_of(part) != "summary_text"]
        if content:
            item["content"] = content
    item["status"] = "incomplete"
    frames.event(_DONE, {"output_index": index, "item": item})
    return item


def _ended_part(frames: Frames, place: JSONObject, opened: _Open, before: list[JSON]) -> JSONObject:
    """Ends the open part of an item. `before`: the parts that ended before it."""
    part = _object(opened.part or b"")
    kind = _type_of(part)
    summary = kind == "summary_text"
    number = sum(1 for each in before if (_type_of(each) == "summary_text") == summary)
    place = {**place, "summary_index" if summary else "content_index": number}
    if kind in _PARTS:
        stem, member = _PARTS[kind]
        text = _begun(part.get(member)) + opened.text
        told: JSONObject = {**place, member: text}
        if kind == "output_text":
            told["logprobs"] = []
            part["annotations"] = [_object(raw) for raw in opened.annotations]
        if not opened.whole:
            frames.event(f"{stem}.done", told)
        part[member] = text
    edge = "response.reasoning_summary_part.done" if summary else "response.content_part.done"
    frames.event(edge, {**place, "part": part})
    return part


def _type_of(part: JSON) -> str:
    return str(part.get("type")) if isinstance(part, dict) else ""


def _begun(text: JSON) -> str:
    return text if isinstance(text, str) else ""


def _object(raw: bytes) -> JSONObject:
    """{} for what is none."""
    try:
        return json.decode_object(raw)
    except json.NotJSON:
        return {}


def _sequence_of(event: bytes) -> int:
    """The number of an event that went by; -1 if it has none."""
    found = event_of(event)
    number = None if found is None else _object(found.data).get("sequence_number")
    return number if isinstance(number, int) else -1
