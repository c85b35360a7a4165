"""A port on which connecting hangs: its accept queue is full, so the kernel drops further SYNs (Linux)."""

from __future__ import annotations

import socket
from types import TracebackType

_FILLERS = 8


class FullListener:
    """`with FullListener() as listener`, then connect to `listener.host` and `listener.port`: nothing happens."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._sockets: list[socket.socket] = []
        self.host = host
        self.port = port

    def __enter__(self) -> FullListener:
        server = socket.socket()
        server.bind((self.host, self.port))
        server.listen(0)
        self._sockets.append(server)
        self.port = server.getsockname()[1]
        for _ in range(_FILLERS):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((self.host, self.port))
            self._sockets.append(filler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._sockets:
            each.close()
