"""A request as a data-plane handler sees it."""

from __future__ import annotations

from dataclasses import dataclass

from bytespike.http.inbound.asgi import Receive


@dataclass(frozen=True, slots=True)
class Inbound:
    """`headers`: lower-case names; of a repeated header the last value. `path` is decoded, `query` is raw.
    `body_received`: the whole body is there already."""

    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    client_ip: str
    receive: Receive
    body_received: bool = False
