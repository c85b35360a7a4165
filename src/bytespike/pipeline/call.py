"""What goes into a request's life, and the caller at its other end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from bytespike.core.dialect import Dialect, Peek
from bytespike.core.notices import Notice
from bytespike.ledger.account import KeyAccount


class Addressed(Struct, frozen=True):
    """What a URL says where a dialect puts it there (Gemini): which model, whether its answer streams, and whether as one
    JSON array instead of server-sent events."""

    model: str
    stream: bool = False
    array: bool = False


class Arrival(Struct, frozen=True):
    """The head of a call of a text endpoint.

    `secret` is the key that was presented, `""` if none was. `client_ip` is the caller's own address. `headers` has
    lower-case names. `addressed`: None where the body says it all. `dry_run`: price it, call nobody. `started_ns`: monotonic, when the head had been read.
    """

    dialect: Dialect
    request_id: str
    secret: str
    client_ip: str
    headers: Mapping[bytes, bytes]
    dry_run: bool
    started_ns: int
    addressed: Addressed | None = None


class Thread(Struct, frozen=True):
    """A call's place in a kept conversation.

    `original` is the body as the client sent it: `Call.body` has the whole conversation before its own input.
    `previous_id` is what it goes on from. `store`: its response shall be kept. `made_by`: the channel that made the
    previous response and knows it, so that there the original does; None where no channel does.
    """

    key_id: str
    original: bytes
    previous_id: str | None
    store: bool
    made_by: str | None = None


class Call(Struct, frozen=True):
    """A whole call, from a caller that is known. Fields as in `Arrival`.

    `thread`: what it goes on from and whether it is kept, in a dialect that knows such things (`pipeline.threads`).
    `peek`: what was seen of this body, if it was looked at.
    """

    dialect: Dialect
    request_id: str
    headers: Mapping[bytes, bytes]
    body: bytes
    dry_run: bool
    started_ns: int
    addressed: Addressed | None = None
    thread: Thread | None = None
    peek: Peek | None = None


class Client(Protocol):
    """The caller, as the pipeline sees it: http/ knows how to reach it.

    A caller that hangs up makes `gone` true and cancels the task that serves it, unless it has its whole answer.
    """

    @property
    def gone(self) -> bool: ...

    @property
    def stalled_seconds(self) -> float:
        """How long it has kept its answers waiting."""
        ...

    def identified(self, account: KeyAccount) -> None:
        """Who is calling is known: from now on every answer carries its accounting headers."""
        ...

    def held(self, credits: int) -> None:
        """So many micro-dollars are held for this request."""
        ...

    async def body(self) -> bytes:
        """The body of its request, bounded in size and time.

        Raises: BodyTooLarge, RequestTimeout, InvalidRequest, and whatever ends a caller that has gone."""
        ...

    def respond(self, body: bytes, notices: Sequence[Notice]) -> None:
        """A whole answer. It leaves at the end of the loop's turn, behind the receipts that were gathered in it."""
        ...

    def begin(self, notices: Sequence[Notice], *, array: bool = False) -> None:
        """The head of a streamed answer: server-sent events, or a JSON array."""
        ...

    async def send(self, data: bytes) -> None:
        """More of a streamed answer. Waits while the caller does not read; raises ConnectionError, with `gone` set, if
        it has not for too long."""
        ...

    def finish(self, data: bytes = b"") -> None:
        """The last of a streamed answer."""
        ...

    def abort(self) -> None:
        """Break a streamed answer off, so that nobody takes it for whole."""
        ...
