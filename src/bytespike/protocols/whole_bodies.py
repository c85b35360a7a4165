"""Reading a whole body: what is no JSON, nests too deeply or has a wrong member becomes one error of whoever sent it."""

from __future__ import annotations

from collections.abc import Callable

from bytespike.core.json_types import JSONObject
from bytespike.core.request import ChatRequest
from bytespike.core.response import ChatResponse
from bytespike.errors import InvalidRequest, UpstreamError
from bytespike.wire import json
from bytespike.wire.fields import Wrong


def request_object(body: bytes) -> JSONObject:
    """A client's body, decoded. Raises `InvalidRequest`."""
    try:
        obj = json.decode_object(body)
    except json.NotJSON as error:
        raise InvalidRequest(f"The request body is not valid: {error}.") from None
    if json.nests_deeper(obj, text=body):
        raise InvalidRequest("The request body nests too deeply.")
    return obj


def read_request_object(obj: JSONObject, read: Callable[[JSONObject], ChatRequest]) -> ChatRequest:
    """`read` makes the request of the object; it may raise `Wrong`. Raises `InvalidRequest` with the path of the member at
    fault, and what else `read` raises."""
    try:
        return read(obj)
    except Wrong as wrong:
        raise InvalidRequest(wrong.sentence, param=wrong.param) from None


def read_answer(body: bytes, read: Callable[[JSONObject], ChatResponse]) -> ChatResponse:
    """`read` makes an upstream's answer of the body's object; it may raise `Wrong`. Raises `UpstreamError`, and what else
    `read` raises."""
    try:
        obj = json.decode_object(body)
        if json.nests_deeper(obj, text=body):
            raise UpstreamError("The upstream's answer nests too deeply.")
        return read(obj)
    except json.NotJSON as error:
        raise UpstreamError(f"The upstream's answer is malformed: {error}.") from None
    except Wrong as wrong:
        raise UpstreamError(f"The upstream's answer is malformed: {wrong.sentence}") from None
