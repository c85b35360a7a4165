"""An upstream's stream, read: server-sent events, or a JSON array of chunks.

Every chunk has the form of a whole answer with a piece of it: parts of each candidate, figures so far, and in the end why
a candidate stopped. There is no closing frame. The stream is complete at its end, if every candidate seen has its
`finishReason`; so `end` gives the closing events.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bytespike.core import events as e
from bytespike.core.fold import PARTS_MAX
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.usage import Usage
from bytespike.errors import ContentPolicyViolation, GatewayError, UpstreamError
from bytespike.protocols.gemini.candidate_in import CandidateReader
from bytespike.protocols.gemini.errors import stream_error
from bytespike.protocols.gemini.framing import ChunkParser
from bytespike.protocols.gemini.names import CANDIDATES_MAX, aside
from bytespike.protocols.gemini.schema import UNREADABLE, CandidateDelta, Chunk, Feedback, decode_chunk
from bytespike.protocols.gemini.usage import UNKNOWN, read_usage, searches_in, with_searches
from bytespike.protocols.part_numbers import Numbering, TooMuch
from bytespike.wire import json
from bytespike.wire.fields import Wrong
from bytespike.wire.sse import EventTooLarge

#: Some vendors that copy this wire close the stream as OpenAI does.
DONE: Final = b"[DONE]"
TRUNCATED: Final = "The upstream's stream ended before the answer was complete."
MALFORMED: Final = "The upstream sent a malformed chunk."


class GeminiStreamReader:
    """Upstream bytes in, events out: `core.dialect.StreamReader`."""

    __slots__ = (
        "_candidates",
        "_figures",
        "_model",
        "_numbering",
        "_over",
        "_parser",
        "_response_id",
        "_started",
    )

    def __init__(self) -> None:
        self._parser = ChunkParser()
        self._numbering = Numbering(PARTS_MAX)
        self._candidates: dict[int, CandidateReader] = {}
        self._figures: JSONObject | None = None
        self._model = ""
        self._response_id = ""
        self._started = False
        self._over = False

    def feed(self, data: bytes) -> list[e.Event]:
        """Never raises: what cannot be read becomes `Failed`, after which the reader is deaf."""
        events: list[e.Event] = []
        if self._over:
            return events
        try:
            for chunk in self._parser.feed(data):
                if chunk.startswith(b"{") or chunk.strip() != DONE:
                    self._chunk(decode_chunk(chunk), chunk, events)
                if self._over:
                    return events
            if self._parser.broken:
                self._fail(UpstreamError(MALFORMED), events)
        except (*UNREADABLE, json.NotJSON):
            self._fail(UpstreamError(MALFORMED), events)
        except (EventTooLarge, TooMuch) as error:
            self._fail(UpstreamError(f"The upstream sent too much: {error}."), events)
        except Wrong as wrong:
            self._fail(UpstreamError(f"{MALFORMED[:-1]}: {wrong.sentence}"), events)
        return events

    def end(self) -> list[e.Event]:
        """The closing events of a complete stream; `Failed` for an incomplete one."""
        events: list[e.Event] = []
        if self._over:
            return events
        candidates = self._candidates
        if not candidates or any(candidate.finish is None for candidate in candidates.values()):
            self._fail(UpstreamError(TRUNCATED), events)
            return events
        self._over = True
        for choice, candidate in sorted(candidates.items()):
            if candidate.finish is not None:
                events.append(e.Finished(candidate.finish, choice))
        events.append(e.Done(self._usage()))
        return events

    def _usage(self) -> Usage:
        figures = self._figures
        usage = read_usage(figures) if figures else UNKNOWN
        searches = sum(
            searches_in(candidate.members.get("groundingMetadata"), self._model)
            for candidate in self._candidates.values()
        )
        return with_searches(usage, searches, figures or {})

    def _chunk(self, chunk: Chunk, raw: bytes, events: list[e.Event]) -> None:
        if chunk.error:
            self._fail(stream_error(chunk.error), events)
            return
        if not self._started and (chunk.candidates or chunk.responseId):
            self._start(chunk, events)
        candidates = chunk.candidates
        if candidates:
            for number, delta in enumerate(candidates):
                self._candidate(delta, number, raw, events)
        elif chunk.promptFeedback is not None and chunk.promptFeedback.blockReason:
            self._fail(blocked(chunk.promptFeedback), events)
            return
        if chunk.usageMetadata and chunk.usageMetadata != self._figures:
            self._figures = chunk.usageMetadata
            events.append(e.UsageUpdate(read_usage(chunk.usageMetadata)))

    def _start(self, chunk: Chunk, events: list[e.Event]) -> None:
        self._started = True
        self._model = chunk.modelVersion or ""
        self._response_id = chunk.responseId or ""
        kept = aside({"createTime": chunk.createTime} if chunk.createTime else {})
        events.append(e.Started(self._response_id, self._model, unix_seconds(chunk.createTime), kept))

    def _candidate(self, delta: CandidateDelta, number: int, raw: bytes, events: list[e.Event]) -> None:
        choice = number if delta.index is None else delta.index
        candidate = self._candidates.get(choice)
        if candidate is None:
            if not 0 <= choice < CANDIDATES_MAX:
                raise TooMuch(f"candidate number {choice}")
            candidate = CandidateReader(choice, self._response_id, self._numbering)
            self._candidates[choice] = candidate
        elif candidate.finish is not None:
            # Figures may follow the end, more of the answer may not.
            return
        content = delta.content
        if content is not None and content.parts:
            for part in content.parts:
                candidate.part(part, events)
        if (
            delta.finishReason is not None
            or delta.groundingMetadata is not None
            or delta.citationMetadata is not None
            or delta.logprobsResult is not None
        ):
            candidate.note(_members(raw, number))
            if delta.finishReason is not None:
                candidate.end(events)
            else:
                candidate.cite(events)

    def _fail(self, error: GatewayError, events: list[e.Event]) -> None:
        events.append(e.Failed(error.code, error.message, about=error.about, status=error.upstream_status))
        self._over = True


def blocked(feedback: Feedback) -> GatewayError:
    """The prompt did not get past Google's filters: there is no answer."""
    why = feedback.blockReasonMessage or f"The prompt was blocked by the provider: {feedback.blockReason}."
    return ContentPolicyViolation(why)


def unix_seconds(told: JSON) -> int:
    """A timestamp in RFC 3339; 0 for anything else."""
    if not isinstance(told, str):
        return 0
    try:
        return max(0, int(datetime.fromisoformat(told).timestamp()))
    except (ValueError, OverflowError):
        return 0


def _members(raw: bytes, number: int) -> JSONObject:
    """Everything that a chunk says about one candidate but its content."""
    candidates = json.decode_object(raw).get("candidates")
    candidate = candidates[number] if isinstance(candidates, list) else None
    if not isinstance(candidate, dict):
        return {}
    return {key: value for key, value in candidate.items() if key != "content"}
