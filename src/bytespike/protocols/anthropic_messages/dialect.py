"""The Messages API of Anthropic, as `core.dialect.Dialect`. The work is in the modules beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bytespike.core.dialect import Layout, Peek, Reply, Target, UpstreamFailure, Written, WrittenResponse
from bytespike.core.json_types import JSONObject
from bytespike.core.request import ChatRequest
from bytespike.core.response import ChatResponse
from bytespike.core.usage import Usage
from bytespike.errors import GatewayError
from bytespike.protocols.anthropic_messages import (
    errors,
    names,
    passthrough,
    request_read,
    request_write,
    stream_in,
    stream_out,
)
from bytespike.protocols.anthropic_messages.inline_only import refuse_urls
from bytespike.protocols.anthropic_messages.response import read_response, write_response
from bytespike.protocols.anthropic_messages.tap import Tap
from bytespike.protocols.anthropic_messages.threads import refuse_thread

#: The wire's version and its beta flags belong to the body; everything else that clients send is about themselves (SDK,
#: platform, retries) or about their credential.
_REQUEST_HEADERS: Final = frozenset({"anthropic-version", "anthropic-beta"})
#: None: request ids are the gateway's own, and the rate limits and organization are the operator's.
_RESPONSE_HEADERS: Final[frozenset[str]] = frozenset()


class AnthropicMessages:
    """The eight operations and the four for passthrough. Stateless."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return names.NAME

    @property
    def request_headers(self) -> frozenset[str]:
        return _REQUEST_HEADERS

    @property
    def response_headers(self) -> frozenset[str]:
        return _RESPONSE_HEADERS

    def read_request(self, body: bytes) -> ChatRequest:
        return request_read.read_request(body)

    def write_response(self, response: ChatResponse, reply: Reply) -> WrittenResponse:
        return write_response(response, reply)

    def stream_writer(self, reply: Reply) -> stream_out.StreamWriter:
        return stream_out.StreamWriter(reply)

    def write_error(self, error: GatewayError, status: int, request_id: str) -> bytes:
        # The status is not in this envelope.
        del status
        return errors.write_error(error, request_id)

    def write_request(self, request: ChatRequest, target: Target) -> Written:
        if names.QUIRK_INLINE_MEDIA in target.quirks:
            refuse_urls(request)
        return request_write.write_request(request, target)

    def read_response(self, body: bytes) -> ChatResponse:
        return read_response(body)

    def stream_reader(self) -> stream_in.StreamReader:
        return stream_in.StreamReader()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        return errors.read_error(status, headers, body)

    def echo(self, body: bytes, layout: Layout | None = None) -> JSONObject | None:
        return None

    def peek(self, body: bytes) -> Peek:
        return passthrough.peek(body)

    def patch_request(self, body: bytes, peek: Peek, target: Target) -> bytes:
        if names.QUIRK_NO_THREADS in target.quirks:
            refuse_thread(body)
        return passthrough.patch_request(body, peek, target)

    def patch_response(self, body: bytes, model: str) -> tuple[bytes, Usage | None]:
        return passthrough.patch_response(body, model)

    def tap(self, peek: Peek, model: str) -> Tap:
        # Usage is always in this dialect's streams: nothing depends on what the client asked for.
        del peek
        return Tap(model)
