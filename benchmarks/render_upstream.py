"""A small provider of renders in the shape of OpenAI's videos: `python -m benchmarks.render_upstream PORT`.

POST /v1/videos                queued; its id is "video_" and a number
GET  /v1/videos/video_…        completed
GET  /v1/videos/slow_…         in progress, one percent more each second: what is in flight and stays there
GET  /v1/videos/…/content      64 KB
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import time
from typing import cast

import httptools
import uvloop

CONTENT = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(64 * 1024 - 24)
_BEGAN = time.monotonic()
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_BYTES = b"HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: %d\r\n\r\n%b"
_VIDEO = (
    b'{"id":"%b","object":"video","created_at":1750000000,"status":"%b","model":"sora-2","progress":%d,'
    b'"seconds":"4","size":"720x1280"}'
)


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    numbers = itertools.count()

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._target = url

    def on_message_complete(self) -> None:
        target = self._target
        if self._parser.get_method() == b"POST":
            id, status, progress = b"video_%d" % next(self.numbers), b"queued", 0
        elif target.endswith(b"/content"):
            self._transport.write(_BYTES % (len(CONTENT), CONTENT))
            return
        else:
            id, status, progress = target.rpartition(b"/")[2], b"completed", 100
            if id.startswith(b"slow_"):
                status, progress = b"in_progress", min(int(time.monotonic() - _BEGAN), 99)
        body = _VIDEO % (id, status, progress)
        self._transport.write(_JSON % (len(body), body))


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await loop.create_server(Connection, "127.0.0.1", port, backlog=1024)
    await ended.wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
