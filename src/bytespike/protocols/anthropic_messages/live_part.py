"""One content block on its way out: its start, its deltas as they come, its end.

Redacted thinking, results of provider-side tools and blocks that only this dialect knows have no deltas on this wire;
they are written whole at their end.
"""

from __future__ import annotations

from msgspec import structs

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.json_types import JSONObject
from bytespike.protocols.anthropic_messages.blocks_write import Block, answer_block, server_call_block
from bytespike.protocols.anthropic_messages.citations import write_citation
from bytespike.protocols.anthropic_messages.envelope import opaque_of, opaque_of_call
from bytespike.protocols.anthropic_messages.fields import own_extras
from bytespike.protocols.anthropic_messages.tool_ids import CUSTOM_INPUT, safe_id
from bytespike.wire import json

_DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%%d,'
    b'"delta":{"type":"%b","%b":%%b}}\n\n'
)
_TEXT = _DELTA % (b"text_delta", b"text")
_THINKING = _DELTA % (b"thinking_delta", b"thinking")
_SIGNATURE = _DELTA % (b"signature_delta", b"signature")
_INPUT = _DELTA % (b"input_json_delta", b"partial_json")
_CITATION = _DELTA % (b"citations_delta", b"citation")
_START = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'

#: A free-form tool's text becomes the one string of an object.
_CUSTOM_OPEN = json.encode({CUSTOM_INPUT: ""})[:-2].decode()
_CUSTOM_CLOSE = '"}'


class LivePart:
    """The part whose deltas go out as they come. `index` is the hub's number of it, `number` the wire's."""

    __slots__ = ("_citations", "_number", "_out", "_part", "_proof", "_sent", "_template", "index")

    def __init__(self, start: e.PartStart, number: int, out: list[bytes]) -> None:
        self.index = start.index
        self._number = number
        self._out = out
        self._part = start.part
        self._template = b""
        self._sent = False
        self._citations = 0
        self._proof: c.Proof | None = None
        self._open(start.part)

    def _open(self, part: c.Part) -> None:
        match part:
            case c.TextPart(text=text, citations=citations, extras=extras):
                self._begin({"type": "text", "text": ""}, own_extras(extras), _TEXT, text)
                for citation in citations:
                    self._cite(citation)
            case c.RefusalPart(text=text):
                self._begin({"type": "text", "text": ""}, {}, _TEXT, text)
            case c.ReasoningPart(redacted=False, text=text, extras=extras):
                block: Block = {"type": "thinking", "thinking": "", "signature": ""}
                self._begin(block, own_extras(extras), _THINKING, text)
            case c.ToolCallPart(arguments=arguments, extras=extras):
                block = {"type": "tool_use", "id": safe_id(part.id), "name": part.name, "input": {}}
                self._begin(block, own_extras(extras), _INPUT, arguments)
            case c.ServerToolCallPart(arguments=arguments):
                block = server_call_block(structs.replace(part, arguments=""))
                self._begin(block, {}, _INPUT, arguments)
            case _:
                # Written whole at its end.
                pass

    def _begin(self, block: Block, extras: JSONObject, template: bytes, text: str) -> None:
        self._template = template
        # Citations come as deltas.
        block |= {key: value for key, value in extras.items() if key != "citations"}
        self._out.append(_START % (self._number, json.encode(block)))
        self.send(text)

    def send(self, text: str) -> None:
        """More of the part's text or arguments."""
        if text and self._template:
            if isinstance(self._part, c.ToolCallPart) and self._part.kind == "custom":
                text = ("" if self._sent else _CUSTOM_OPEN) + json.encode(text)[1:-1].decode()
            self._sent = True
            self._out.append(self._template % (self._number, json.encode(text)))

    def take(self, event: e.ProofDelta | e.CitationDelta) -> None:
        if isinstance(event, e.ProofDelta):
            self._proof = event.proof
        elif self._template is _TEXT:
            self._cite(event.citation)

    def _cite(self, citation: c.Citation) -> None:
        self._citations += 1
        self._out.append(_CITATION % (self._number, json.encode(write_citation(citation))))

    def close(self, final: c.Part | None = None) -> int:
        """Ends the block, with what `final` holds and no delta has brought. Gives the number of the next block."""
        part = final or self._part
        if isinstance(part, (c.ReasoningPart, c.ToolCallPart)) and self._proof is not None:
            part = structs.replace(part, proof=self._proof)
        match part:
            case c.TextPart(text=text, citations=citations):
                self._send_late(text)
                for citation in citations[self._citations :]:
                    self._cite(citation)
            case c.RefusalPart(text=text):
                self._send_late(text)
            case c.ReasoningPart(redacted=False, text=text):
                self._send_late(text)
                self._out.append(_SIGNATURE % (self._number, json.encode(opaque_of(part))))
            case c.ToolCallPart(arguments=arguments, kind="custom"):
                self._send_late(arguments)
                closing = _CUSTOM_CLOSE if self._sent else _CUSTOM_OPEN + _CUSTOM_CLOSE
                self._out.append(_INPUT % (self._number, json.encode(closing)))
            case c.ToolCallPart(arguments=arguments) | c.ServerToolCallPart(arguments=arguments):
                self._send_late(arguments or "{}")
            case _:
                block = answer_block(part) or {"type": "text", "text": ""}
                self._out.append(_START % (self._number, json.encode(block)))
        self._out.append(_STOP % self._number)
        self._number += 1
        if isinstance(part, c.ToolCallPart):
            self._close_call(part)
        return self._number

    def _send_late(self, text: str) -> None:
        if not self._sent:
            self.send(text)

    def _close_call(self, call: c.ToolCallPart) -> None:
        """The proof of a tool call, which has no field of its own: a thinking block without text carries it."""
        opaque = opaque_of_call(call, safe_id(call.id))
        if opaque is not None:
            start = json.encode({"type": "thinking", "thinking": "", "signature": ""})
            self._out.append(_START % (self._number, start))
            self._out.append(_SIGNATURE % (self._number, json.encode(opaque)))
            self._out.append(_STOP % self._number)
            self._number += 1
