"""Access tokens: one fetch however many ask, renewed before they end, kept through an issuer's bad minutes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from bytespike.providers import access_tokens
from bytespike.providers.access_tokens import AccessTokens, Token, TokenRefused, TokenUnavailable
from bytespike.wire.address import Origin, Proxy

S = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.us = 1_700_000_000 * S

    def now_us(self) -> int:
        return self.us

    def monotonic_ns(self) -> int:
        return 0

    def passes(self, seconds: float) -> None:
        self.us += int(seconds * S)


class Grant:
    """A grant whose issuer answers `<status>` and a number."""

    origin = Origin("https", "issuer.example", 443)
    target = b"/token"
    head = b""
    proxy: Proxy | None = None

    def __init__(self, key: str = "k", seconds: int = 3600) -> None:
        self.key = key
        self.seconds = seconds
        self.threads: set[int] = set()

    def request(self, now_s: int) -> bytes:
        self.threads.add(threading.get_ident())
        return b"%d" % now_s

    def read(self, status: int, body: bytes) -> Token:
        if status == 400:
            raise TokenRefused("invalid_grant")
        if status != 200:
            raise TokenUnavailable("down", status)
        return Token(body.decode(), self.seconds)


class Issuer:
    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.status = 200
        self.gate: asyncio.Event | None = None

    async def __call__(
        self, origin: Origin, target: bytes, head: bytes, body: bytes, proxy: Proxy | None
    ) -> tuple[int, bytes]:
        self.asked.append(body)
        number = len(self.asked)
        if self.gate is not None:
            await self.gate.wait()
        return self.status, b"token%d" % number


def tokens() -> tuple[AccessTokens, Issuer, Clock]:
    issuer, clock = Issuer(), Clock()
    return AccessTokens(clock, issuer), issuer, clock


def line(number: int) -> bytes:
    return b"authorization: Bearer token%d\r\n" % number


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_token_is_asked_for_once_and_kept() -> None:
    async def main() -> None:
        kept, issuer, clock = tokens()
        grant = Grant()
        assert await kept.line(grant) == line(1)
        clock.passes(3600 - access_tokens.RENEW_S - 1)
        assert await kept.line(grant) == line(1)
        assert issuer.asked == [b"1700000000"]
        assert threading.get_ident() not in grant.threads

    asyncio.run(main())


def test_it_is_renewed_before_it_ends() -> None:
    async def main() -> None:
        kept, issuer, clock = tokens()
        await kept.line(Grant())
        clock.passes(3600 - access_tokens.RENEW_S + 1)
        assert await kept.line(Grant()) == line(2)
        assert len(issuer.asked) == 2

    asyncio.run(main())


def test_a_token_of_a_few_minutes_is_used_for_half_of_them() -> None:
    async def main() -> None:
        kept, _, clock = tokens()
        short = Grant(seconds=200)
        await kept.line(short)
        clock.passes(99)
        assert await kept.line(short) == line(1)
        clock.passes(2)
        assert await kept.line(short) == line(2)

    asyncio.run(main())


def test_a_hundred_at_once_are_one_fetch() -> None:
    async def main() -> None:
        kept, issuer, _ = tokens()
        issuer.gate = asyncio.Event()
        waiting = [asyncio.create_task(kept.line(Grant())) for _ in range(100)]
        await until(lambda: len(issuer.asked) == 1)
        issuer.gate.set()
        assert set(await asyncio.gather(*waiting)) == {line(1)}
        assert len(issuer.asked) == 1

    asyncio.run(main())


def test_while_one_renews_the_others_go_on_with_what_holds() -> None:
    async def main() -> None:
        kept, issuer, clock = tokens()
        await kept.line(Grant())
        clock.passes(3400)
        issuer.gate = asyncio.Event()
        renewing = asyncio.create_task(kept.line(Grant()))
        await until(lambda: len(issuer.asked) == 2)
        assert await kept.line(Grant()) == line(1)
        issuer.gate.set()
        assert await renewing == line(2)
        assert await kept.line(Grant()) == line(2)

    asyncio.run(main())


def test_who_is_cancelled_while_fetching_leaves_it_to_the_next() -> None:
    async def main() -> None:
        kept, issuer, _ = tokens()
        issuer.gate = asyncio.Event()
        first = asyncio.create_task(kept.line(Grant()))
        await until(lambda: len(issuer.asked) == 1)
        second = asyncio.create_task(kept.line(Grant()))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await until(lambda: len(issuer.asked) == 2)
        issuer.gate.set()
        assert await second == line(2)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_an_issuer_that_is_down_costs_nothing_while_the_old_token_holds() -> None:
    async def main() -> None:
        kept, issuer, clock = tokens()
        await kept.line(Grant())
        issuer.status = 503
        clock.passes(3400)
        assert await kept.line(Grant()) == line(1)
        assert await kept.line(Grant()) == line(1)
        assert len(issuer.asked) == 2, "it is asked again only after a while"
        clock.passes(access_tokens.RETRY_S + 1)
        assert await kept.line(Grant()) == line(1)
        assert len(issuer.asked) == 3
        clock.passes(200)
        with pytest.raises(TokenUnavailable):
            await kept.line(Grant())
        issuer.status = 200
        assert await kept.line(Grant()) == line(5)

    asyncio.run(main())


def test_a_refused_credential_is_not_tried_again_at_once() -> None:
    async def main() -> None:
        kept, issuer, clock = tokens()
        issuer.status = 400
        for _ in range(5):
            with pytest.raises(TokenRefused, match="invalid_grant"):
                await kept.line(Grant())
        assert len(issuer.asked) == 1
        issuer.status = 200
        clock.passes(access_tokens.REFUSED_S + 1)
        assert await kept.line(Grant()) == line(2)

    asyncio.run(main())


def test_a_token_that_does_not_work_is_forgotten() -> None:
    async def main() -> None:
        kept, _, _ = tokens()
        await kept.line(Grant())
        kept.forget(Grant())
        assert await kept.line(Grant()) == line(2)

    asyncio.run(main())


def test_credentials_have_tokens_of_their_own() -> None:
    async def main() -> None:
        kept, _, _ = tokens()
        assert await kept.line(Grant("a")) == line(1)
        assert await kept.line(Grant("b")) == line(2)
        assert await kept.line(Grant("a")) == line(1)

    asyncio.run(main())


def test_a_clock_that_is_set_back_keeps_no_token_alive() -> None:
    async def main() -> None:
        kept, _, clock = tokens()
        await kept.line(Grant())
        clock.passes(-86_400)
        assert await kept.line(Grant()) == line(2)

    asyncio.run(main())


def test_tokens_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_tokens, "KEPT_MAX", 3)

    async def main() -> None:
        kept, issuer, _ = tokens()
        for number in range(10):
            await kept.line(Grant(str(number)))
        assert len(issuer.asked) == 10
        assert await kept.line(Grant("9")) == line(10)
        assert await kept.line(Grant("0")) == line(11)

    asyncio.run(main())
