"""Telling a URL that a task is over: the body of a query's answer, signed, up to three times.

    POST <callback_url>
    Content-Type: application/json
    X-ByteSpike-Signature: <hex HMAC-SHA256 of the body>

The secret of the signature is the SHA-256 of the API key that submitted the task, in lower-case hexadecimal: the gateway has
it, for keys are found by it; so has whoever has the key; and a receiver that is given it cannot use the API with it.

A try that ends in a network failure or a 5xx is repeated after 30 seconds, and once more after five minutes. Any other
answer is the last: a redirect is not followed, a 4xx is a no. The host is looked up anew for each try, and only public
addresses are called, whatever the name resolved to when the task was submitted (`upstream/guard.py`).

Each try is a row, and is marked as begun before it is made. Where a process dies in between, nobody knows whether the
receiver got it, so the next try follows at once, and this one does not count: a receiver may get the same body twice,
and knows it by its `task_id`.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from typing import Final

import structlog
from msgspec import Struct
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.errors import InvalidRequest
from bytespike.media.tasks import rows
from bytespike.media.tasks.claims import CallbackClaim
from bytespike.media.tasks.pacing import micros
from bytespike.media.tasks.parts import TaskParts
from bytespike.media.tasks.record import Task
from bytespike.store.engine import reading
from bytespike.store.media_tables import callbacks
from bytespike.store.tables import keys
from bytespike.upstream.errors import TransportError
from bytespike.upstream.guard import Blocked, Resolver
from bytespike.upstream.limits import Timeouts
from bytespike.wire.address import Origin, split_url
from bytespike.wire.headers import render_headers

log = structlog.get_logger("bytespike.media")

SIGNATURE_HEADER: Final = b"x-bytespike-signature"
URL_CHARS_MAX: Final = 2048
#: Of a receiver's answer so much is read, so that its connection ends in order.
ANSWER_BYTES_MAX: Final = 64 * 1024
#: Tries of one task, those among them that nobody has seen the end of.
ROWS_MAX: Final = 12
#: How long a submission waits for its callback's host to be looked up, seconds.
LOOKUP_S: Final = 5.0
_WEB_PORTS: Final = (80, 443)
#: Below stand other protocols' servers, which must not be talked to by means of a URL.
_FREE_PORT_MIN: Final = 1024
_SERVER_ERROR: Final = 500


class Outcome(Struct, frozen=True):
    """Of a try. `status`: what the receiver answered, 0: nothing. `error`: "" where it took it, else "answered", "redirected",
    "interrupted", "no_key", or a transport's word ("connect", "tls", "reset", "timeout_total", "blocked", ...)."""

    status: int
    error: str

    @property
    def again(self) -> bool:
        """Whether another try makes sense."""
        if self.status:
            return self.status >= _SERVER_ERROR
        return self.error not in ("blocked", "no_key")


def signature(body: bytes, key_hash: str) -> str:
    """What `X-ByteSpike-Signature` says. `key_hash`: the key's SHA-256, in hexadecimal."""
    return hmac.new(key_hash.encode("ascii"), body, "sha256").hexdigest()


def parse_callback_url(url: str) -> tuple[Origin, bytes]:
    """Raises InvalidRequest for a URL that is never called."""
    try:
        if len(url) > URL_CHARS_MAX:
            raise ValueError(f"it has more than {URL_CHARS_MAX} characters")
        origin, target = split_url(url)
        if origin.port not in _WEB_PORTS and origin.port < _FREE_PORT_MIN:
            raise ValueError("its port is neither 80, 443 nor one from 1024 on")
    except ValueError as error:
        raise InvalidRequest(f"callback_url cannot be called: {error}", param="callback_url") from None
    return origin, target


async def check_callback_url(url: str, resolver: Resolver) -> None:
    """Whether it leads to a public address now; each try looks again. Raises InvalidRequest."""
    origin, _ = parse_callback_url(url)
    try:
        async with asyncio.timeout(LOOKUP_S):
            await resolver.resolve(origin.host, origin.port)
    except TimeoutError:
        raise InvalidRequest(
            "the host of callback_url could not be looked up in time; try again", param="callback_url"
        ) from None
    except Blocked:
        raise InvalidRequest("callback_url must lead to a public address", param="callback_url") from None
    except OSError:
        raise InvalidRequest("the host of callback_url cannot be found", param="callback_url") from None


class Callbacks:
    """Makes the tries that the worker has claimed."""

    def __init__(self, parts: TaskParts) -> None:
        self._parts = parts

    async def call(self, claim: CallbackClaim) -> None:
        """One try, and its record. Whatever goes wrong with the database, the claim runs out and the row is due again."""
        try:
            if claim.at is not None:
                await self._record(claim, Outcome(0, "interrupted"))
                return
            if not await self._write(claim, {"at": self._parts.clock.now_us()}):
                return
            self._parts.reached("callback_begun", claim.task_id)
            outcome = await self._made(claim)
            self._parts.reached("callback_made", claim.task_id)
            await self._record(claim, outcome)
            self._parts.reached("callback_recorded", claim.task_id)
        except (SQLAlchemyError, OSError) as error:
            log.warning("a callback could not be recorded", task_id=claim.task_id, error=type(error).__name__)
        except Exception as error:
            # A callback must not take the worker down with it: its claim runs out, and the next try follows.
            log.error("a callback broke", task_id=claim.task_id, exc_info=error)

    async def _made(self, claim: CallbackClaim) -> Outcome:
        async with reading(self._parts.engine) as connection:
            task = await rows.by_id(connection, claim.task_id)
            found = None if task is None else await _key_hash(connection, task)
        if task is None or task.callback_url is None or found is None:
            return Outcome(0, "no_key")
        outcome = await self._sent(task.callback_url, self._parts.body(task), found)
        if outcome.error:
            log.warning(
                "a callback was not taken",
                task_id=task.id,
                attempt=claim.attempt,
                status=outcome.status,
                error=outcome.error,
            )
        return outcome

    async def _sent(self, url: str, body: bytes, key_hash: str) -> Outcome:
        seconds = self._parts.pace.callback_timeout_s
        headers = (
            (b"content-type", b"application/json"),
            (b"user-agent", b"ByteSpike"),
            (SIGNATURE_HEADER, signature(body, key_hash).encode("ascii")),
        )
        try:
            origin, target = parse_callback_url(url)
            answer = await self._parts.public.request(
                origin,
                b"POST",
                target,
                render_headers(headers),
                body,
                Timeouts(connect=seconds, first_byte=seconds, idle=seconds, total=seconds),
            )
        except InvalidRequest:
            return Outcome(0, "blocked")
        except TransportError as error:
            return Outcome(0, error.kind)
        try:
            # What it says is nobody's business; its status came whole.
            await answer.read(ANSWER_BYTES_MAX)
        except TransportError:
            pass
        if 200 <= answer.status < 300:
            return Outcome(answer.status, "")
        return Outcome(answer.status, "redirected" if 300 <= answer.status < 400 else "answered")

    async def _record(self, claim: CallbackClaim, outcome: Outcome) -> None:
        """What came of it, and the next try, if there is one."""
        now_us = self._parts.clock.now_us()
        after = self._parts.pace.callback_after_s
        fields: dict[str, object] = {
            "due_at": None,
            "status": outcome.status,
            "error": outcome.error,
            "claimed_by": None,
            "claimed_until": 0,
        }
        async with self._parts.engine.begin() as connection:
            if not await _fenced(connection, claim, fields) or not outcome.error or not outcome.again:
                return
            made = await _made_tries(connection, claim.task_id)
            if made > len(after) or claim.attempt >= ROWS_MAX:
                return
            pause = 0 if outcome.error == "interrupted" else micros(after[made - 1])
            await connection.execute(
                insert(callbacks).values(
                    task_id=claim.task_id, attempt=claim.attempt + 1, due_at=now_us + pause
                )
            )

    async def _write(self, claim: CallbackClaim, fields: Mapping[str, object]) -> bool:
        async with self._parts.engine.begin() as connection:
            return await _fenced(connection, claim, fields)


async def _fenced(connection: AsyncConnection, claim: CallbackClaim, fields: Mapping[str, object]) -> bool:
    """Write columns of a claimed try; False: somebody else has it now."""
    done = await connection.execute(
        update(callbacks)
        .where(
            callbacks.c.task_id == claim.task_id,
            callbacks.c.attempt == claim.attempt,
            callbacks.c.fence == claim.fence,
        )
        .values(fields)
    )
    return done.rowcount > 0


async def _made_tries(connection: AsyncConnection, task_id: str) -> int:
    """Those that somebody has seen the end of."""
    query = select(func.count()).where(
        callbacks.c.task_id == task_id, callbacks.c.due_at.is_(None), callbacks.c.error != "interrupted"
    )
    return (await connection.execute(query)).scalar_one()


async def _key_hash(connection: AsyncConnection, task: Task) -> str | None:
    found = await connection.execute(select(keys.c.hash).where(keys.c.id == task.key_id))
    return found.scalar_one_or_none()
