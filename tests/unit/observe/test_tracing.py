"""Traces: which requests get one, whose they continue, and what is in it."""

from __future__ import annotations

import re
import time

import pytest

from bytespike.core.usage import Usage
from bytespike.observe.tracing import CALLS_MAX, SpanRecord, Tracing, UpstreamCall

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Kept:
    def __init__(self) -> None:
        self.exported = self.dropped = 0
        self.spans: list[SpanRecord] = []

    def put(self, spans: list[SpanRecord]) -> None:
        self.spans += spans


def tracing(ratio: float = 1.0, **settings: bool) -> tuple[Tracing, Kept]:
    kept = Kept()
    return Tracing(kept, ratio=ratio, **settings), kept


def call(outcome: str = "completed", usage: Usage | None = None, error: str = "") -> UpstreamCall:
    return UpstreamCall(
        channel_id="chn_1",
        platform="gemini",
        model="up-model",
        dialect="gemini",
        outcome=outcome,
        status=200,
        error=error,
        reason="load",
        ended_ns=2_000_000_000,
        lasted_ns=500_000_000,
        first_byte_ns=200_000_000,
        usage=usage,
    )


def test_a_request_without_a_trace_begins_one():
    tracer, kept = tracing()
    tracer.begin("req_1", {})
    tracer.end("req_1", "messages", 200, time.time_ns())
    (span,) = kept.spans
    assert span.server
    assert span.parent_id is None
    assert span.trace_id
    assert span.end_ns >= span.start_ns


def test_a_clients_trace_is_continued():
    tracer, kept = tracing(ratio=0.0)
    tracer.begin("req_1", {b"traceparent": PARENT})
    tracer.end("req_1", "messages", 200, 1)
    (span,) = kept.spans
    assert span.trace_id == 0x4BF92F3577B34DA6A3CE929D0E0E4736
    assert span.parent_id == 0x00F067AA0BA902B7


def test_a_client_that_does_not_sample_is_not_traced():
    tracer, kept = tracing()
    tracer.begin("req_1", {b"traceparent": PARENT[:-1] + b"0"})
    tracer.end("req_1", "messages", 200, 1)
    assert kept.spans == []


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"nonsense",
        PARENT.upper(),
        PARENT + b"-more",
        b"ff" + PARENT[2:],
        PARENT.replace(b"00f067aa0ba902b7", b"0" * 16),
        PARENT.replace(b"4bf92f3577b34da6a3ce929d0e0e4736", b"0" * 32),
        PARENT + b"\r\nx: y",
    ],
)
def test_what_is_no_traceparent_is_no_trace(told: bytes):
    tracer, kept = tracing()
    tracer.begin("req_1", {b"traceparent": told})
    tracer.end("req_1", "messages", 200, 1)
    (span,) = kept.spans
    assert span.parent_id is None
    assert span.trace_id != 0x4BF92F3577B34DA6A3CE929D0E0E4736


def test_a_later_version_of_the_header_may_say_more():
    tracer, kept = tracing(ratio=0.0)
    tracer.begin("req_1", {b"traceparent": b"01" + PARENT[2:] + b"-more"})
    tracer.end("req_1", "messages", 200, 1)
    assert len(kept.spans) == 1


def test_a_share_of_the_requests_is_sampled():
    tracer, kept = tracing(ratio=0.25)
    for number in range(2_000):
        tracer.begin(f"req_{number}", {})
        tracer.end(f"req_{number}", "messages", 200, 1)
    # Six deviations from the mean.
    assert 380 < len(kept.spans) < 620


def test_nothing_of_a_request_is_kept_when_it_is_over():
    tracer, _ = tracing()
    for headers in ({}, {b"traceparent": PARENT[:-1] + b"0"}):
        tracer.begin("req_1", headers)
        assert tracer.of("req_1") is not None
        tracer.end("req_1", "messages", 200, 1)
        assert tracer.of("req_1") is None
    tracer.end("never begun", "messages", 200, 1)


def test_each_upstream_call_is_a_span_within():
    tracer, kept = tracing()
    trace = tracer.begin("req_1", {})
    trace.calling()
    trace.calling()
    trace.called(
        [call("failed", error="timeout"), call(usage=Usage(input=3, cache_read=4, output=5, reasoning=2))]
    )
    tracer.end("req_1", "messages", 200, 1)
    request, failed, served = kept.spans
    assert failed.parent_id == served.parent_id == request.span_id
    assert failed.span_id != served.span_id
    assert failed.error == "timeout"
    assert (served.start_ns, served.end_ns) == (1_500_000_000, 2_000_000_000)
    assert served.name == "generate_content up-model"
    assert served.attributes["gen_ai.provider.name"] == "gcp.gemini"
    # The convention's input has what came from a cache in it.
    assert served.attributes["gen_ai.usage.input_tokens"] == 7
    assert served.attributes["gen_ai.usage.cache_read.input_tokens"] == 4
    assert served.attributes["gen_ai.usage.reasoning.output_tokens"] == 2
    assert served.attributes["gen_ai.response.time_to_first_chunk"] == 0.2
    assert "gen_ai.usage.output_tokens" not in request.attributes, "usage would be counted twice"


def test_more_calls_than_get_a_span_are_left_out():
    tracer, kept = tracing()
    trace = tracer.begin("req_1", {})
    for _ in range(CALLS_MAX + 5):
        trace.calling()
    trace.called([call()] * (CALLS_MAX + 5))
    tracer.end("req_1", "messages", 200, 1)
    assert len(kept.spans) == 1 + CALLS_MAX


def test_an_upstream_is_told_of_the_call_that_asks_it():
    tracer, kept = tracing(propagate=True)
    trace = tracer.begin("req_1", {b"traceparent": PARENT, b"tracestate": b"vendor=1"})
    trace.calling()
    lines = trace.header_lines()
    trace.called([call()])
    tracer.end("req_1", "messages", 200, 1)
    found = re.fullmatch(rb"traceparent: 00-(\w{32})-(\w{16})-01\r\ntracestate: vendor=1\r\n", lines)
    assert found is not None
    assert int(found[1], 16) == kept.spans[0].trace_id
    assert int(found[2], 16) == kept.spans[1].span_id


@pytest.mark.parametrize("state", [b"a" * 513, b"a=1\r\nx-api-key: y", b"a=\xff", b""])
def test_a_tracestate_that_could_harm_is_not_passed_on(state: bytes):
    tracer, _ = tracing(propagate=True)
    trace = tracer.begin("req_1", {b"traceparent": PARENT, b"tracestate": state})
    assert trace.header_lines().count(b"\r\n") == 1


def test_an_answer_of_400_and_more_is_an_error():
    tracer, kept = tracing()
    for status in (200, 429, 0):
        tracer.begin("req_1", {})
        tracer.end("req_1", "messages", status, 1)
    assert [span.error for span in kept.spans] == ["", "429", ""]
    assert "http.response.status_code" not in kept.spans[2].attributes
