"""What the simulator saw, for tests that ask what reached the upstream. Off unless the server is told to observe."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from bytespike.core.json_types import JSON, JSONObject

REQUESTS_MAX = 500
BODY_BYTES_MAX = 256 * 1024
_CREDENTIALS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "cookie", "proxy-authorization"})

State: TypeAlias = Literal["open", "finished", "broken", "aborted"]


class Sighting:
    """One request: what came, and how the answer went.

    `state`: open; finished; broken (by a directive); aborted (the client hung up first). `events` sent of a stream.
    `status` 0 until the headers were sent. `took_ms` since the body had come; set when the state is no longer open.
    """

    __slots__ = (
        "body",
        "events",
        "headers",
        "key_id",
        "method",
        "path",
        "query",
        "state",
        "status",
        "took_ms",
    )

    def __init__(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> None:
        self.method = method
        self.path = path
        self.query = _without_key(query)
        self.headers = {name: value for name, value in headers.items() if name not in _CREDENTIALS}
        self.key_id = key_id(headers, query)
        self.body: JSON = None
        self.state: State = "open"
        self.status = 0
        self.events = 0
        self.took_ms = 0

    def keep_body(self, body: bytes) -> None:
        """The body as JSON if it is that, else as text; a huge one is cut."""
        if not body:
            return
        try:
            self.body = msgspec.json.decode(body) if len(body) <= BODY_BYTES_MAX else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.body = None
        if self.body is None:
            self.body = body[:BODY_BYTES_MAX].decode("utf-8", "replace")

    def as_json(self) -> JSONObject:
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": dict(self.headers),
            "key_id": self.key_id,
            "body": self.body,
            "state": self.state,
            "status": self.status,
            "events": self.events,
            "took_ms": self.took_ms,
        }


def key_id(headers: Mapping[str, str], query: str = "") -> str | None:
    """Which key was used, as a short digest of it: enough to tell two apart, and no secret."""
    raw = (
        headers.get("x-api-key")
        or headers.get("authorization", "").partition(" ")[2]
        or headers.get("x-goog-api-key")
        or dict(parse_qsl(query)).get("key", "")
    )
    return hashlib.sha256(raw.strip().encode()).hexdigest()[:8] if raw else None


def _without_key(query: str) -> str:
    return "&".join(part for part in query.split("&") if not part.startswith("key="))


class Recorder:
    """The last `REQUESTS_MAX` requests, oldest first."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: deque[Sighting] = deque(maxlen=REQUESTS_MAX)

    def __iter__(self) -> Iterator[Sighting]:
        return iter(tuple(self._seen))

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, sighting: Sighting) -> None:
        self._seen.append(sighting)

    def clear(self) -> None:
        self._seen.clear()
