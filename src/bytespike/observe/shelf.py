"""How several workers of one machine tell one scrape what all of them have counted.

Each worker has a file, `<folder>/<number>`, into which it puts all that it has counted, every second and before it answers a
scrape. Whoever is scraped adds what the other files hold to its own. So a scrape is at most `PUT_S` behind for the others.

Counters never go back. What a scrape has told of a worker was in the worker's file before, and a worker that takes the
place of one that has died begins with what is in its file. The supervisor clears the folder when it starts: then counters
begin anew, as after any restart. Gauges (what is open now) count only while their worker lives: a file that is older than
`ALIVE_S` has none.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bytespike.observe.tallies import Tallies

PUT_S: Final = 1.0
ALIVE_S: Final = 5.0
#: More workers than a gateway can have: nothing else is read.
_NUMBERS: Final = 1_024

_NS_PER_S: Final = 1_000_000_000


class Reading(Struct, frozen=True, array_like=True):
    """A figure of now or a count since the start: the family's name, the values of its labels, the figure."""

    name: str
    labels: tuple[str, ...]
    value: float


class Snapshot(Struct, frozen=True, array_like=True):
    """Of one worker. `at_ns`: monotonic, which all processes of a machine share. `counts` only grow, `gauges` are of
    now."""

    at_ns: int
    tallies: Tallies
    counts: list[Reading]
    gauges: list[Reading]


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Snapshot)


class Shelf:
    """A worker's view of the folder. `number`: the worker's own, from 0."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._number = number

    def before(self) -> Snapshot | None:
        """What the worker with this number had counted that was here before."""
        return self._read(self._number)

    def put(self, snapshot: Snapshot) -> None:
        """In place of what was there, whole or not at all. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / str(self._number)
        new = path.with_suffix(".new")
        new.write_bytes(_ENCODER.encode(snapshot))
        os.replace(new, path)

    def others(self) -> list[Snapshot]:
        """What the other workers have put there last; what cannot be read is left out."""
        found: list[Snapshot] = []
        try:
            names = os.listdir(self._folder)
        except OSError:
            return found
        for name in names:
            if name.isascii() and name.isdigit() and int(name) < _NUMBERS and int(name) != self._number:
                snapshot = self._read(int(name))
                if snapshot is not None:
                    found.append(snapshot)
        return found

    def _read(self, number: int) -> Snapshot | None:
        try:
            return _DECODER.decode((self._folder / str(number)).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None


def lives(snapshot: Snapshot, now_ns: int) -> bool:
    """Its worker has put it there lately. (A clock that is behind the file's is of another boot.)"""
    return 0 <= now_ns - snapshot.at_ns < ALIVE_S * _NS_PER_S


def clear(folder: Path) -> None:
    """Nobody has counted anything. Raises OSError."""
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink()
