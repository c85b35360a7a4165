"""The DNS cache. The system's resolver is the edge that is replaced here."""

from __future__ import annotations

import asyncio
import socket

import pytest

from bytespike.upstream.limits import ADDRESSES_MAX, DNS_HOSTS_MAX
from bytespike.upstream.resolver import FewLookups, SystemResolver


class Looked:
    """Stands in for a loop's getaddrinfo."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        self.asked.append(host)
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses]


def resolving(
    looked: Looked, resolver: SystemResolver, *hosts: str, pause: float = 0.0
) -> list[tuple[str, ...]]:
    async def main() -> list[tuple[str, ...]]:
        asyncio.get_running_loop().getaddrinfo = looked
        answers = []
        for host in hosts:
            answers.append(await resolver.resolve(host, 443))
            await asyncio.sleep(pause)
        return answers

    return asyncio.run(main())


def test_a_name_is_looked_up_once_while_its_answer_is_fresh():
    looked = Looked("1.1.1.1", "2.2.2.2")
    assert resolving(looked, SystemResolver(), "h", "h", "other", "h") == [("1.1.1.1", "2.2.2.2")] * 4
    assert looked.asked == ["h", "other"]


def test_an_old_answer_is_not_used():
    looked = Looked("1.1.1.1")
    resolving(looked, SystemResolver(seconds=0.02), "h", "h", pause=0.03)
    assert looked.asked == ["h", "h"]


def test_a_forgotten_name_is_looked_up_again():
    looked = Looked("1.1.1.1")
    resolver = SystemResolver()
    resolving(looked, resolver, "h")
    resolver.forget("h")
    resolver.forget("never seen")
    resolving(looked, resolver, "h")
    assert looked.asked == ["h", "h"]


def test_literals_are_not_looked_up():
    looked = Looked()
    assert resolving(looked, SystemResolver(), "127.0.0.1", "::1", "2001:DB8::1") == [
        ("127.0.0.1",),
        ("::1",),
        ("2001:db8::1",),
    ]


def test_failures_are_not_kept():
    looked = Looked()
    resolver = SystemResolver()
    for _ in range(2):
        with pytest.raises(OSError):
            resolving(looked, resolver, "h")
    assert looked.asked == ["h", "h"]


def test_addresses_and_hosts_are_bounded_and_addresses_are_not_repeated():
    many = Looked("1.1.1.1", "1.1.1.1", *(f"9.9.9.{n}" for n in range(50)))
    resolver = SystemResolver()
    (addresses,) = resolving(many, resolver, "h")
    assert addresses[:2] == ("1.1.1.1", "9.9.9.0")
    assert len(addresses) == ADDRESSES_MAX
    resolving(many, resolver, *(f"h{n}" for n in range(DNS_HOSTS_MAX + 10)))
    assert len(resolver._cache) == DNS_HOSTS_MAX
    assert "h" not in resolver._cache


class Slow:
    """Answers when it is told to. `asked`: the names so far."""

    public_only = False

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = asyncio.Event()
        self.forgotten: list[str] = []

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        self.asked.append(host)
        await self.answer.wait()
        if host == "none.test":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return ("192.0.2.1",)

    def forget(self, host: str) -> None:
        self.forgotten.append(host)


def test_of_users_names_only_a_few_are_looked_up_at_once_however_many_callers_give_up() -> None:
    async def main() -> None:
        slow = Slow()
        few = FewLookups(slow, 2)
        for number in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await few.resolve(f"{number}.test", 443)
        # The first two still wait for their name server, and nobody has their places.
        assert slow.asked == ["0.test", "1.test"]
        slow.answer.set()
        assert await few.resolve("6.test", 443) == ("192.0.2.1",)
        assert slow.asked == ["0.test", "1.test", "6.test"]

    asyncio.run(main())


def test_a_name_that_is_not_there_frees_its_place_too() -> None:
    async def main() -> None:
        slow = Slow()
        slow.answer.set()
        few = FewLookups(slow, 1)
        for _ in range(3):
            with pytest.raises(socket.gaierror):
                await few.resolve("none.test", 443)
        few.forget("none.test")
        assert slow.forgotten == ["none.test"]

    asyncio.run(main())
