"""What goes into a request's life, and the caller at its other end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from bytespike.core.dialect import Dialect
from bytespike.core.notices import Notice
from bytespike.ledger.account import KeyAccount


class Call(Struct, frozen=True):
    """One call of a text endpoint, as it arrived.

    `secret` is the key that was presented, `""` if none was. `client_ip` is the caller's own address. `headers` has
    lower-case names. `dry_run`: price it, call nobody. `started_ns`: monotonic, when its head had been read.
    """

    dialect: Dialect
    request_id: str
    secret: str
    client_ip: str
    headers: Mapping[bytes, bytes]
    body: bytes
    dry_run: bool
    started_ns: int


class Client(Protocol):
    """The caller, as the pipeline sees it: http/ knows how to reach it.

    A caller that hangs up makes `gone` true and cancels the task that serves it.
    """

    gone: bool

    def identified(self, account: KeyAccount) -> None:
        """Who is calling is known: from now on every answer carries its accounting headers."""
        ...

    def held(self, credits: int) -> None:
        """So many micro-dollars are held for this request."""
        ...

    def watch(self) -> None:
        """A stream begins: notice a hang-up at once from now on (before, it is noticed within 50 ms)."""
        ...

    async def respond(self, body: bytes, notices: Sequence[Notice]) -> None:
        """A whole answer."""
        ...

    async def begin(self, notices: Sequence[Notice]) -> None:
        """The head of a streamed answer."""
        ...

    async def send(self, data: bytes) -> None:
        """More of a streamed answer. Waits while the caller does not read."""
        ...

    async def finish(self, data: bytes = b"") -> None:
        """The last of a streamed answer."""
        ...
