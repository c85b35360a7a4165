"""The items of one streamed output, read into the hub's parts.

An item begins, its parts come with their deltas, it is done; how they differ from that in life is told in `stream_in`.
Items are known by their `output_index`.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.fold import PARTS_MAX
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.openai_responses.annotations import read_annotation, read_annotations
from bytespike.protocols.openai_responses.envelope import CallProof, Hidden
from bytespike.protocols.openai_responses.names import NAME, aside
from bytespike.protocols.openai_responses.output_in import (
    PIECE_BREAK,
    message_note,
    read_call,
    read_item,
)
from bytespike.protocols.openai_responses.response import OUTPUT_ITEMS_MAX, says_nothing
from bytespike.protocols.openai_responses.schema import Event
from bytespike.protocols.openai_responses.tool_names import ToolNames
from bytespike.wire import fields as f

_CALLS: Final = frozenset({"function_call", "custom_tool_call"})


class _Item:
    """An item of the output that has begun. `part` is the hub's number of the part that is open, -1 if none is;
    `place` says which of the item's parts it is: ("content" | "summary", its index)."""

    __slots__ = ("annotations", "first", "kind", "note", "part", "place", "sent", "skeleton", "tokens")

    def __init__(self, kind: str, note: JSONObject) -> None:
        self.kind = kind
        self.note = note
        self.first = True
        self.part = -1
        self.place: tuple[str, int] = ("", -1)
        self.skeleton: c.Part | None = None
        self.sent = False
        self.tokens = False
        self.annotations: list[c.Citation] = []


class OutputReader:
    """Takes the events of items, appends the hub's events to `out`. Raises `Wrong`."""

    __slots__ = (
        "_done", "_ids", "_items", "_parts", "_proofs", "_shown", "called", "names", "out", "refused",
    )  # fmt: skip

    def __init__(self) -> None:
        self.out: list[e.Event] = []
        self.names = ToolNames(None)
        #: The output holds a call that waits for its result, a refusal.
        self.called = False
        self.refused = False
        self._items: dict[int, _Item] = {}
        self._done: set[int] = set()
        self._ids: set[str] = set()
        self._proofs: dict[str, c.Proof] = {}
        self._shown: set[str] = set()
        self._parts = 0

    @property
    def begun(self) -> bool:
        """Whether a part has started."""
        return self._parts > 0

    def taken(self) -> list[e.Event]:
        """The events since the last time."""
        out, self.out = self.out, []
        return out

    def finish(self, output: list[JSONObject]) -> None:
        """The answer has ended. `output`: its items, from the last event: they tell what was not streamed."""
        for index, told in enumerate(output):
            if index in self._items:
                self.done(index, told)
            elif index not in self._done and told.get("id") not in self._ids:
                self._done.add(index)
                self._whole(told)
        for item in self._items.values():
            self._close(item)
        self._items.clear()

    # --- deltas ------------------------------------------------------------------------------------------------

    def said(self, event: Event, refusal: bool) -> None:
        item = self._items.get(event.output_index)
        place = ("content", event.content_index)
        if item is None or item.place != place:
            item = self._message(event.output_index)
            self._open_text(item, place, c.RefusalPart("") if refusal else c.TextPart(""))
        if event.delta:
            item.sent = True
            self.out.append(e.TextDelta(item.part, event.delta))
        if event.logprobs:
            item.tokens = True
            self.out.append(e.LogprobsDelta(tuple(event.logprobs)))

    def thought(self, event: Event, place: tuple[str, int]) -> None:
        item = self._items.get(event.output_index)
        if item is None:
            item = self._begin(event.output_index, "reasoning", {})
        if item.kind != "reasoning":
            raise f.Wrong("is reasoning of an item that is none", "delta")
        if item.place != place:
            summary = place[0] == "summary"
            if item.part >= 0 and item.place[0] == place[0]:
                # The next of several summaries: one part holds them all.
                self.out.append(e.TextDelta(item.part, PIECE_BREAK))
            else:
                self._close(item)
                note = aside({"_item": {}})
                item_id = item.note.get("id")
                self._start(
                    item,
                    c.ReasoningPart(
                        summary=summary, id=item_id if isinstance(item_id, str) else None, extras=note
                    ),
                )
            item.place = place
        if event.delta:
            item.sent = True
            self.out.append(e.TextDelta(item.part, event.delta))

    def argued(self, event: Event) -> None:
        item = self._items.get(event.output_index)
        if item is None or item.kind not in _CALLS:
            raise f.Wrong("is of a call that has not begun", "delta")
        if event.delta:
            item.sent = True
            self.out.append(e.InputDelta(item.part, event.delta))

    # --- items and their parts ---------------------------------------------------------------------------------

    def _begin(self, index: int, kind: str, note: JSONObject) -> _Item:
        if not 0 <= index < OUTPUT_ITEMS_MAX:
            raise f.Wrong(f"must be between 0 and {OUTPUT_ITEMS_MAX - 1}", "output_index")
        before = self._items.pop(index, None)
        if before is not None:
            self._close(before)
        item = self._items[index] = _Item(kind, note)
        self._done.discard(index)
        return item

    def _message(self, index: int) -> _Item:
        """The message at that place, begun if nobody had said so."""
        item = self._items.get(index)
        if item is None:
            return self._begin(index, "message", {})
        if item.kind != "message":
            raise f.Wrong("is text of an item that is no message", "delta")
        return item

    def _start(self, item: _Item, part: c.Part) -> None:
        item.part = self._next()
        item.skeleton = part
        item.sent = item.tokens = False
        item.annotations = []
        self.out.append(e.PartStart(item.part, part))

    def _next(self) -> int:
        if self._parts >= PARTS_MAX:
            raise f.Wrong(f"must hold at most {PARTS_MAX} parts", "output")
        self._parts += 1
        return self._parts - 1

    def _open_text(self, item: _Item, place: tuple[str, int], part: c.TextPart | c.RefusalPart) -> None:
        self._close(item)
        note: JSONObject = {"_message": item.note} if item.first else {"_more": True}
        item.first = False
        self.refused = self.refused or isinstance(part, c.RefusalPart)
        self._start(item, structs.replace(part, extras=aside(note)))
        item.place = place

    def _close(self, item: _Item, final: c.Part | None = None) -> None:
        """Ends the part that is open, if one is, with what `final` holds and no delta has brought."""
        if item.part < 0:
            return
        index, item.part, item.place = item.part, -1, ("", -1)
        if isinstance(final, (c.TextPart, c.RefusalPart)) and not item.sent and final.text:
            self.out.append(e.TextDelta(index, final.text))
        citations = final.citations if isinstance(final, c.TextPart) else ()
        for citation in citations or item.annotations:
            self.out.append(e.CitationDelta(index, citation))
        self.out.append(e.PartEnd(index))

    def part_added(self, event: JSONObject) -> None:
        part = f.object_at(event, "part")
        kind = part.get("type")
        if kind not in ("output_text", "refusal"):
            return
        item = self._message(index_of(event))
        place = ("content", f.optional_integer(event, "content_index", least=0) or 0)
        if item.place == place:
            return
        self._open_text(item, place, c.RefusalPart("") if kind == "refusal" else c.TextPart(""))

    def part_done(self, event: JSONObject) -> None:
        item = self._items.get(index_of(event))
        place = ("content", f.optional_integer(event, "content_index", least=0) or 0)
        if item is None or item.kind != "message" or item.place != place:
            return
        part = f.object_at(event, "part")
        try:
            self._close_text(item, part)
        except f.Wrong as wrong:
            raise wrong.under("part") from None

    def _close_text(self, item: _Item, part: JSONObject) -> None:
        if isinstance(item.skeleton, c.RefusalPart):
            self._close(item, c.RefusalPart(f.optional_text(part, "refusal") or ""))
            return
        index = item.part
        self._close(item, c.TextPart(f.optional_text(part, "text") or "", read_annotations(part)))
        tokens = part.get("logprobs")
        if isinstance(tokens, list) and tokens and not item.tokens and index >= 0:
            self.out.append(e.LogprobsDelta(tuple(tokens)))

    def annotated(self, event: JSONObject) -> None:
        item = self._items.get(index_of(event))
        annotation = event.get("annotation")
        if item is None or item.part < 0 or not isinstance(annotation, dict):
            return
        # The finished part lists all of them; these count where it does not.
        item.annotations.append(read_annotation(annotation))

    def added(self, index: int, told: JSONObject) -> None:
        kind = f.text(told, "type")
        self._know(told)
        if kind == "message":
            self._begin(index, kind, message_note(told))
        elif kind == "reasoning":
            self._begin(index, kind, told)
        elif kind in _CALLS and told.get("name"):
            call = read_call(told, self.names)
            item = self._begin(index, kind, {})
            self.called = True
            # The deltas spell the arguments from their beginning: what the start says counts only without them.
            self._start(item, structs.replace(call, arguments="", proof=self._proofs.get(call.id)))
        else:
            # Everything else is known when it is done.
            self._begin(index, "", {})

    def _know(self, told: JSONObject) -> None:
        item_id = told.get("id")
        if isinstance(item_id, str):
            self._ids.add(item_id)

    def done(self, index: int, told: JSONObject) -> None:
        if index in self._done:
            return
        self._know(told)
        item = self._items.pop(index, None)
        self._done.add(index)
        kind = f.text(told, "type")
        if item is None or item.kind != kind:
            if item is not None:
                self._close(item)
            self._whole(told)
        elif kind == "message":
            self._message_done(item, told)
        elif kind == "reasoning":
            self._reasoning_done(item, told)
        else:
            arguments = read_call(told, self.names).arguments
            if arguments and not item.sent:
                self.out.append(e.InputDelta(item.part, arguments))
            self._close(item)

    def _message_done(self, item: _Item, told: JSONObject) -> None:
        """Closes the part that is still open, and adds those of which nothing was streamed."""
        content = f.optional_array(told, "content") or []
        if item.part >= 0:
            at = item.place[1]
            last = content[at] if at < len(content) else None
            self._close_text(item, last if isinstance(last, dict) else {})
        if item.first:
            self._whole(told)

    def _reasoning_done(self, item: _Item, told: JSONObject) -> None:
        if item.part < 0:
            self._whole(told)
            return
        found = read_item(told, self.names)
        last = found[-1]
        index = item.part
        final: c.Part | None = None
        if isinstance(last, c.ReasoningPart) and isinstance(item.skeleton, c.ReasoningPart):
            if last.proof is not None:
                self.out.append(e.ProofDelta(index, last.proof))
            same = item.skeleton.summary == last.summary
            # What is shown here may differ from what was proven (`answer_out.shows_summary`): the sealed form is right.
            if same or NAME not in last.extras:
                final = structs.replace(last, id=item.skeleton.id if NAME in last.extras else last.id)
        item.part = -1
        self.out.append(e.PartEnd(index, final))

    def _whole(self, told: JSONObject) -> None:
        """An item of which nothing was streamed."""
        for held in read_item(told, self.names):
            match held:
                case CallProof(call_id=call_id, proof=proof):
                    self._proofs[call_id] = proof
                    continue
                case Hidden(part=part, shown=shown):
                    if shown is not None:
                        self._shown.add(shown)
                case c.ServerToolCallPart(id=item_id) if held.origin == NAME and item_id in self._shown:
                    continue
                case c.ToolCallPart():
                    self.called = True
                    part = structs.replace(held, proof=self._proofs.get(held.id))
                case c.RefusalPart():
                    self.refused = True
                    part = held
                case _:
                    part = held
            if not says_nothing(part):
                index = self._next()
                self.out += (e.PartStart(index, part), e.PartEnd(index))


def index_of(event: JSONObject) -> int:
    """The output index of an event. Raises `Wrong`."""
    index: JSON = f.optional_integer(event, "output_index", least=0, most=OUTPUT_ITEMS_MAX - 1)
    return index if isinstance(index, int) else 0
