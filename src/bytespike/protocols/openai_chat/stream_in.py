"""An upstream's stream, read.

A chunk says which choice it is about and adds to the members of that choice's message. The hub wants parts with a start
and an end, so this reader keeps, for each choice, the part that is open:

- Text, refusal and reasoning: one is open at a time. Another kind closes it. Empty pieces open nothing.
- Tool calls: any number may be open, for OpenAI may interleave them by `index`. A call whose arguments are complete JSON
  is closed when the next one starts, so that writers for dialects which cannot interleave need not wait.
- Everything that comes whole (images, provider-side tools, audio at the end) opens and closes at once.

`Finished` and `Done` wait for `[DONE]` or for the end of the bytes, because usage comes after the last `finish_reason`
and some vendors repeat that chunk. A stream is complete when every choice seen has its `finish_reason`, or at `[DONE]`,
which not every vendor sends; so `end` may still give the closing events of a complete stream.

Reasoning in several spellings is read once: within a chunk the details win over the plain text; details that come
alone, after reasoning that came as plain text alone, only add their proofs.
"""

from __future__ import annotations

from typing import Final

from bytespike.core import events as e
from bytespike.core.finish import Finish
from bytespike.core.fold import PARTS_MAX
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.usage import Usage
from bytespike.errors import GatewayError, UpstreamError
from bytespike.protocols.openai_chat.choice_in import ChoiceReader
from bytespike.protocols.openai_chat.errors import told_error, told_in
from bytespike.protocols.openai_chat.names import CHOICES_MAX, aside
from bytespike.protocols.openai_chat.response import unix_seconds
from bytespike.protocols.openai_chat.schema import UNREADABLE, Chunk, decode_chunk
from bytespike.protocols.openai_chat.usage import UNKNOWN, read_usage
from bytespike.protocols.part_numbers import Numbering, TooMuch
from bytespike.wire.fields import Wrong
from bytespike.wire.sse import EventTooLarge, SSEParser

DONE: Final = b"[DONE]"
_TRUNCATED: Final = "The upstream's stream ended before the answer was complete."


class ChatStreamReader:
    """Upstream bytes in, events out: `core.dialect.StreamReader`. `inline_think`: reasoning may stand in the content."""

    __slots__ = (
        "_choices",
        "_extras",
        "_inline_think",
        "_numbering",
        "_over",
        "_parser",
        "_started",
        "_usage",
    )

    def __init__(self, *, inline_think: bool = False) -> None:
        self._inline_think = inline_think
        self._parser = SSEParser()
        self._numbering = Numbering(PARTS_MAX)
        self._choices: dict[int, ChoiceReader] = {}
        self._usage: Usage | None = None
        self._extras: JSONObject = {}
        self._started = False
        self._over = False

    def feed(self, data: bytes) -> list[e.Event]:
        """Never raises: what cannot be read becomes `Failed`, after which the reader is deaf."""
        events: list[e.Event] = []
        if self._over:
            return events
        try:
            for frame in self._parser.feed(data):
                if frame.data.startswith(b"{"):
                    self._chunk(decode_chunk(frame.data), events)
                elif frame.data.strip() == DONE:
                    self._done(events)
                else:
                    self._chunk(decode_chunk(frame.data), events)
                if self._over:
                    break
        except UNREADABLE:
            self._fail(UpstreamError("The upstream sent a malformed chunk."), events)
        except (EventTooLarge, TooMuch) as error:
            self._fail(UpstreamError(f"The upstream sent too much: {error}."), events)
        except Wrong as wrong:
            self._fail(UpstreamError(f"The upstream sent a malformed chunk: {wrong.sentence}"), events)
        return events

    def end(self) -> list[e.Event]:
        """The closing events of a complete stream without `[DONE]`; `Failed` for an incomplete one."""
        events: list[e.Event] = []
        if self._over:
            return events
        if not self._choices or any(choice.finish is None for choice in self._choices.values()):
            self._fail(UpstreamError(_TRUNCATED), events)
            return events
        try:
            self._done(events)
        except Wrong as wrong:
            self._fail(UpstreamError(f"The upstream sent a malformed chunk: {wrong.sentence}"), events)
        return events

    def _chunk(self, chunk: Chunk, events: list[e.Event]) -> None:
        if chunk.error or (chunk.x_groq is not None and chunk.x_groq.error):
            self._fail_with(chunk.error or (chunk.x_groq.error if chunk.x_groq else None), chunk, events)
            return
        choices = chunk.choices
        if choices is None or (chunk.base_resp is not None and chunk.base_resp.get("status_code")):
            self._without_choices(chunk, events)
            return
        if not self._started and (choices or chunk.id):
            self._start(chunk, events)
        usage = chunk.usage
        for delta in choices:
            if delta.error:
                self._fail_with(delta.error, chunk, events)
                return
            choice = self._choices.get(delta.index or 0)
            if choice is None:
                choice = self._new_choice(delta.index or 0, chunk.id or "")
            choice.read(delta, events)
            usage = usage or delta.usage
        if usage is None and chunk.x_groq is not None:
            usage = chunk.x_groq.usage
        if usage:
            self._usage = read_usage(usage)
            events.append(e.UsageUpdate(self._usage))
        if chunk.service_tier or chunk.moderation:
            self._keep(chunk)

    def _start(self, chunk: Chunk, events: list[e.Event]) -> None:
        self._started = True
        events.append(e.Started(chunk.id or "", chunk.model or "", unix_seconds(chunk.created)))
        if chunk.system_fingerprint:
            self._extras["system_fingerprint"] = chunk.system_fingerprint

    def _keep(self, chunk: Chunk) -> None:
        if chunk.service_tier:
            self._extras["service_tier"] = chunk.service_tier
        if chunk.moderation:
            self._extras["moderation"] = chunk.moderation

    def _new_choice(self, index: int, response_id: str) -> ChoiceReader:
        if not 0 <= index < CHOICES_MAX:
            raise TooMuch(f"choice number {index}")
        choice = self._choices[index] = ChoiceReader(
            index, response_id, self._numbering, inline_think=self._inline_think
        )
        return choice

    def _without_choices(self, chunk: Chunk, events: list[e.Event]) -> None:
        """A usage frame of a vendor that leaves the empty array out, a keep-alive, or an error by another name."""
        failed = (chunk.base_resp or {}).get("status_code")
        if chunk.message is not None or chunk.code is not None or failed:
            said: JSONObject = {"code": chunk.code, "message": chunk.message}
            if chunk.base_resp is not None and failed:
                said = {"base_resp": chunk.base_resp}
            self._fail_with(said, chunk, events)
        elif chunk.usage:
            self._usage = read_usage(chunk.usage)
            events.append(e.UsageUpdate(self._usage))
        else:
            events.append(e.Ping())

    def _done(self, events: list[e.Event]) -> None:
        if not self._choices:
            self._fail(UpstreamError("The upstream's stream was empty."), events)
            return
        choices = sorted(self._choices.items())
        for _, choice in choices:
            choice.close(events)
        for index, choice in choices:
            events.append(e.Finished(choice.finish or Finish("other"), index))
        events.append(e.Done(self._usage or UNKNOWN, aside(self._extras)))
        self._over = True

    def _fail_with(self, error: JSON, chunk: Chunk, events: list[e.Event]) -> None:
        """An error inside of the stream. One about the channel is not shown."""
        if chunk.usage:
            events.append(e.UsageUpdate(read_usage(chunk.usage)))
        self._fail(told_error(told_in(error)), events)

    def _fail(self, error: GatewayError, events: list[e.Event]) -> None:
        events.append(e.Failed(error.code, error.message, about=error.about, status=error.upstream_status))
        self._over = True
