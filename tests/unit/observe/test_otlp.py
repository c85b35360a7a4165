"""Spans to a collector: in batches, off the event loop, and never at a request's cost."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from bytespike.core.content import ImagePart, TextPart, ToolCallPart, ToolResultPart, Turn, UrlSource
from bytespike.core.request import ChatRequest
from bytespike.observe.otlp import QUEUE_MAX, OtlpSink, open_sink
from bytespike.observe.tracing import SpanRecord
from tests.support.collector import Collector


def record(number: int = 1, **more: object) -> SpanRecord:
    fields = {
        "trace_id": 1,
        "span_id": number,
        "parent_id": None,
        "name": "chat m",
        "server": True,
        "start_ns": 1,
        "end_ns": 2,
        "attributes": {"bytespike.request_id": f"req_{number}"},
        **more,
    }
    return SpanRecord(**fields)


class Exporter(SpanExporter):
    """Waits until it may, and then says `result`."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.result: SpanExportResult | Exception = SpanExportResult.SUCCESS
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.may.wait()
        if isinstance(self.result, Exception):
            raise self.result
        self.spans += spans
        return self.result

    def shutdown(self) -> None:
        """Nothing is open."""


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    made = Exporter()
    yield made
    made.may.set()


def sink_of(exporter: Exporter) -> OtlpSink:
    return OtlpSink(exporter, Resource({}), batch_s=0.01)


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_collector_that_is_slow_costs_spans_and_no_time(exporter: Exporter):
    sink = sink_of(exporter)
    sink.put([record()])
    until(lambda: not sink._queue)  # the thread has it, and waits for the collector
    for number in range(QUEUE_MAX + 100):
        sink.put([record(number + 2)])
    assert sink.dropped == 100
    exporter.may.set()
    until(lambda: sink.exported == QUEUE_MAX + 1)
    assert len(exporter.spans) == QUEUE_MAX + 1
    sink.stop()


def test_a_requests_spans_go_together_or_not_at_all(exporter: Exporter):
    sink = sink_of(exporter)
    sink.put([record()])
    until(lambda: not sink._queue)
    sink.put([record(number + 2) for number in range(QUEUE_MAX - 1)])
    sink.put([record(1), record(2)])
    assert sink.dropped == 2
    exporter.may.set()
    sink.stop()
    assert sink.exported == QUEUE_MAX


@pytest.mark.parametrize("result", [SpanExportResult.FAILURE, OSError("gone")])
def test_spans_that_the_collector_does_not_take_are_counted(exporter: Exporter, result: SpanExportResult):
    exporter.result = result
    exporter.may.set()
    sink = sink_of(exporter)
    sink.put([record(1), record(2)])
    until(lambda: sink.dropped == 2)
    exporter.result = SpanExportResult.SUCCESS
    sink.put([record(3)])
    until(lambda: sink.exported == 1)
    sink.stop()


def test_what_waits_at_the_end_is_sent(exporter: Exporter):
    exporter.may.set()
    sink = OtlpSink(exporter, Resource({}), batch_s=3600.0)
    sink.put([record()])
    sink.stop()
    assert sink.exported == 1


def test_a_collector_gets_what_it_needs():
    with Collector() as collector:
        sink = open_sink(collector.url, {"x-collector-key": "secret"}, "host/0")
        sink.put([record(7, error="timeout")])
        sink.stop()
        span, _ = collector.of("req_7")
        assert collector.headers[0]["x-collector-key"] == "secret"
        assert span.name == "chat m"
        assert span.server
        assert span.failed
        assert span.resource["service.name"] == "bytespike"
        assert span.resource["service.instance.id"] == "host/0"


REQUEST = ChatRequest(
    model="m",
    system=(TextPart("be brief"),),
    turns=(
        Turn("user", (TextPart("look"), ImagePart(UrlSource("https://example.com/a.png")))),
        Turn("assistant", (ToolCallPart("call_1", "find", '{"a":1}'),)),
        Turn("user", (ToolResultPart("call_1", (TextPart("found"),)),)),
    ),
)


def test_contents_are_told_as_the_conventions_write_them(exporter: Exporter):
    exporter.may.set()
    sink = sink_of(exporter)
    sink.put([record(contents=lambda: REQUEST)])
    sink.stop()
    attributes = exporter.spans[0].attributes
    assert attributes is not None
    assert attributes["gen_ai.system_instructions"] == '[{"type":"text","content":"be brief"}]'
    assert attributes["gen_ai.input.messages"] == (
        '[{"role":"user","parts":[{"type":"text","content":"look"},{"type":"image","content":"(not told)"}]},'
        '{"role":"assistant","parts":[{"type":"tool_call","id":"call_1","name":"find","arguments":"{\\"a\\":1}"}]},'
        '{"role":"user","parts":[{"type":"tool_call_response","id":"call_1","result":"found"}]}]'
    )


def test_contents_that_cannot_be_read_cost_no_span(exporter: Exporter):
    def unreadable() -> ChatRequest:
        raise ValueError("no JSON")

    exporter.may.set()
    sink = sink_of(exporter)
    sink.put([record(contents=unreadable)])
    sink.stop()
    assert sink.exported == 1


@pytest.mark.slow
def test_without_a_collector_neither_the_sdk_nor_the_exporter_is_imported():
    """(The API is: FastAPI imports it.)"""
    heavy = (
        "opentelemetry.sdk",
        "opentelemetry.exporter",
        "opentelemetry.proto",
        "google.protobuf",
        "requests",
    )
    code = (
        "import sys, bytespike.app, bytespike.cli.demo, bytespike.cli.serve\n"
        f"print([name for name in sys.modules if name.startswith({heavy!r})])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
