"""A stream of server-sent events with pictures in it, as the steps of a drawing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bytespike.core.json_types import JSONObject
from bytespike.errors import GatewayError, UpstreamError
from bytespike.media.drawing import Step
from bytespike.wire import json
from bytespike.wire.sse import EventTooLarge, SSEParser

_DONE: Final = b"[DONE]"

#: One event's data, decoded: its step, None where it brings none; and whether it is the stream's last.
ReadEvent = Callable[[JSONObject], tuple[Step | None, bool]]


class EventSteps:
    """`media.drawing.DrawingReader` for streams of JSON events. `read` may raise GatewayError."""

    __slots__ = ("_deaf", "_ended", "_parser", "_read")

    def __init__(self, read: ReadEvent) -> None:
        self._parser = SSEParser()
        self._read = read
        self._deaf = False
        self._ended = False

    def feed(self, data: bytes) -> list[Step]:
        if self._deaf:
            return []
        steps: list[Step] = []
        try:
            for event in self._parser.feed(data):
                if event.data.strip() == _DONE:
                    self._ended = True
                    continue
                step, last = self._read(json.decode_object(event.data))
                self._ended = self._ended or last
                if step is not None:
                    steps.append(step)
        except GatewayError as error:
            steps.append(self._failed(error))
        except (json.NotJSON, EventTooLarge):
            steps.append(self._failed(UpstreamError("The upstream's stream is malformed.")))
        return steps

    def end(self) -> list[Step]:
        if self._deaf or self._ended:
            return []
        return [self._failed(UpstreamError("The upstream's stream broke off."))]

    def _failed(self, error: GatewayError) -> GatewayError:
        self._deaf = True
        return error
