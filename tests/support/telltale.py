"""An upstream that repeats, in its errors, whatever it was sent: credentials, keys, prompts."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Telltale:
    """`with Telltale() as upstream`. A prompt of "status=500" makes it answer so; "break" ends the connection."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                words = raw.decode()
                if "break" in words:
                    self.close_connection = True
                    return
                status = next(
                    (int(word[7:10]) for word in words.split('"') if word.startswith("status=")), 200
                )
                heard = {name.lower(): value for name, value in self.headers.items()}
                if status == 200:
                    self._say(200, _ANSWER)
                else:
                    told = f"no: {heard} said {words}"
                    self._say(status, {"type": "error", "error": {"type": "api_error", "message": told}})

            def _say(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Telltale:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"


_ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "up",
    "content": [{"type": "text", "text": "well"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
