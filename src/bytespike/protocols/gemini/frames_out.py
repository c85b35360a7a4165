"""The frames of one client's stream, put together from prepared bytes, in either framing.

Every chunk repeats modelVersion and responseId. They are encoded once; a chunk with one piece of text costs the encoding
of that text.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.dialect import Reply
from bytespike.core.json_types import JSONObject
from bytespike.protocols.gemini.parts_out import Wire
from bytespike.wire import json

_TEXT_HEAD: Final = b'{"candidates":[{"content":{"parts":[{"text":'
_TEXT_TAIL: Final = b'}],"role":"model"},"index":%d}]'
_THOUGHT_TAIL: Final = b',"thought":true' + _TEXT_TAIL
#: Between two chunks of an array, as the service writes it.
SEPARATOR: Final = b",\r\n"


class Frames:
    """`begin` may be called once, before the first chunk."""

    __slots__ = ("_array", "_begun", "_members", "_tail", "_tails", "_thought_tails")

    def __init__(self, reply: Reply) -> None:
        self._array = reply.array
        #: Whether chunks have gone out: by this writer, or by a tap before it.
        self._begun = reply.begun
        self._members: JSONObject = {"modelVersion": reply.model, "responseId": reply.response_id}
        self._tail = b""
        self._tails: dict[int, bytes] = {}
        self._thought_tails: dict[int, bytes] = {}
        self._prepare()

    def begin(self, response_id: str, further: JSONObject) -> None:
        self._members = {**self._members, "responseId": response_id, **further}
        self._tails.clear()
        self._thought_tails.clear()
        self._prepare()

    def _prepare(self) -> None:
        self._tail = b"," + json.encode(self._members)[1:] + (b"" if self._array else b"\n\n")

    def text(self, choice: int, text: str) -> bytes:
        tail = self._tails.get(choice)
        if tail is None:
            tail = self._tails[choice] = _TEXT_TAIL % choice + self._tail
        return b"".join((self._head(), _TEXT_HEAD, json.encode(text), tail))

    def thought(self, choice: int, text: str) -> bytes:
        tail = self._thought_tails.get(choice)
        if tail is None:
            tail = self._thought_tails[choice] = _THOUGHT_TAIL % choice + self._tail
        return b"".join((self._head(), _TEXT_HEAD, json.encode(text), tail))

    def parts(self, choice: int, parts: list[Wire]) -> bytes:
        return self.chunk({"candidates": [{"content": {"parts": parts, "role": "model"}, "index": choice}]})

    def chunk(self, chunk: Wire) -> bytes:
        return b"".join((self._head(), json.encode(chunk)[:-1], self._tail))

    def end(self, chunk: Wire) -> bytes:
        """The last chunk."""
        return self.chunk(chunk) + (b"]" if self._array else b"")

    def last(self, body: bytes) -> bytes:
        """An object that ends the stream, as it is: an error."""
        return b"".join((self._head(), body, b"]" if self._array else b"\n\n"))

    def _head(self) -> bytes:
        if not self._array:
            return b"data: "
        if self._begun:
            return SEPARATOR
        self._begun = True
        return b"["
