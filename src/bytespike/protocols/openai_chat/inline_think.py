"""Reasoning that stands in the content: `<think>...</think>` before the answer.

MiniMax does this, and hosts of open models that run without a reasoning parser (quirk `inline_think`). Only what stands
at the very start counts: a model may well speak of the tag later. The line ends around the reasoning belong to the tags.
An answer that ends before its closing tag was all reasoning.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

OPEN: Final = "<think>"
CLOSE: Final = "</think>"
_Kind: TypeAlias = Literal["reasoning", "text"]


class Piece(NamedTuple):
    """Some of the reasoning or of the answer, never empty."""

    kind: _Kind
    text: str


class ThinkSplitter:
    """Content in, cut anywhere; pieces out. A tag that is cut in two is held until it is whole."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._state: Literal["start", "thinking", "after", "answer"] = "start"
        self._held = ""

    @property
    def over(self) -> bool:
        """Whatever follows is the answer."""
        return self._state == "answer"

    def feed(self, text: str) -> list[Piece]:
        pieces: list[Piece] = []
        self._held += text
        if self._state == "start":
            self._begin()
        if self._state == "thinking":
            self._think(pieces)
        if self._state == "after":
            self._held = self._held.lstrip("\r\n")
            if self._held:
                self._state = "answer"
        if self._state == "answer" and self._held:
            pieces.append(Piece("text", self._held))
            self._held = ""
        return pieces

    def end(self) -> list[Piece]:
        """What was held, for nothing follows."""
        held, self._held = self._held, ""
        thought = self._state == "thinking"
        self._state = "answer"
        if thought:
            held = held.rstrip("\r\n")
        return [Piece("reasoning" if thought else "text", held)] if held else []

    def _begin(self) -> None:
        beginning = self._held.lstrip()
        if beginning.startswith(OPEN):
            # With at least one character more, so that the line end after the tag is seen.
            inner = beginning[len(OPEN) :].lstrip("\r\n")
            if inner:
                self._held = inner
                self._state = "thinking"
        elif not OPEN.startswith(beginning):
            self._state = "answer"

    def _think(self, pieces: list[Piece]) -> None:
        end = self._held.find(CLOSE)
        if end >= 0:
            reasoning, self._held = self._held[:end].rstrip("\r\n"), self._held[end + len(CLOSE) :]
            self._state = "after"
        else:
            keep = _tail(self._held)
            reasoning, self._held = self._held[:keep], self._held[keep:]
        if reasoning:
            pieces.append(Piece("reasoning", reasoning))


def _tail(text: str) -> int:
    """Where the end of the text begins that may belong to the closing tag: line ends, and a part of the tag."""
    cut = len(text)
    for length in range(min(len(CLOSE) - 1, len(text)), 0, -1):
        if CLOSE.startswith(text[-length:]):
            cut -= length
            break
    return len(text[:cut].rstrip("\r\n"))


def split_think(content: str) -> tuple[str, str]:
    """The reasoning and the answer of a whole content."""
    splitter = ThinkSplitter()
    pieces = splitter.feed(content) + splitter.end()
    return (
        "".join([piece.text for piece in pieces if piece.kind == "reasoning"]),
        "".join([piece.text for piece in pieces if piece.kind == "text"]),
    )


def inlined(reasoning: str) -> str:
    """Reasoning as the beginning of a content."""
    return f"{OPEN}\n{reasoning}\n{CLOSE}\n\n"
