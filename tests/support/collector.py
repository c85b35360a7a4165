"""A collector of traces, by OTLP over HTTP: what came, as spans and as bytes."""

from __future__ import annotations

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span:
    """One that came. Ids are hexadecimal, `parent` "" where there is none."""

    def __init__(self, raw: Any, resource: dict[str, Any]) -> None:
        self.name: str = raw.name
        self.trace = raw.trace_id.hex()
        self.id = raw.span_id.hex()
        self.parent = raw.parent_span_id.hex()
        self.server = raw.kind == 2
        self.client = raw.kind == 3
        self.failed = raw.status.code == 2
        self.start_ns: int = raw.start_time_unix_nano
        self.end_ns: int = raw.end_time_unix_nano
        self.attributes = _plain(raw.attributes)
        self.resource = resource


class Collector:
    """`with Collector() as collector`. `status`: what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.headers.append({name.lower(): value for name, value in self.headers.items()})
                if self.path == "/v1/traces" and collector.status == 200:
                    collector.bodies.append(body)
                self.send_response(collector.status if self.path == "/v1/traces" else 404)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def spans(self) -> list[Span]:
        """All that came."""
        found: list[Span] = []
        for body in list(self.bodies):
            request = ExportTraceServiceRequest.FromString(body)
            for resource_spans in request.resource_spans:
                resource = _plain(resource_spans.resource.attributes)
                for scope in resource_spans.scope_spans:
                    found += [Span(raw, resource) for raw in scope.spans]
        return found

    def of(self, request_id: str, seconds: float = 20.0) -> tuple[Span, list[Span]]:
        """The request's span, and those of its upstream calls in their order; waits for them."""
        end = time.monotonic() + seconds
        while True:
            spans = self.spans()
            request = [span for span in spans if span.attributes.get("bytespike.request_id") == request_id]
            if request:
                calls = [span for span in spans if span.parent == request[0].id]
                return request[0], sorted(calls, key=lambda span: span.start_ns)
            assert time.monotonic() < end, "the trace did not come"
            time.sleep(0.02)


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
