"""Server-sent events, as the WHATWG HTML standard frames them (section 9.2.5, "Parsing an event stream").

Lines end in LF, CR LF or CR; an event ends at an empty line; `data` lines are joined by LF; a line that starts with a
colon is a comment; one byte-order mark at the start is skipped. Bytes may be cut anywhere, also inside a character or
a CR LF. An event whose end never comes is not an event.

`SSEParser` is for readers: it gives the events. `EventBuffer` and `event_spans` are for whoever watches a stream go by:
they cut it between events and leave every byte as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from bytespike.wire.limits import EVENT_BYTES_MAX

_BOM = b"\xef\xbb\xbf"
#: An empty line, after the end of the line before it, in any of the three spellings of a line's end.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
#: Enough of what came before to see an empty line that is cut in two.
_SEAM_BYTES = 3


class EventTooLarge(ValueError):
    """One event exceeds `EVENT_BYTES_MAX`."""


class SSEvent(NamedTuple):
    """`event` is "" where the stream named none."""

    event: str
    data: bytes


class EventBuffer:
    """Bytes in, cut anywhere; whole events out, with every byte as it was.

    Only what is new is searched, with a seam: an event of many pieces would otherwise be searched, and copied, once for
    each. `size`: bytes held of an event that is not complete yet."""

    __slots__ = ("_pieces", "_seam", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._seam = b""
        self.size = 0

    def feed(self, data: bytes) -> bytes:
        """The events that are whole now; b"" if there is none. Raises `EventTooLarge`."""
        if self.size:
            seam = self._seam + data
            if not _end_of_last_event(seam):
                self._hold(data, seam)
                return b""
            self._pieces.append(data)
            data = b"".join(self._pieces)
            self._pieces = []
            self.size = 0
        cut = _end_of_last_event(data)
        if cut == len(data):
            return data
        rest = data[cut:]
        self._hold(rest, rest)
        return data[:cut]

    def rest(self) -> bytes:
        """What is held, which is held no longer."""
        held = b"".join(self._pieces)
        self._pieces = []
        self.size = 0
        return held

    def _hold(self, data: bytes, seam: bytes) -> None:
        self._pieces.append(data)
        self._seam = seam[-_SEAM_BYTES:]
        self.size += len(data)
        if self.size > EVENT_BYTES_MAX:
            raise EventTooLarge(f"an event of more than {EVENT_BYTES_MAX} bytes")


def _end_of_last_event(buffer: bytes) -> int:
    """Where the last whole event of the buffer ends, its empty line included; 0 if there is none."""
    if b"\r" not in buffer:
        return buffer.rfind(b"\n\n") + 2 if b"\n\n" in buffer else 0
    if buffer.endswith(b"\r\n\r\n"):
        return len(buffer)
    # A CR at the very end may be half of a CR LF.
    whole = buffer[:-1] if buffer.endswith(b"\r") else buffer
    cut = 0
    for blank in _BLANK_LINE.finditer(whole):
        cut = blank.end()
    return cut


def event_spans(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Start and end of each event's lines, and where the next event starts."""
    start = 0
    if b"\r" in data and data.count(b"\r\n") == data.count(b"\n") == data.count(b"\r"):
        while (end := data.find(b"\r\n\r\n", start)) >= 0:
            yield start, end, end + 4
            start = end + 4
    elif b"\r" in data:
        for blank in _BLANK_LINE.finditer(data):
            yield start, blank.start(), blank.end()
            start = blank.end()
    else:
        while (end := data.find(b"\n\n", start)) >= 0:
            yield start, end, end + 2
            start = end + 2
    if start < len(data):
        yield start, len(data), len(data)


def event_of(block: bytes) -> SSEvent | None:
    """One event from its lines, whatever their ends; None if it carries no data."""
    return parse_block(_lf(block).rstrip(b"\n") if b"\r" in block else block.rstrip(b"\n"))


def _lf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


class SSEParser:
    """`feed` bytes, get the events that they complete."""

    __slots__ = ("_buffer", "_first", "_started")

    def __init__(self) -> None:
        self._buffer = EventBuffer()
        self._first = b""
        self._started = False

    @property
    def pending(self) -> int:
        """Bytes of an event that is not complete yet."""
        return len(self._first) + self._buffer.size

    def feed(self, data: bytes) -> list[SSEvent]:
        """Raises `EventTooLarge`."""
        if not self._started:
            data = self._first + data
            if len(data) < 3 and _BOM.startswith(data):
                self._first = data
                return []
            data = data.removeprefix(_BOM)
            self._first = b""
            self._started = True
        whole = self._buffer.feed(data)
        if not whole:
            return []
        if b"\r" in whole:
            whole = _lf(whole)
        events: list[SSEvent] = []
        for block in whole[:-2].split(b"\n\n"):
            event = parse_block(block)
            if event is not None:
                events.append(event)
        return events


def parse_block(block: bytes) -> SSEvent | None:
    """One event from its lines (LF only, no empty line); None if it carries no data."""
    if block.startswith(b"data: ") and b"\n" not in block:
        # One line of data, no name: nearly every event of the dialects that name none.
        return SSEvent("", block[6:])
    name = ""
    data: list[bytes] | None = None
    for line in block.split(b"\n"):
        if line.startswith(b"data:"):
            value = line[6:] if line[5:6] == b" " else line[5:]
            if data is None:
                data = [value]
            else:
                data.append(value)
        elif line.startswith(b"event:"):
            name = line[6:].strip().decode("utf-8", "replace")
        elif line == b"data":
            data = [b""] if data is None else [*data, b""]
    if data is None:
        return None
    return SSEvent(name, data[0] if len(data) == 1 else b"\n".join(data))


def frame(data: bytes, event: str = "") -> bytes:
    """One event, ready to send. `data` has no line ends (JSON text has none)."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data


def comment(text: bytes = b"") -> bytes:
    """A comment line, which every client skips."""
    return b": %b\n\n" % text
