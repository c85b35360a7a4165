"""An upstream that sends a stream piece by piece, each only when it is told to; and other ways of being slow, over real HTTP."""

from __future__ import annotations

import http.client
import json
import threading
from urllib.parse import urlsplit

from tests.support.clouds import Cloud, Handler

#: Longer than any test waits on purpose.
PATIENCE_S = 60.0


class Gated(Cloud):
    """`pieces`: what the next answers consist of; before each of them `gate` has to be released once. `kind`: their type.
    `refusal`: a status and a body to answer with instead. With `slow` "head" an answer's head never comes, with "body" nothing comes behind it."""

    def __init__(self) -> None:
        super().__init__("")
        self.pieces: list[bytes] = []
        self.kind = "text/event-stream"
        self.slow = ""
        self.refusal: tuple[int, dict[str, object]] | None = None
        self.gate = threading.Semaphore(0)
        self.stopping = threading.Event()

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for _ in range(1000):
            self.gate.release()
        super().__exit__()

    def open_gate(self) -> None:
        for _ in self.pieces:
            self.gate.release()

    def serve(self, handler: Handler, body: bytes) -> None:
        self.seen.append(handler.seen(body))
        if self.refusal is not None:
            status, told = self.refusal
            handler.answer(status, json.dumps(told).encode())
            return
        if self.slow == "head":
            self.stopping.wait(PATIENCE_S)
            return
        handler.send_response(200)
        handler.send_header("content-type", self.kind)
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        if self.slow == "body":
            self.stopping.wait(PATIENCE_S)
            return
        for piece in self.pieces:
            if not self.gate.acquire(timeout=PATIENCE_S) or self.stopping.is_set():
                handler.close_connection = True
                return
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")


class Forwarder(Cloud):
    """A plain HTTP proxy in front of the simulator (RFC 9112 3.2.2: the whole URL in the request line)."""

    def __init__(self, simulator: str) -> None:
        super().__init__(simulator)
        self.targets: list[str] = []
        self.authorizations: list[str] = []

    def serve(self, handler: Handler, body: bytes) -> None:
        self.targets.append(handler.path)
        self.authorizations.append(handler.header("proxy-authorization"))
        at = urlsplit(handler.path)
        headers = {
            name: value
            for name, value in handler.headers.items()
            if name.lower() not in ("host", "connection", "content-length", "proxy-authorization")
        }
        if handler.command != "POST":
            handler.answer(501, b"{}")
            return
        answer = self.forward(at.path, body, headers)
        handler.answer(answer.status, answer.read(), kind=answer.headers.get("content-type", ""))


def recorded_stream(base_url: str, path: str, body: dict[str, object], headers: dict[str, str]) -> bytes:
    """What a simulator answers, as it stands on the wire."""
    at = urlsplit(base_url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=PATIENCE_S)
    try:
        connection.request(
            "POST", path, json.dumps(body).encode(), {"content-type": "application/json", **headers}
        )
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read()
    finally:
        connection.close()
