"""Reading a format from a stream that nobody keeps.

A format is a generator: it yields what it wants next, a `Read` or a `Skip`, and is sent the bytes that it wanted to read. It
is written as if the file lay before it, and it runs piece by piece while the file goes past. What it does not ask for is
never kept; what it reads at once is bounded. What it finds out it writes into a `Found`, so that a file that breaks off
has told what it told.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias

from msgspec import Struct

#: More than this is never read at once: whatever asks for it is damaged.
READ_BYTES_MAX = 1024 * 1024
#: So deep may containers lie within each other.
DEPTH_MAX = 8


class Read(Struct, frozen=True):
    """The next `count` bytes, all of them."""

    count: int


class Skip(Struct, frozen=True):
    """The next `count` bytes pass unseen."""

    count: int


class Damaged(Exception):
    """The file is not what it began as."""


class Enough(Exception):
    """Nothing that is wanted comes any more."""


@dataclass(slots=True)
class Found:
    """What has been found out: pixels, seconds; 0 and None: nothing yet."""

    width: int = 0
    height: int = 0
    seconds: float | None = None


Want: TypeAlias = Read | Skip
#: It is sent the bytes of a `Read`, b"" for a `Skip`.
Steps: TypeAlias = Generator[Want, bytes, None]
Format: TypeAlias = Callable[[Found], Steps]


class Reader:
    """Runs a format over the pieces of a file. `done`: it wants nothing more."""

    __slots__ = ("_buffer", "_skipping", "_steps", "_wanted", "done")

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._buffer = bytearray()
        self._skipping = 0
        self._wanted = 0
        self.done = False
        self._advance(None)

    def feed(self, piece: bytes) -> None:
        """More of the file."""
        at = 0
        while not self.done and at < len(piece):
            if self._skipping:
                passed = min(self._skipping, len(piece) - at)
                self._skipping -= passed
                at += passed
                if not self._skipping:
                    self._advance(b"")
                continue
            taken = min(self._wanted - len(self._buffer), len(piece) - at)
            self._buffer += piece[at : at + taken]
            at += taken
            if len(self._buffer) == self._wanted:
                read = bytes(self._buffer)
                self._buffer.clear()
                self._advance(read)

    def _advance(self, read: bytes | None) -> None:
        """Give the format what it wanted, until it wants something that has not come."""
        try:
            while True:
                want = next(self._steps) if read is None else self._steps.send(read)
                if want.count < 0 or (isinstance(want, Read) and want.count > READ_BYTES_MAX):
                    raise Damaged
                if want.count:
                    break
                read = b""
        except (StopIteration, Damaged, Enough):
            self.done = True
            return
        if isinstance(want, Skip):
            self._skipping = want.count
        else:
            self._wanted = want.count
