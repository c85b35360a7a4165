"""The numbers of a streamed answer's parts, bounded: no real answer has as many parts as a hostile one may."""

from __future__ import annotations


class TooMuch(ValueError):
    """A figure or an amount beyond what any real answer has. The message says what."""


class Numbering:
    """Numbers the parts of the whole answer, all choices together."""

    __slots__ = ("_most", "_next")

    def __init__(self, most: int) -> None:
        self._next = 0
        self._most = most

    def take(self) -> int:
        """Raises `TooMuch`."""
        number = self._next
        if number >= self._most:
            raise TooMuch(f"more than {self._most} parts")
        self._next = number + 1
        return number
