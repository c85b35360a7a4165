"""Server-sent events, as the WHATWG HTML standard frames them (section 9.2.5, "Parsing an event stream").

Lines end in LF, CR LF or CR; an event ends at an empty line; `data` lines are joined by LF; a line that starts with a
colon is a comment; one byte-order mark at the start is skipped. Bytes may be cut anywhere, also inside a character or
a CR LF. An event whose end never comes is not an event.
"""

from __future__ import annotations

from typing import NamedTuple

from bytespike.wire.limits import EVENT_BYTES_MAX

_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """One event exceeds `EVENT_BYTES_MAX`."""


class SSEvent(NamedTuple):
    """`event` is "" where the stream named none."""

    event: str
    data: bytes


class SSEParser:
    """`feed` bytes, get the events that they complete."""

    __slots__ = ("_buffer", "_started")

    def __init__(self) -> None:
        self._buffer = b""
        self._started = False

    @property
    def pending(self) -> int:
        """Bytes of an event that is not complete yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[SSEvent]:
        """Raises `EventTooLarge`."""
        buffer = self._buffer + data if self._buffer else data
        if not self._started:
            if len(buffer) < 3 and _BOM.startswith(buffer):
                self._buffer = buffer
                return []
            buffer = buffer.removeprefix(_BOM)
            self._started = True
        if b"\r" in buffer:
            # A CR at the very end may be half of a CR LF: wait for what follows.
            tail = b"\r" if buffer.endswith(b"\r") else b""
            buffer = (buffer[:-1] if tail else buffer).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        else:
            tail = b""
        cut = buffer.rfind(b"\n\n")
        if cut < 0:
            self._keep(buffer + tail)
            return []
        self._keep(buffer[cut + 2 :] + tail)
        events: list[SSEvent] = []
        for block in buffer[:cut].split(b"\n\n"):
            event = parse_block(block)
            if event is not None:
                events.append(event)
        return events

    def _keep(self, rest: bytes) -> None:
        if len(rest) > EVENT_BYTES_MAX:
            raise EventTooLarge(f"an event of more than {EVENT_BYTES_MAX} bytes")
        self._buffer = rest


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
