"""Gemini native, as `core.dialect.Dialect`. The work is in the modules beside this one."""

from __future__ import annotations

from collections.abc import Mapping

from bytespike.core.dialect import (
    Layout,
    Peek,
    Reply,
    StreamReader,
    StreamWriter,
    Tap,
    Target,
    UpstreamFailure,
    Written,
    WrittenResponse,
)
from bytespike.core.json_types import JSONObject
from bytespike.core.request import ChatRequest
from bytespike.core.response import ChatResponse
from bytespike.core.usage import Usage
from bytespike.errors import GatewayError
from bytespike.protocols.gemini import errors, passthrough, request_in, request_out
from bytespike.protocols.gemini import response as answers
from bytespike.protocols.gemini.names import NAME
from bytespike.protocols.gemini.stream_in import GeminiStreamReader
from bytespike.protocols.gemini.stream_out import GeminiStreamWriter
from bytespike.protocols.gemini.tap import GeminiTap


class Gemini:
    """The eight operations and the four for passthrough. Stateless."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return NAME

    @property
    def request_headers(self) -> frozenset[str]:
        """None: what clients send beside the body is about themselves or their credential."""
        return frozenset()

    @property
    def response_headers(self) -> frozenset[str]:
        return frozenset()

    def read_request(self, body: bytes) -> ChatRequest:
        """Raises `InvalidRequest`. The model and the stream are in the URL: "" and False here."""
        return request_in.read_request(body)

    def write_response(self, response: ChatResponse, reply: Reply) -> WrittenResponse:
        return answers.write_response(response, reply)

    def stream_writer(self, reply: Reply) -> StreamWriter:
        return GeminiStreamWriter(reply)

    def write_error(self, error: GatewayError, status: int, request_id: str) -> bytes:
        """The request's id has no place in this envelope."""
        del request_id
        return errors.write_error(error, status)

    def write_request(self, request: ChatRequest, target: Target) -> Written:
        """Raises `UnsupportedFeature`. `target.model` goes into the URL."""
        return request_out.write_request(request, target)

    def read_response(self, body: bytes) -> ChatResponse:
        """Raises `UpstreamError`, `ContentPolicyViolation`."""
        return answers.read_response(body)

    def stream_reader(self) -> StreamReader:
        return GeminiStreamReader()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        return errors.read_error(status, headers, body)

    def peek(self, body: bytes) -> Peek:
        """Raises `InvalidRequest`."""
        return passthrough.peek(body)

    def patch_request(self, body: bytes, peek: Peek, target: Target) -> bytes:
        del peek
        return passthrough.patch_request(body, target)

    def patch_response(self, body: bytes, model: str) -> tuple[bytes, Usage | None]:
        """Raises `UpstreamError`."""
        return passthrough.patch_response(body, model)

    def echo(self, body: bytes, layout: Layout | None = None) -> JSONObject | None:
        """Answers of this dialect repeat nothing of the request."""
        del body, layout
        return None

    def tap(self, peek: Peek, model: str) -> Tap:
        # The stream's own first byte says which form it has.
        del peek
        return GeminiTap(model)
