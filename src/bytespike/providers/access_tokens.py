"""Access tokens: had for a longer-lived credential, kept while they last, shared by all requests.

- One request fetches a token at a time; the others of that credential wait for it, or go on with the one that still
  holds. A fetch that fails while the old token holds does no harm.
- A token is renewed `RENEW_S` before it ends, so that none ends on its way.
- A credential that is refused is not tried again for `REFUSED_S`: a burst of requests is not a burst of refusals.

There are no tasks here. Whoever needs the token fetches it; if that is cancelled, the next one does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from msgspec import Struct, structs

from bytespike.clock import Clock
from bytespike.wire.address import Origin, Proxy

#: A token is renewed so many seconds before it ends.
RENEW_S = 300
#: A token that lasts shorter than it says is renewed after so many seconds at the latest.
LIFE_S_MAX = 3_600
#: A renewal that failed while the old token holds is tried again after so many seconds.
RETRY_S = 10
#: For so long a refusal is remembered.
REFUSED_S = 5
#: Credentials whose tokens are kept; the one fetched longest ago goes first.
KEPT_MAX = 10_000
_SECOND = 1_000_000

#: One POST: where, header lines, body, through which proxy. Gives status and body; raises TokenUnavailable
#: where no answer comes.
Ask: TypeAlias = Callable[[Origin, bytes, bytes, bytes, Proxy | None], Awaitable[tuple[int, bytes]]]


class TokenRefused(Exception):
    """The credential is refused. The message is the issuer's word, without a secret."""


class TokenUnavailable(Exception):
    """The issuer fails, or answers what it should not. `status`: its own, 0 where it did not answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Token(Struct, frozen=True):
    """`seconds`: how long it lasts from now. Its repr hides it."""

    value: str
    seconds: int

    def __repr__(self) -> str:
        return f"Token(seconds={self.seconds})"


class Grant(Protocol):
    """How a token is had. `key`: the same for the same credential, and no secret itself."""

    @property
    def key(self) -> str: ...
    @property
    def origin(self) -> Origin: ...
    @property
    def target(self) -> bytes: ...
    @property
    def head(self) -> bytes: ...
    @property
    def proxy(self) -> Proxy | None: ...

    def request(self, now_s: int) -> bytes:
        """The body that asks for one. May take milliseconds of CPU: called in a thread."""
        ...

    def read(self, status: int, body: bytes) -> Token:
        """Raises TokenRefused, TokenUnavailable."""
        ...


class _Kept(Struct, frozen=True):
    """`line`: the header line. Times in Unix microseconds. `refused`: why, until `refused_until`."""

    line: bytes = b""
    renew_at: int = 0
    ends_at: int = 0
    refused: str = ""
    refused_until: int = 0


class _Fetch:
    """Those who want the same token: one fetches, `users` counts all."""

    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class AccessTokens:
    """The tokens of one process."""

    __slots__ = ("_ask", "_clock", "_fetches", "_kept")

    def __init__(self, clock: Clock, ask: Ask) -> None:
        self._clock = clock
        self._ask = ask
        self._kept: dict[str, _Kept] = {}
        self._fetches: dict[str, _Fetch] = {}

    async def line(self, grant: Grant) -> bytes:
        """`authorization: Bearer …`, as a header line. Raises TokenRefused, TokenUnavailable."""
        now = self._clock.now_us()
        kept = self._kept.get(grant.key)
        if kept is not None and _ahead(kept.renew_at, now, LIFE_S_MAX):
            return kept.line
        fetch = self._fetches.get(grant.key)
        if fetch is None:
            fetch = self._fetches[grant.key] = _Fetch()
        elif kept is not None and _ahead(kept.ends_at, now, LIFE_S_MAX):
            # Somebody is fetching the next one.
            return kept.line
        fetch.users += 1
        try:
            async with fetch.lock:
                return await self._fetched(grant)
        finally:
            fetch.users -= 1
            if not fetch.users:
                del self._fetches[grant.key]

    def forget(self, grant: Grant) -> None:
        """The token does not work after all."""
        self._kept.pop(grant.key, None)

    async def _fetched(self, grant: Grant) -> bytes:
        """What another has fetched meanwhile, or a new one."""
        now = self._clock.now_us()
        kept = self._kept.get(grant.key, _Kept())
        if _ahead(kept.renew_at, now, LIFE_S_MAX):
            return kept.line
        if _ahead(kept.refused_until, now, REFUSED_S):
            raise TokenRefused(kept.refused)
        try:
            body = await asyncio.to_thread(grant.request, now // _SECOND)
            token = grant.read(*await self._ask(grant.origin, grant.target, grant.head, body, grant.proxy))
        except TokenRefused as error:
            self._keep(grant.key, _Kept(refused=str(error), refused_until=now + REFUSED_S * _SECOND))
            raise
        except TokenUnavailable:
            if not _ahead(kept.ends_at, now, LIFE_S_MAX):
                raise
            again = min(now + RETRY_S * _SECOND, kept.ends_at)
            self._keep(grant.key, structs.replace(kept, renew_at=again))
            return kept.line
        seconds = min(token.seconds, LIFE_S_MAX)
        line = b"authorization: Bearer %b\r\n" % token.value.encode("ascii")
        renew_in = max(seconds - RENEW_S, seconds // 2)
        self._keep(grant.key, _Kept(line, now + renew_in * _SECOND, now + seconds * _SECOND))
        return line

    def _keep(self, key: str, kept: _Kept) -> None:
        self._kept.pop(key, None)
        while len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = kept


def _ahead(time_us: int, now_us: int, seconds_max: int) -> bool:
    """Whether that is still to come. What lies farther ahead than it can was set by a clock that has been set back."""
    return now_us < time_us <= now_us + seconds_max * _SECOND
