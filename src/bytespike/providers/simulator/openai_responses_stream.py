"""OpenAI Responses: the events of a stream.

From the SDK's `response_*_event.py` and recorded streams. The order, with numbers from 0: created, in_progress; then
each item: added, its parts, done; at the end completed, incomplete or failed with the whole response. An item is added
as it begins, without what its deltas bring.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator.logprobs import TOKEN_CHARS
from bytespike.providers.simulator.openai_api import SERVER_ERROR

OBFUSCATION_CHARS = 16
_MASK = "simulatorsimulat"

_encode = msgspec.json.encode
_LAST = {"completed": "response.completed", "failed": "response.failed"}


def error_frames(opening: JSONObject, number: int) -> bytes:
    """What ends a stream that goes wrong after `number` events: the error, and the failed response."""
    error: JSONObject = {
        "type": "server_error",
        "code": "server_error",
        "message": SERVER_ERROR,
        "param": None,
    }
    told: JSONObject = {"type": "error", "error": error, "sequence_number": number}
    failed: JSONObject = {
        "type": "response.failed",
        "response": {
            **opening,
            "status": "failed",
            "error": {"code": "server_error", "message": SERVER_ERROR},
        },
        "sequence_number": number + 1,
    }
    return _frame(told) + _frame(failed)


def _frame(event: JSONObject) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), _encode(event))


class Events:
    """Writes the events of one stream and numbers them. `piece`: characters per delta."""

    __slots__ = ("_number", "_obfuscate", "_piece")

    def __init__(self, piece: int, *, obfuscate: bool) -> None:
        self._number = 0
        self._piece = piece
        self._obfuscate = obfuscate

    def opening(self, response: JSONObject) -> Iterator[bytes]:
        yield self._event("response.created", response=response)
        yield self._event("response.in_progress", response=response)

    def closing(self, response: JSONObject) -> bytes:
        return self._event(_LAST.get(str(response["status"]), "response.incomplete"), response=response)

    def item(self, at: int, item: JSONObject) -> Iterator[bytes]:
        """All events of the item with output index `at`."""
        name = str(item["id"])
        begun: JSONObject
        match item:
            case {"type": "reasoning"}:
                begun, rest = {**item, "content": [], "summary": []}, self._reasoning(at, name, item)
            case {"type": "message"}:
                begun, rest = {**item, "status": "in_progress", "content": []}, self._message(at, name, item)
            case {"type": "web_search_call"}:
                begun = {"id": name, "type": "web_search_call", "status": "in_progress"}
                rest = self._search(at, name)
            case {"arguments": str(text)}:
                begun = {**item, "status": "in_progress", "arguments": ""}
                rest = self._input(at, name, "function_call_arguments", "arguments", text)
            case {"input": str(text)}:
                begun = {**item, "status": "in_progress", "input": ""}
                rest = self._input(at, name, "custom_tool_call_input", "input", text)
            case _:
                begun, rest = item, iter(())
        yield self._event("response.output_item.added", item=begun, output_index=at)
        yield from rest
        yield self._event("response.output_item.done", item=item, output_index=at)

    # --- what is between an item's beginning and its end ---

    def _reasoning(self, at: int, name: str, item: JSONObject) -> Iterator[bytes]:
        for index, part in enumerate(_objects(item["summary"])):
            text = str(part["text"])
            place: JSONObject = {"item_id": name, "output_index": at, "summary_index": index}
            empty: JSONObject = {"type": "summary_text", "text": ""}
            yield self._event("response.reasoning_summary_part.added", **place, part=empty)
            yield from self._deltas("response.reasoning_summary_text.delta", place, text)
            yield self._event("response.reasoning_summary_text.done", **place, text=text)
            yield self._event("response.reasoning_summary_part.done", **place, part=part)
        for index, part in enumerate(_objects(item["content"])):
            text = str(part["text"])
            place = {"item_id": name, "output_index": at, "content_index": index}
            yield from self._deltas("response.reasoning_text.delta", place, text)
            yield self._event("response.reasoning_text.done", **place, text=text)

    def _search(self, at: int, name: str) -> Iterator[bytes]:
        for step in ("in_progress", "searching", "completed"):
            yield self._event(f"response.web_search_call.{step}", item_id=name, output_index=at)

    def _input(self, at: int, name: str, kind: str, field: str, text: str) -> Iterator[bytes]:
        place: JSONObject = {"item_id": name, "output_index": at}
        yield from self._deltas(f"response.{kind}.delta", place, text)
        yield self._event(f"response.{kind}.done", **place, **{field: text})

    def _message(self, at: int, name: str, item: JSONObject) -> Iterator[bytes]:
        for index, part in enumerate(_objects(item["content"])):
            place: JSONObject = {"item_id": name, "output_index": at, "content_index": index}
            if part["type"] == "refusal":
                yield from self._refusal(place, part)
            else:
                yield from self._text(place, part)

    def _refusal(self, place: JSONObject, part: JSONObject) -> Iterator[bytes]:
        text = str(part["refusal"])
        empty: JSONObject = {"type": "refusal", "refusal": ""}
        yield self._event("response.content_part.added", **place, part=empty)
        yield from self._deltas("response.refusal.delta", place, text)
        yield self._event("response.refusal.done", **place, refusal=text)
        yield self._event("response.content_part.done", **place, part=part)

    def _text(self, place: JSONObject, part: JSONObject) -> Iterator[bytes]:
        text, logprobs = str(part["text"]), _objects(part["logprobs"])
        empty: JSONObject = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
        yield self._event("response.content_part.added", **place, part=empty)
        yield from self._text_deltas(place, text, logprobs)
        for number, annotation in enumerate(_objects(part["annotations"])):
            yield self._event(
                "response.output_text.annotation.added",
                annotation=annotation,
                annotation_index=number,
                **place,
            )
        yield self._event("response.output_text.done", **place, logprobs=list(logprobs), text=text)
        yield self._event("response.content_part.done", **place, part=part)

    def _text_deltas(self, place: JSONObject, text: str, logprobs: list[JSONObject]) -> Iterator[bytes]:
        kind = "response.output_text.delta"
        if not logprobs:
            yield from self._deltas(kind, {**place, "logprobs": []}, text)
            return
        # A delta that has log probabilities is made of whole tokens.
        step = max(self._piece // TOKEN_CHARS, 1)
        for at in range(0, len(logprobs), step):
            row: list[JSON] = list(logprobs[at : at + step])
            part = text[at * TOKEN_CHARS : (at + step) * TOKEN_CHARS]
            yield from self._deltas(kind, {**place, "logprobs": row}, part, len(part))

    # --- frames ---

    def _event(self, kind: str, **fields: JSON) -> bytes:
        number = self._number
        self._number += 1
        return _frame({"type": kind, **fields, "sequence_number": number})

    def _deltas(self, kind: str, place: JSONObject, text: str, piece: int = 0) -> Iterator[bytes]:
        """Deltas that differ in nothing but their text and number."""
        head = b'event: %b\ndata: {"type":"%b",%b' % (kind.encode(), kind.encode(), _encode(place)[1:-1])
        size = piece or self._piece
        for at in range(0, len(text), size):
            part = text[at : at + size]
            mask = _MASK[len(part) % OBFUSCATION_CHARS :].encode()
            hidden = b',"obfuscation":"%b"' % mask if self._obfuscate else b""
            yield b'%b,"delta":%b%b,"sequence_number":%d}\n\n' % (head, _encode(part), hidden, self._number)
            self._number += 1


def _objects(value: JSON) -> list[JSONObject]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []
