"""The events of one client's stream: each with its name, its type and the next sequence number."""

from __future__ import annotations

from bytespike.core.json_types import JSONObject
from bytespike.wire import json


class Frames:
    """Appends events to `out`. What one event costs is the encoding of its own members."""

    __slots__ = ("out", "sequence")

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.sequence = 0

    def event(self, kind: str, members: JSONObject) -> None:
        """One event; `members` without type and sequence number."""
        name = kind.encode()
        self.out.append(
            b'event: %b\ndata: {"type":"%b",%b,"sequence_number":%d}\n\n'
            % (name, name, json.encode(members)[1:-1], self.sequence)
        )
        self.sequence += 1

    def with_raw(self, kind: str, member: str, raw: bytes, members: bytes = b"") -> None:
        """One event around a member that is encoded already. `members`: further ones, each with a comma behind it."""
        name = kind.encode()
        self.out.append(
            b'event: %b\ndata: {"type":"%b",%b"%b":%b,"sequence_number":%d}\n\n'
            % (name, name, members, member.encode(), raw, self.sequence)
        )
        self.sequence += 1

    def delta(self, before: bytes, text: str, after: bytes) -> None:
        """One event that is prepared but for its text: see `prepared`."""
        self.out.append(b"%b%b%b%d}\n\n" % (before, json.encode(text), after, self.sequence))
        self.sequence += 1

    def taken(self) -> bytes:
        """What has been written since the last time."""
        out = b"".join(self.out)
        self.out.clear()
        return out


def prepared(kind: str, members: JSONObject, further: bytes = b"") -> tuple[bytes, bytes]:
    """Everything of a delta event before its text and after it. `further`: members behind the text, each with a comma
    before it."""
    name = kind.encode()
    before = b'event: %b\ndata: {"type":"%b",%b,"delta":' % (name, name, json.encode(members)[1:-1])
    return before, further + b',"sequence_number":'
