"""Which addresses are public."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.upstream.guard import Blocked, GuardedResolver, check_address

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:4860:4860::8888",
    "2001:200::1",
    "2606:4700::1111",
    "2003::1",
    "3ffe::1",
    "3fff:1000::1",
]
REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff::1",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1111%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address):
    check_address(address)
    check_address(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", REFUSED)
def test_refused(address):
    with pytest.raises(Blocked):
        check_address(address)


def test_what_is_no_address_is_an_error_too():
    for text in ("", "localhost", "127.1", "0x7f000001", "1.2.3.4.5"):
        with pytest.raises(ValueError):
            check_address(text)


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_no_address_that_python_calls_special_is_public(address):
    """Python's own table is an independent one, though older ones miss a few networks."""
    if not address.is_global or address.is_multicast:
        with pytest.raises(Blocked):
            check_address(address)


@given(st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address))
def test_no_ipv6_address_that_python_calls_special_is_public(address):
    if (
        not address.is_global
        or address.is_multicast
        or address.ipv4_mapped
        or address.sixtofour
        or address.teredo
    ):
        with pytest.raises(Blocked):
            check_address(address)


class Fixed:
    public_only = False

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.forgotten: list[str] = []

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        return self.addresses

    def forget(self, host: str) -> None:
        self.forgotten.append(host)


def test_a_guarded_resolver_gives_out_the_public_addresses_only():
    inner = Fixed("10.0.0.1", "8.8.8.8", "64:ff9b::808:808", "2606:4700::1111")
    guarded = GuardedResolver(inner)
    assert guarded.public_only
    assert asyncio.run(guarded.resolve("h", 1)) == ("8.8.8.8", "2606:4700::1111")
    guarded.forget("h")
    assert inner.forgotten == ["h"]


def test_a_guarded_resolver_refuses_a_name_without_a_public_address_and_does_not_say_why():
    guarded = GuardedResolver(Fixed("10.0.0.1", "::1"))
    with pytest.raises(Blocked) as caught:
        asyncio.run(guarded.resolve("h", 1))
    assert "10.0" not in str(caught.value)


def test_an_open_guard_gives_out_everything():
    guarded = GuardedResolver(Fixed("10.0.0.1"), public_only=False)
    assert asyncio.run(guarded.resolve("h", 1)) == ("10.0.0.1",)
    assert not guarded.public_only
