"""Traces of a running gateway, at a collector."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.gateway import CLAUDE, GPT, GPT_RESPONSES, RunningGateway

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
WORDS = "a very private prompt"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    data_dir = Path(tmp_path_factory.mktemp("traced"))
    with RunningGateway(data_dir, otlp_endpoint=collector.url, otlp_headers="x-collector=sesame") as gateway:
        yield gateway


def body(model: str = CLAUDE, directive: str = "", **more: object) -> bytes:
    content = f"{WORDS} [[sim: tokens=8 {directive}]]"
    return json.dumps(
        {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": content}], **more}
    ).encode()


def headers(gateway: RunningGateway, **more: str) -> dict[str, str]:
    return {"x-api-key": gateway.key, **more}


def test_a_request_is_a_span_and_its_upstream_call_one_within(traced: RunningGateway, collector: Collector):
    traced.heal()
    answer = traced.post("/v1/chat/completions", body(), headers(traced, traceparent=TRACEPARENT))
    assert answer.status == 200
    request, (call,) = collector.of(answer.headers["request-id"])
    assert (request.trace, request.parent) == (TRACE, PARENT)
    assert request.server
    assert request.name == f"chat {CLAUDE}"
    assert not request.failed
    told = request.attributes
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.request.model"] == CLAUDE
    assert told["gen_ai.request.max_tokens"] == 64
    assert told["http.response.status_code"] == 200
    assert told["bytespike.dialect"] == "openai_chat"
    assert told["bytespike.outcome"] == "completed"
    assert told["bytespike.credits"] > 0
    assert call.client
    assert call.trace == TRACE
    assert call.attributes["gen_ai.usage.output_tokens"] == 8
    assert call.attributes["gen_ai.usage.input_tokens"] > 0
    assert call.attributes["bytespike.upstream_dialect"] == "anthropic_messages"
    assert request.start_ns <= call.start_ns <= call.end_ns
    assert collector.headers[0]["x-collector"] == "sesame"


@pytest.mark.parametrize(
    ("path", "model", "stream"),
    [
        ("/v1/messages", CLAUDE, True),
        ("/v1/messages", GPT, True),
        ("/v1/chat/completions", GPT, True),
        ("/v1/chat/completions", GPT, False),
    ],
)
def test_streams_and_whole_answers_are_told_alike(
    traced: RunningGateway, collector: Collector, path: str, model: str, stream: bool
):
    traced.heal()
    answer = traced.post(path, body(model, stream=stream))
    request, (call,) = collector.of(answer.headers["request-id"])
    assert request.attributes["gen_ai.request.stream"] is stream
    assert call.attributes["gen_ai.usage.output_tokens"] == 8
    assert call.attributes["gen_ai.response.time_to_first_chunk"] >= 0


def test_responses_and_gemini_are_traced_too(traced: RunningGateway, collector: Collector):
    traced.heal()
    responses = json.dumps({"model": GPT_RESPONSES, "input": "hello", "store": False}).encode()
    answer = traced.post("/v1/responses", responses)
    request, calls = collector.of(answer.headers["request-id"])
    assert request.attributes["bytespike.dialect"] == "openai_responses"
    assert len(calls) == 1
    gemini = json.dumps({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}).encode()
    answer = traced.post(f"/v1beta/models/{CLAUDE}:generateContent", gemini)
    request, calls = collector.of(answer.headers["request-id"])
    assert request.name == f"generate_content {CLAUDE}"
    assert calls[0].name == f"chat {CLAUDE}"


def test_a_request_that_is_refused_is_a_failed_span_without_calls(
    traced: RunningGateway, collector: Collector
):
    for given, status in (
        (headers(traced), 404),
        ({"x-api-key": "sk-byts-" + "x" * 40}, 401),
    ):
        answer = traced.post("/v1/messages", body("no-such-model"), given)
        assert answer.status == status
        request, calls = collector.of(answer.headers["request-id"])
        assert request.failed
        assert request.attributes["http.response.status_code"] == status
        assert calls == []
        assert "no-such-model" not in str(request.attributes)


def test_a_call_that_failed_is_a_failed_span(traced: RunningGateway, collector: Collector):
    traced.heal()
    answer = traced.post("/v1/messages", body(directive="error=500"))
    traced.heal()
    assert answer.status == 503
    request, calls = collector.of(answer.headers["request-id"])
    assert request.failed
    assert request.attributes["error.type"] == calls[-1].attributes["error.type"]
    assert all(call.failed for call in calls)
    assert calls[-1].attributes["http.response.status_code"] == 500


def test_no_words_of_a_prompt_and_no_key_are_in_a_trace(traced: RunningGateway, collector: Collector):
    traced.heal()
    answer = traced.post("/v1/messages", body(stream=True))
    collector.of(answer.headers["request-id"])
    everything = b"".join(collector.bodies)
    assert WORDS.encode() not in everything
    assert traced.key.encode() not in everything
    assert b"sim-good" not in everything


def test_upstreams_hear_nothing_of_a_trace_unless_they_shall(traced: RunningGateway):
    traced.heal()
    traced.forget_upstream_requests()
    traced.post("/v1/messages", body(), headers(traced, traceparent=TRACEPARENT))
    assert "traceparent" not in traced.newest_upstream_request().headers


def test_spans_are_counted(traced: RunningGateway):
    traced.heal()
    traced.post("/v1/messages", body())
    page = traced.request("GET", "/metrics").body.decode()
    assert "bytespike_spans_exported_total" in page
    assert "bytespike_spans_dropped_total 0\n" in page


def test_with_contents_and_upstreams_the_prompt_is_told_and_the_trace_goes_on(
    collector: Collector, tmp_path: Path
):
    with RunningGateway(
        tmp_path, otlp_endpoint=collector.url, trace_contents=True, trace_upstreams=True
    ) as gateway:
        sent = headers(gateway, traceparent=TRACEPARENT, tracestate="vendor=1")
        answer = gateway.post("/v1/chat/completions", body(), sent)
        assert answer.status == 200
        request, (call,) = collector.of(answer.headers["request-id"])
        (message,) = json.loads(request.attributes["gen_ai.input.messages"])
        assert message["role"] == "user"
        assert message["parts"][0]["content"].startswith(WORDS)
        upstream = gateway.newest_upstream_request().headers
        assert upstream["traceparent"] == f"00-{TRACE}-{call.id}-01"
        assert upstream["tracestate"] == "vendor=1"
        # Who is not sampled is not told of, and goes on all the same.
        gateway.forget_upstream_requests()
        before = len(collector.spans())
        answer = gateway.post("/v1/messages", body(), headers(gateway, traceparent=TRACEPARENT[:-1] + "0"))
        assert gateway.newest_upstream_request().headers["traceparent"].endswith("-00")
    assert len(collector.spans()) == before


def test_a_collector_that_is_gone_costs_spans_and_no_request(tmp_path: Path):
    with Collector() as collector:
        gone = collector.url
    with RunningGateway(tmp_path, otlp_endpoint=gone) as gateway:
        for _ in range(5):
            assert gateway.post("/v1/messages", body()).status == 200
