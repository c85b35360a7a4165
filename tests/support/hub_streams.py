"""A stream of a dialect as events, and back."""

from __future__ import annotations

from collections.abc import Sequence

from bytespike.core.dialect import Dialect, Reply
from bytespike.core.events import Event


def read_stream(dialect: Dialect, stream: bytes, step: int | None = None) -> list[Event]:
    """All that the dialect's reader makes of it. `step`: it is fed so many bytes at a time."""
    reader = dialect.stream_reader()
    step = step or len(stream) or 1
    found: list[Event] = []
    for at in range(0, len(stream), step):
        found += reader.feed(stream[at : at + step])
    return [*found, *reader.end()]


def written_stream(dialect: Dialect, reply: Reply, events: Sequence[Event]) -> bytes:
    """What the dialect's writer makes of it, given one event at a time."""
    writer = dialect.stream_writer(reply)
    return b"".join([writer.write([event]) for event in events])
