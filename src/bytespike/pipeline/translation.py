"""A stream in translation: upstream bytes in, client bytes out, with the same face as a same-dialect tap.

So one relay loop serves both, and a translated stream is measured as it goes by, event by event.
"""

from __future__ import annotations

from collections.abc import Mapping

from bytespike.core.content import ReasoningPart, RefusalPart, TextPart, ToolCallPart
from bytespike.core.dialect import StreamReader, StreamWriter
from bytespike.core.events import (
    Done,
    Event,
    Failed,
    Finished,
    InputDelta,
    PartEnd,
    PartStart,
    TextDelta,
    UsageUpdate,
)
from bytespike.core.finish import Finish
from bytespike.core.renaming import NO_RENAMES, restored_event
from bytespike.core.usage import Usage, estimated_chars
from bytespike.errors import GatewayError, error_for

_AT_LIMIT = Finish("length")


class Translation:
    """Implements `core.dialect.Tap` over a reader and a writer of two dialects. `renamed`: as in
    `core.dialect.Written`."""

    __slots__ = (
        "_choices", "_finished", "_open", "_reader", "_renamed", "_writer", "complete", "failure", "produced_chars",
        "usage",
    )  # fmt: skip

    def __init__(
        self, reader: StreamReader, writer: StreamWriter, renamed: Mapping[str, str] = NO_RENAMES
    ) -> None:
        self._renamed = renamed
        self._reader = reader
        self._writer = writer
        self.complete = False
        self.failure: GatewayError | None = None
        self.usage: Usage | None = None
        self.produced_chars = 0
        #: Parts that have not ended, choices that have begun, and those of them that have ended.
        self._open: set[int] = set()
        self._choices: set[int] = {0}
        self._finished: set[int] = set()

    @property
    def ended(self) -> bool:
        return self.complete

    def feed(self, data: bytes) -> bytes:
        return self.take(self._reader.feed(data))

    def end(self) -> bytes:
        return self.take(self._reader.end())

    def take(self, events: list[Event]) -> bytes:
        """The frames for these events; what follows a failure is not told here but by whoever ends the stream."""
        if self._renamed:
            events = [restored_event(event, self._renamed) for event in events]
        for number, event in enumerate(events):
            if isinstance(event, TextDelta):
                self.produced_chars += estimated_chars(event.text)
            elif isinstance(event, InputDelta):
                self.produced_chars += estimated_chars(event.json)
            elif isinstance(event, PartStart):
                self.produced_chars += _chars(event)
                self._open.add(event.index)
                self._choices.add(event.choice)
            elif isinstance(event, PartEnd):
                self._open.discard(event.index)
            elif isinstance(event, Finished):
                self._finished.add(event.choice)
            elif isinstance(event, UsageUpdate):
                self.usage = event.usage
            elif isinstance(event, Done):
                self.usage = event.usage
                self.complete = True
            elif isinstance(event, Failed):
                self.failure = error_for(event.code, event.message)
                self.failure.about = event.about
                self.failure.upstream_status = event.status
                return self._writer.write(events[:number]) if number else b""
        return self._writer.write(events) if events else b""

    def cut(self, usage: Usage) -> bytes:
        """See `core.dialect.Tap`: what is open ends with what it has, as where a provider's own limit strikes."""
        events: list[Event] = [PartEnd(index) for index in sorted(self._open)]
        events += [Finished(_AT_LIMIT, choice) for choice in sorted(self._choices - self._finished)]
        events.append(Done(usage))
        return self._writer.write(events)


def _chars(event: PartStart) -> int:
    part = event.part
    if isinstance(part, TextPart | ReasoningPart | RefusalPart):
        return estimated_chars(part.text)
    if isinstance(part, ToolCallPart):
        return estimated_chars(part.name) + estimated_chars(part.arguments)
    return 0
