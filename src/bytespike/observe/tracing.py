"""Traces: a span for each request, and one within it for each upstream call.

Off unless an exporter is configured, and then nothing of this is there but a comparison with None: this module knows
nothing of OpenTelemetry, which `otlp` brings. On, a request costs some ids at its beginning and a few small records at its
end, when all about it is known; a thread of the exporter makes spans of them.

A client's `traceparent` (W3C Trace Context) is continued, and its word on sampling is taken; without one, a share of the
requests is sampled, by the trace's id. Where the operator wants it, upstreams get a `traceparent` of the call that asks them.

No text of a prompt is in a span, unless `contents` is set; then what a client asked is, and never what it was answered. No
key, no credential, no address of a client is, in any case.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from bytespike.core.request import ChatRequest
from bytespike.core.usage import Usage
from bytespike.observe import genai
from bytespike.observe.shelf import Reading

Value: TypeAlias = str | int | float | bool
#: Reads what was asked, off the event loop. May raise what reading raises.
ReadContents: TypeAlias = Callable[[], ChatRequest]

#: Upstream calls of one request that get a span.
CALLS_MAX: Final = 16
#: A larger body is not kept for its contents.
CONTENT_BYTES_MAX: Final = 256 * 1024

_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACESTATE_BYTES_MAX: Final = 512
_TRACESTATE: Final = re.compile(rb"[\x20-\x7e]+")
_LOW: Final = (1 << 64) - 1


class SpanRecord(Struct, frozen=True):
    """A span as the exporter gets it. Times are Unix nanoseconds. `server`: the request, else a call of an upstream.
    `error`: "" where nothing failed. `contents`: None where they are nobody's business."""

    trace_id: int
    span_id: int
    parent_id: int | None
    name: str
    server: bool
    start_ns: int
    end_ns: int
    attributes: dict[str, Value]
    error: str = ""
    contents: ReadContents | None = None


class Sink(Protocol):
    """Where spans go."""

    exported: int
    dropped: int

    def put(self, spans: list[SpanRecord]) -> None:
        """Must not block, and may drop them."""
        ...


class StoppableSink(Sink, Protocol):
    """`stop`: send what is left, within a few seconds. Blocks."""

    def stop(self) -> None: ...


#: A collector's base URL, the headers that it wants, and what tells this process from others.
OpenSink: TypeAlias = Callable[[str, Mapping[str, str], str], StoppableSink]


class UpstreamCall(Struct, frozen=True):
    """What is told of one call of an upstream. Times in nanoseconds, `ended_ns` Unix."""

    channel_id: str
    platform: str
    model: str
    dialect: str
    outcome: str
    status: int
    error: str
    reason: str
    ended_ns: int
    lasted_ns: int
    first_byte_ns: int
    usage: Usage | None = None


class Trace:
    """Of one request that is under way. `sampled`: it will be told."""

    __slots__ = (
        "_calls",
        "_state",
        "attributes",
        "contents",
        "parent_id",
        "sampled",
        "span_id",
        "spans",
        "trace_id",
    )

    def __init__(self, trace_id: int, parent_id: int | None, state: bytes, *, sampled: bool) -> None:
        self.trace_id = trace_id
        self.parent_id = parent_id
        self.span_id = _new_id(64)
        self.sampled = sampled
        self._state = state
        self._calls: list[int] = []
        self.spans: list[SpanRecord] = []
        self.attributes: dict[str, Value] = {}
        self.contents: ReadContents | None = None

    def calling(self) -> None:
        """An upstream is about to be called."""
        if len(self._calls) < CALLS_MAX:
            self._calls.append(_new_id(64))

    def header_lines(self) -> bytes:
        """What tells an upstream of this trace."""
        span_id = self._calls[-1] if self._calls else self.span_id
        line = b"traceparent: 00-%032x-%016x-%02x\r\n" % (self.trace_id, span_id, int(self.sampled))
        return line + b"tracestate: %b\r\n" % self._state if self._state else line

    def called(self, calls: list[UpstreamCall]) -> None:
        """What came of the calls, in their order."""
        for span_id, call in zip(self._calls, calls, strict=False):
            self.spans.append(self._span(span_id, call))

    def _span(self, span_id: int, call: UpstreamCall) -> SpanRecord:
        operation = genai.operation(call.dialect)
        attributes: dict[str, Value] = {
            genai.OPERATION: operation,
            genai.PROVIDER: genai.provider(call.platform),
            genai.REQUEST_MODEL: call.model,
            genai.UPSTREAM_DIALECT: call.dialect,
            genai.CHANNEL: call.channel_id,
            genai.OUTCOME: call.outcome,
        }
        if call.reason:
            attributes[genai.REASON] = call.reason
        if call.status:
            attributes[genai.HTTP_STATUS] = call.status
        if call.usage is not None:
            _tell_usage(attributes, call.usage)
            attributes[genai.FIRST_CHUNK] = call.first_byte_ns / 1e9
        if call.error:
            attributes[genai.ERROR_TYPE] = call.error
        return SpanRecord(
            self.trace_id,
            span_id,
            self.span_id,
            f"{operation} {call.model}",
            False,
            call.ended_ns - call.lasted_ns,
            call.ended_ns,
            attributes,
            call.error,
        )


class Tracing:
    """`ratio`: the share of requests that are told, where no client has decided. `propagate`: tell upstreams.
    `contents`: tell what was asked."""

    def __init__(self, sink: Sink, *, ratio: float, propagate: bool = False, contents: bool = False) -> None:
        self.sink = sink
        self.propagate = propagate
        self.contents = contents
        self._below = round(ratio * (1 << 64))
        #: Requests under way whose traces have begun, by request id: as many as there are requests.
        self._open: dict[str, Trace] = {}

    def figures(self) -> list[Reading]:
        """For the metrics."""
        sink = self.sink
        return [Reading("spans_exported", (), sink.exported), Reading("spans_dropped", (), sink.dropped)]

    def begin(self, request_id: str, headers: Mapping[bytes, bytes]) -> Trace:
        """A request, from its head. Ended by `end`, whatever happens."""
        trace = self._trace(headers)
        self._open[request_id] = trace
        return trace

    def of(self, request_id: str) -> Trace | None:
        """The trace of a request that is under way."""
        return self._open.get(request_id)

    def end(self, request_id: str, endpoint: str, status: int, start_ns: int) -> None:
        """The request is over. `status`: what it was answered, 0 if its caller hung up before. `start_ns`: Unix."""
        trace = self._open.pop(request_id, None)
        if trace is None or not trace.sampled:
            return
        attributes = trace.attributes
        attributes[genai.REQUEST_ID] = request_id
        attributes[genai.ENDPOINT] = endpoint
        if status:
            attributes[genai.HTTP_STATUS] = status
        error = str(attributes.get(genai.ERROR_TYPE, "")) or (str(status) if status >= 400 else "")
        if error:
            attributes[genai.ERROR_TYPE] = error
        model = attributes.get(genai.REQUEST_MODEL)
        name = f"{attributes[genai.OPERATION]} {model}" if model else endpoint
        request = SpanRecord(
            trace.trace_id,
            trace.span_id,
            trace.parent_id,
            name,
            True,
            start_ns,
            max(start_ns, time.time_ns()),
            attributes,
            error,
            trace.contents,
        )
        self.sink.put([request, *trace.spans])

    def _trace(self, headers: Mapping[bytes, bytes]) -> Trace:
        told = headers.get(b"traceparent")
        found = None if told is None else _TRACEPARENT.fullmatch(told)
        if found is not None:
            version, trace, parent, flags, more = found.groups()
            trace_id, parent_id = int(trace, 16), int(parent, 16)
            # A later version may say more, this one may not; zeros are no ids.
            if trace_id and parent_id and version != b"ff" and (version != b"00" or not more):
                return Trace(trace_id, parent_id, _state(headers), sampled=bool(int(flags, 16) & 1))
        trace_id = _new_id(128)
        return Trace(trace_id, None, b"", sampled=trace_id & _LOW < self._below)


def _state(headers: Mapping[bytes, bytes]) -> bytes:
    told = headers.get(b"tracestate", b"")
    if len(told) > _TRACESTATE_BYTES_MAX or not _TRACESTATE.fullmatch(told):
        return b""
    return told


def _new_id(bits: int) -> int:
    """Never 0, which is no id."""
    return secrets.randbits(bits) or 1


def _tell_usage(attributes: dict[str, Value], usage: Usage) -> None:
    attributes[genai.INPUT_TOKENS] = usage.prompt_total
    attributes[genai.OUTPUT_TOKENS] = usage.output
    if usage.cache_read:
        attributes[genai.CACHE_READ_TOKENS] = usage.cache_read
    written = usage.cache_write_5m + usage.cache_write_1h
    if written:
        attributes[genai.CACHE_WRITE_TOKENS] = written
    if usage.reasoning:
        attributes[genai.REASONING_TOKENS] = usage.reasoning
