"""The DNS cache. The system's resolver is the edge that is replaced here."""

from __future__ import annotations

import asyncio
import socket

import pytest

from bytespike.upstream.limits import ADDRESSES_MAX, DNS_HOSTS_MAX
from bytespike.upstream.resolver import SystemResolver


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
