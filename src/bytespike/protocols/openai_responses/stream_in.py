"""A Responses stream, read into the hub.

    response.created, then items, each: output_item.added, its parts and deltas, output_item.done; at the end
    response.completed | response.incomplete | response.failed; an `error` event anywhere

Items are told apart by `output_index`; ids are not, for some proxies give an item another id in each event. What real
streams do besides, and what is made of it (each is in the recorded traffic):

- Nothing but the last event may be there, or items without their `done`, or parts without their start: whatever was not
  streamed is taken from the `done` event, and at last from the response in the final one.
- A piece of reasoning may have nothing to show; then it is a part only if its item brings a proof.
- Provider-side tools (code interpreter, MCP, file search) tell their progress in events of their own; what counts is the
  finished item.
- The first event may be missing, sequence numbers too.
"""

from __future__ import annotations

from typing import Final

from bytespike.core import events as e
from bytespike.core.json_types import JSONObject
from bytespike.errors import GatewayError, UpstreamError
from bytespike.protocols.openai_responses.errors import told_error
from bytespike.protocols.openai_responses.finish import read_finish
from bytespike.protocols.openai_responses.items_in import OutputReader, index_of
from bytespike.protocols.openai_responses.names import NAME, aside
from bytespike.protocols.openai_responses.response import (
    failure_of,
    response_rest,
    unix_seconds,
    usage_in,
)
from bytespike.protocols.openai_responses.schema import UNREADABLE, decode_event, decode_type
from bytespike.protocols.openai_responses.tool_names import ToolNames
from bytespike.wire import fields as f
from bytespike.wire import json
from bytespike.wire.sse import EventTooLarge, SSEParser, SSEvent

_TRUNCATED: Final = "The upstream's stream ended before the answer was complete."
_DONE: Final = b"[DONE]"
_DELTAS: Final = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
    }
)
#: Events that say nothing which the finished item does not say too.
_PROGRESS: Final = (
    "response.in_progress",
    "response.queued",
    "response.output_text.done",
    "response.refusal.done",
    "response.reasoning_text.",
    "response.reasoning_summary_text.",
    "response.reasoning_summary_part.",
    "response.function_call_arguments.",
    "response.custom_tool_call_input.",
    "response.web_search_call.",
    "response.file_search_call.",
    "response.code_interpreter_call",
    "response.image_generation_call.",
    "response.mcp_",
    "response.shell_call",
    "response.apply_patch_call",
    "response.compaction.",
    "response.steer.",
    "keepalive",
)


class ResponsesStreamReader:
    """Upstream bytes in, events out: `core.dialect.StreamReader`."""

    __slots__ = ("_output", "_over", "_parser", "_started")

    def __init__(self) -> None:
        self._parser = SSEParser()
        self._output = OutputReader()
        self._started = False
        self._over = False

    def feed(self, data: bytes) -> list[e.Event]:
        """Never raises: what cannot be read becomes `Failed`, after which the reader is deaf."""
        if self._over:
            return []
        try:
            for event in self._parser.feed(data):
                self._take(event)
                if self._over:
                    break
        except (f.Wrong, json.NotJSON, *UNREADABLE) as error:
            why = error.sentence if isinstance(error, f.Wrong) else str(error)
            self._fail(UpstreamError(f"The upstream sent a malformed event: {why}"))
        except EventTooLarge as error:
            self._fail(UpstreamError(f"The upstream sent too much: {error}."))
        return self._output.taken()

    def end(self) -> list[e.Event]:
        # The last event counts even without the empty line that should follow it.
        events = self.feed(b"\n\n") if self._parser.pending else []
        if self._over:
            return events
        self._fail(UpstreamError(_TRUNCATED))
        return [*events, *self._output.taken()]

    def _fail(self, error: GatewayError) -> None:
        self._over = True
        self._output.out.append(
            e.Failed(error.code, error.message, about=error.about, status=error.upstream_status)
        )

    def _take(self, event: SSEvent) -> None:
        try:
            decoded = decode_event(event.data)
        except UNREADABLE:
            if event.data.strip() != _DONE:
                kind = decode_type(event.data).type or event.event
                if kind in _DELTAS:
                    raise f.Wrong("does not have the members of a delta", kind) from None
                self._take_other(kind, event.data)
            return
        kind = decoded.type
        if not kind.endswith(".delta"):
            self._take_other(kind, event.data)
        elif kind == "response.output_text.delta" or kind == "response.refusal.delta":
            self._output.said(decoded, kind == "response.refusal.delta")
        elif kind == "response.reasoning_summary_text.delta":
            self._output.thought(decoded, ("summary", decoded.summary_index))
        elif kind == "response.reasoning_text.delta":
            self._output.thought(decoded, ("content", decoded.content_index))
        elif (
            kind == "response.function_call_arguments.delta"
            or kind == "response.custom_tool_call_input.delta"
        ):
            self._output.argued(decoded)
        else:
            self._take_other(kind, event.data)

    def _take_other(self, kind: str, data: bytes) -> None:
        if kind.startswith(_PROGRESS):
            return
        event = json.decode_object(data)
        if json.nests_deeper(event):
            raise f.Wrong("nests too deeply")
        match kind:
            case "response.output_item.added":
                self._output.added(index_of(event), f.object_at(event, "item"))
            case "response.output_item.done":
                self._output.done(index_of(event), f.object_at(event, "item"))
            case "response.content_part.added":
                self._output.part_added(event)
            case "response.content_part.done":
                self._output.part_done(event)
            case "response.output_text.annotation.added":
                self._output.annotated(event)
            case "response.created":
                self._created(f.object_at(event, "response"))
            case "response.completed" | "response.incomplete":
                self._completed(f.object_at(event, "response"), kind.rpartition(".")[2])
            case "response.failed":
                self._fail(failure_of(f.object_at(event, "response")))
            case "error":
                self._fail(told_error(event))
            case _:
                self._output.out.append(e.ForeignEvent(NAME, kind, event))

    # --- the response ------------------------------------------------------------------------------------------

    def _created(self, response: JSONObject) -> None:
        if self._started:
            return
        self._started = True
        self._output.names = ToolNames(response.get("tools"))
        if self._output.begun:
            # Nothing had told of the response before its items: a stream cannot start in its middle.
            return
        self._output.out.append(
            e.Started(
                f.optional_text(response, "id") or "",
                f.optional_text(response, "model") or "",
                unix_seconds(response.get("created_at")),
                aside(response_rest(response)),
            )
        )

    def _completed(self, response: JSONObject, kind: str) -> None:
        if not self._started:
            self._created(response)
        output = f.objects(f.optional_array(response, "output") or [], "output")
        self._output.finish(output)
        status = f.optional_text(response, "status") or kind
        finish = read_finish(response, status, called=self._output.called, refused=self._output.refused)
        self._output.out.append(e.Finished(finish))
        self._output.out.append(e.Done(usage_in(response), aside(response_rest(response))))
        self._over = True
