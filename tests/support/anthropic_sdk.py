"""Holding what is written against the official SDK's types (the stable ones, or the beta ones where they say more)."""

from __future__ import annotations

import json
from typing import Any

from anthropic.types import Message
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from anthropic.types.beta.message_create_params import MessageCreateParams as BetaParams
from anthropic.types.message_create_params import MessageCreateParams
from pydantic import TypeAdapter, ValidationError

from bytespike.wire.sse import SSEParser

_REQUESTS = (TypeAdapter[Any](MessageCreateParams), TypeAdapter[Any](BetaParams))
_MESSAGES = (TypeAdapter[Any](Message), TypeAdapter[Any](BetaMessage))
_EVENT = TypeAdapter[Any](BetaRawMessageStreamEvent)


def valid_request(body: bytes) -> dict[str, Any]:
    """The decoded body. Raises `pydantic.ValidationError` where the SDK would not have let it be written."""
    decoded = json.loads(body)
    _first_valid(_REQUESTS, decoded)
    return decoded


def valid_message(body: bytes) -> dict[str, Any]:
    decoded = json.loads(body)
    _first_valid(_MESSAGES, decoded)
    return decoded


def valid_events(stream: bytes) -> list[dict[str, Any]]:
    """The decoded events of a stream, pings left out (the SDK has no type for them)."""
    decoded = [json.loads(event.data) for event in SSEParser().feed(stream)]
    for event in decoded:
        if event["type"] not in ("ping", "error"):
            _EVENT.validate_python(event)
    return [event for event in decoded if event["type"] != "ping"]


def _first_valid(adapters: tuple[TypeAdapter[Any], ...], value: Any) -> None:
    *earlier, last = adapters
    for adapter in earlier:
        try:
            _exhaust(adapter.validate_python(value))
        except ValidationError:
            continue
        return
    _exhaust(last.validate_python(value))


def _exhaust(value: Any) -> None:
    # Pydantic checks the members of an `Iterable` only when they are asked for.
    if isinstance(value, dict):
        for member in value.values():
            _exhaust(member)
    elif hasattr(value, "__next__") or isinstance(value, list | tuple):
        for member in value:
            _exhaust(member)
