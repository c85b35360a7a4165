"""Gemini's endpoints: the model and what to do with it are in the path.

    POST …/models/{model}:generateContent | :streamGenerateContent | :countTokens

The newest SDK calls /v1, older ones and the CLI /v1beta. `?alt=sse` asks for server-sent events; without it a stream is
one JSON array.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from bytespike.core.dialect import Dialect
from bytespike.errors import NotFound
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.request import Inbound
from bytespike.http.inbound.text import arrival_of
from bytespike.pipeline.call import Addressed
from bytespike.pipeline.counting import count
from bytespike.pipeline.life import serve
from bytespike.pipeline.parts import Parts

_ACTIONS = ("generateContent", "streamGenerateContent", "countTokens")
_MODELS = "/models/"


def serve_generate(parts: Parts, dialect: Dialect) -> Handler:
    """`dialect`: Gemini's."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        model, action = addressed(inbound.path)
        streams = action == "streamGenerateContent"
        where = Addressed(model, stream=streams, array=streams and not _as_events(inbound.query))
        arrival = arrival_of(parts, dialect, inbound, exchange, where)
        await (count if action == "countTokens" else serve)(parts, arrival, exchange)

    return handler


def addressed(path: str) -> tuple[str, str]:
    """The model and the action of a path. Raises NotFound."""
    name, colon, action = path.partition(_MODELS)[2].rpartition(":")
    if not colon or not name or action not in _ACTIONS:
        raise NotFound(f"no such method: {path[:100]}; a model has {', '.join(_ACTIONS)}")
    return name.removeprefix("models/"), action


def _as_events(query: bytes) -> bool:
    if b"alt" not in query:
        return False
    fields = parse_qs(query.decode("latin-1"))
    return "sse" in (*fields.get("alt", ()), *fields.get("$alt", ()))
