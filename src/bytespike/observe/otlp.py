"""Spans to a collector, by OpenTelemetry's protocol over HTTP (OTLP), from a thread of its own.

Imported only where traces are configured: OpenTelemetry and its protocol buffers take 16 MB, and most gateways have no
collector. So `app` looks it up by name (`importlib`) instead of importing it, and nothing else may import it.

The event loop puts records into a bounded queue and goes on. The thread makes spans of them and sends them in batches; a
collector that is slow or away costs spans, which are counted, and nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from bytespike.observe.contents import told
from bytespike.observe.tracing import SpanRecord

log = structlog.get_logger("bytespike.observe")

#: Spans that wait to be sent; further ones are dropped.
QUEUE_MAX: Final = 8_192
#: Spans in one request to the collector.
BATCH_MAX: Final = 512
#: How long a span waits for others.
BATCH_S: Final = 1.0
#: How long the collector may take for a batch, and how long the end of the process waits for the last ones.
EXPORT_S: Final = 10.0
STOP_S: Final = 3.0

_SCOPE: Final = InstrumentationScope("bytespike", version("bytespike"))


class OtlpSink:
    """A `tracing.Sink`. `exported` and `dropped` count spans."""

    def __init__(self, exporter: SpanExporter, resource: Resource, *, batch_s: float = BATCH_S) -> None:
        self._exporter = exporter
        self._resource = resource
        self._batch_s = batch_s
        self._queue: deque[SpanRecord] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._failing = False
        self.exported = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def put(self, spans: list[SpanRecord]) -> None:
        """Never blocks. A request's spans go in together or not at all."""
        queue = self._queue
        if len(queue) + len(spans) > QUEUE_MAX:
            self.dropped += len(spans)
            return
        queue.extend(spans)
        if len(queue) >= BATCH_MAX and not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        """Send what is left, for at most `STOP_S`. Blocks."""
        self._stopping = True
        self._wake.set()
        self._thread.join(STOP_S)
        self._exporter.shutdown()
        self.dropped += len(self._queue)
        self._queue.clear()

    # --- within the thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._wake.wait(self._batch_s)
            self._wake.clear()
            while self._queue:
                self._send([self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))])
            if self._stopping:
                return

    def _send(self, records: list[SpanRecord]) -> None:
        try:
            done = self._exporter.export([self._span(record) for record in records])
        except Exception as error:  # the thread's boundary: without it no span would be sent again
            done = SpanExportResult.FAILURE
            if not self._failing:
                log.warning("spans could not be sent", error=type(error).__name__)
        if done is SpanExportResult.SUCCESS:
            self.exported += len(records)
            if self._failing:
                log.info("the trace collector takes spans again")
        else:
            self.dropped += len(records)
            if not self._failing:
                log.warning("the trace collector does not take spans", spans=len(records))
        self._failing = done is not SpanExportResult.SUCCESS

    def _span(self, record: SpanRecord) -> ReadableSpan:
        attributes = dict(record.attributes)
        if record.contents is not None:
            attributes.update(_contents(record))
        parent = (
            None
            if record.parent_id is None
            else _context(record.trace_id, record.parent_id, remote=record.server)
        )
        return ReadableSpan(
            name=record.name,
            context=_context(record.trace_id, record.span_id),
            parent=parent,
            resource=self._resource,
            attributes=attributes,
            kind=SpanKind.SERVER if record.server else SpanKind.CLIENT,
            status=Status(StatusCode.ERROR, record.error) if record.error else Status(),
            start_time=record.start_ns,
            end_time=record.end_ns,
            instrumentation_scope=_SCOPE,
        )


def open_sink(endpoint: str, headers: Mapping[str, str], instance: str) -> OtlpSink:
    """A `tracing.OpenSink`, which `app` looks up by name. To the collector at `endpoint` (its base URL). `instance`: what tells this process from others."""
    # It tells of each batch that fails, and of each retry; this module tells once.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", headers=dict(headers), timeout=EXPORT_S)
    resource = Resource(
        {
            "service.name": "bytespike",
            "service.version": version("bytespike"),
            "service.instance.id": instance,
        }
    )
    return OtlpSink(exporter, resource)


def _context(trace_id: int, span_id: int, *, remote: bool = False) -> SpanContext:
    return SpanContext(trace_id, span_id, remote, TraceFlags(TraceFlags.SAMPLED))


def _contents(record: SpanRecord) -> dict[str, str]:
    """What was asked; nothing if it cannot be read."""
    assert record.contents is not None
    try:
        return told(record.contents())
    except Exception:  # whatever a reader makes of a body must not cost the span
        return {}
