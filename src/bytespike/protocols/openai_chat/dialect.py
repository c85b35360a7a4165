"""OpenAI Chat Completions, as `core.dialect.Dialect`. The work is in the modules beside this one."""

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
from bytespike.protocols.openai_chat import errors, passthrough, request_in, request_out
from bytespike.protocols.openai_chat import response as answers
from bytespike.protocols.openai_chat.free_form_calls import echo_of
from bytespike.protocols.openai_chat.names import NAME
from bytespike.protocols.openai_chat.stream_in import ChatStreamReader
from bytespike.protocols.openai_chat.stream_out import ChatStreamWriter
from bytespike.protocols.openai_chat.tap import ChatTap
from bytespike.protocols.openai_errors import write_error

#: Beta switches are part of the request; everything else in a client's headers is about its connection to us.
_REQUEST_HEADERS: Final = frozenset({"openai-beta"})
#: Which version answered, and how long it took. Rate limits are the channel's, not the client's.
_RESPONSE_HEADERS: Final = frozenset({"openai-version", "openai-processing-ms"})


class OpenAIChat:
    """The eight operations and the four for passthrough. Stateless. `inline_think`: how upstreams with the quirk of that
    name speak it, whose reasoning stands in the content of their answers."""

    __slots__ = ("_inline_think",)

    def __init__(self, *, inline_think: bool = False) -> None:
        self._inline_think = inline_think

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
        return answers.write_response(response, reply)

    def stream_writer(self, reply: Reply) -> StreamWriter:
        return ChatStreamWriter(reply)

    def write_error(self, error: GatewayError, status: int, request_id: str) -> bytes:
        """The envelope says neither the status nor the request's id; both are in the headers."""
        return write_error(error)

    def write_request(self, request: ChatRequest, target: Target) -> Written:
        """Raises `UnsupportedFeature`."""
        return request_out.write_request(request, target)

    def read_response(self, body: bytes) -> ChatResponse:
        """Raises `UpstreamError`."""
        return answers.read_response(body, inline_think=self._inline_think)

    def stream_reader(self) -> StreamReader:
        return ChatStreamReader(inline_think=self._inline_think)

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
        return ChatTap(peek, model)
