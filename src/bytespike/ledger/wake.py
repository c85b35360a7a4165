"""A tap on the shoulder between processes of one host: "look at the database now".

Only that: what there is to see is in the database, and whoever misses a tap sees it at its next look, a tenth of a
second later. So nothing here may fail loudly, and nothing is believed that comes in.

Each borrower has a datagram socket in Linux's abstract namespace, which needs no file and ends with its process.
Where there is none, everybody looks by the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterable

_PREFIX = "\0bytespike/"
#: Taps read at once; more of them say no more.
_READ_MAX = 64


class Wake:
    """`event` is set when somebody taps; `taps` counts. `open` it on a running loop."""

    def __init__(self, id: str) -> None:
        self.event = asyncio.Event()
        self.taps = 0
        self._next: asyncio.Future[None] | None = None
        self._id = id
        self._socket: socket.socket | None = None

    def tapped(self) -> None:
        """Somebody tapped, or we do it ourselves."""
        self.taps += 1
        self.event.set()
        if self._next is not None and not self._next.done():
            self._next.set_result(None)

    async def tapped_since(self, taps: int, seconds: float) -> None:
        """Wait for a tap after the `taps`th, at most so long."""
        if self.taps > taps:
            return
        if self._next is None or self._next.done():
            self._next = asyncio.get_running_loop().create_future()
        await asyncio.wait((self._next,), timeout=seconds)

    def open(self) -> None:
        """Listen, where that is possible."""
        if sys.platform != "linux":
            return
        found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            found.setblocking(False)
            found.bind(_PREFIX + self._id)
            asyncio.get_running_loop().add_reader(found.fileno(), self._read)
        except (OSError, NotImplementedError):
            found.close()
            return
        self._socket = found

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def tap(self, ids: Iterable[str]) -> None:
        """Wake these borrowers, those of them that are on this host."""
        if self._socket is None:
            return
        for id in ids:
            if id != self._id:
                with contextlib.suppress(OSError):
                    self._socket.sendto(b"\0", _PREFIX + id)

    def _read(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(OSError):
            for _ in range(_READ_MAX):
                self._socket.recv(1)
        self.tapped()
