"""Plain HTTP against a simulator, for tests of the bytes themselves."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The events of a stream: name and JSON (text where it is none)."""
        found: list[tuple[str, Any]] = []
        for block in self.body.decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "data" in lines:
                data = lines["data"]
                found.append((lines.get("event", ""), data if data == "[DONE]" else json.loads(data)))
        return found


Post = Callable[..., Answer]


def poster(base_url: str) -> Post:
    """`call(path, body, headers=…, method=…)`; a body that is no bytes is sent as JSON. A new connection each time."""

    def send(
        path: str, body: Any = None, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=10)
        try:
            raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, raw, {"content-type": "application/json", **(headers or {})})
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, fields, response.read())
        finally:
            connection.close()

    return send
