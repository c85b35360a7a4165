"""OpenAI Responses, as `core.dialect.Dialect`. The work is in the modules beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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
from bytespike.protocols.openai_errors import write_error
from bytespike.protocols.openai_responses import errors, passthrough, request_in, request_out
from bytespike.protocols.openai_responses import response as answers
from bytespike.protocols.openai_responses.echo import echo_of
from bytespike.protocols.openai_responses.names import NAME
from bytespike.protocols.openai_responses.stream_in import ResponsesStreamReader
from bytespike.protocols.openai_responses.stream_out import ResponsesStreamWriter
from bytespike.protocols.openai_responses.tap import ResponsesTap

#: Beta switches are part of the request; everything else in a client's headers is about its connection to us.
_REQUEST_HEADERS: Final = frozenset({"openai-beta"})
#: Which version answered, and how long it took. Rate limits are the channel's, not the client's.
_RESPONSE_HEADERS: Final = frozenset({"openai-version", "openai-processing-ms"})


class OpenAIResponses:
    """The eight operations and the four for passthrough. Stateless."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return NAME

    @property
    def request_headers(self) -> frozenset[str]:
        return _REQUEST_HEADERS

    @property
    def response_headers(self) -> frozenset[str]:
        return _RESPONSE_HEADERS

    def read_request(self, body: bytes) -> ChatRequest:
        """Raises `InvalidRequest`."""
        return request_in.read_request(body)

    def write_response(self, response: ChatResponse, reply: Reply) -> WrittenResponse:
        """Raises `UnsupportedFeature` for media that the wire cannot show."""
        return answers.write_response(response, reply)

    def stream_writer(self, reply: Reply) -> StreamWriter:
        return ResponsesStreamWriter(reply)

    def write_error(self, error: GatewayError, status: int, request_id: str) -> bytes:
        """The envelope says neither the status nor the request's id; both are in the headers."""
        del status, request_id
        return write_error(error)

    def write_request(self, request: ChatRequest, target: Target) -> Written:
        """Raises `UnsupportedFeature`."""
        return request_out.write_request(request, target)

    def read_response(self, body: bytes) -> ChatResponse:
        """Raises `UpstreamError`."""
        return answers.read_response(body)

    def stream_reader(self) -> StreamReader:
        return ResponsesStreamReader()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        return errors.read_error(status, headers, body)

    def echo(self, body: bytes, layout: Layout | None = None) -> JSONObject | None:
        return echo_of(body, layout)

    def peek(self, body: bytes) -> Peek:
        """Raises `InvalidRequest`."""
        return passthrough.peek(body)

    def patch_request(self, body: bytes, peek: Peek, target: Target) -> bytes:
        return passthrough.patch_request(body, peek, target)

    def patch_response(self, body: bytes, model: str) -> tuple[bytes, Usage | None]:
        """Raises `UpstreamError`."""
        return passthrough.patch_response(body, model)

    def tap(self, peek: Peek, model: str) -> Tap:
        # Usage is always in this dialect's streams: nothing depends on what the client asked for.
        del peek
        return ResponsesTap(model)
