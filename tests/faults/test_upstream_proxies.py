"""Proxies that forward, refuse, and misbehave. Tunnels that carry TLS are in tests/integration/test_upstream_tls.py."""

from __future__ import annotations

import pytest

from bytespike.testing.fault_proxy import FaultProxy
from bytespike.testing.scripted_upstream import ScriptedUpstream, sending, whole
from bytespike.upstream.errors import TransportError
from bytespike.upstream.guard import GuardedResolver
from bytespike.wire.address import Origin, parse_proxy
from tests.support.transport import (
    LIMIT,
    POST,
    TIMEOUTS,
    assert_nothing_left,
    both_loops,
    exchange,
    open_client,
    origin_of,
)

SECURE = Origin("https", "name.test", 8443)


class Fixed:
    """A resolver that knows one answer, and counts how often it was asked."""

    public_only = False

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked = 0

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        self.asked += 1
        return self.addresses

    def forget(self, host: str) -> None: ...


@both_loops
@pytest.mark.parametrize("credentials", [None, "user:p@ss w%rd"])
def test_plain_http_goes_through_a_proxy_in_absolute_form(run, credentials):
    async def main():
        async with (
            ScriptedUpstream(sending(whole(200, (), b"ok"))) as upstream,
            FaultProxy(credentials=credentials) as proxy,
            open_client() as client,
        ):
            user = "user:p%40ss%20w%25rd@" if credentials else ""
            way = parse_proxy(f"http://{user}127.0.0.1:{proxy.port}")
            answer = await client.request(
                origin_of(upstream), POST, b"/v1/x?a=b", b"", b"hi", TIMEOUTS, proxy=way
            )
            assert await answer.read(LIMIT) == b"ok"
            name = b"127.0.0.1:%d" % upstream.port
            assert proxy.targets == [b"http://" + name + b"/v1/x?a=b"]
            assert proxy.hosts == [name]
            (received,) = upstream.requests
            assert (received.target, received.headers[b"host"], received.body) == (b"/v1/x?a=b", name, b"hi")
            assert b"proxy-authorization" not in received.headers

    run(main())


@both_loops
def test_connections_through_a_proxy_and_direct_ones_do_not_mix(run):
    async def main():
        async with (
            ScriptedUpstream(sending(whole(200, (), b"ok"))) as upstream,
            FaultProxy() as proxy,
            open_client() as client,
        ):
            way = parse_proxy(proxy.url)
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", TIMEOUTS, proxy=way)
            await answer.read(LIMIT)
            await exchange(client, upstream)
            stats = client.stats()
            assert {(each.proxied, each.idle) for each in stats.origins} == {(True, 1), (False, 1)}
            assert proxy.connections == 1

    run(main())


@both_loops
def test_a_tunnel_is_asked_for_with_the_port_and_refusals_are_connect_errors(run):
    async def main():
        async with open_client() as client:
            for settings, words in (
                ({"refuse": 503}, "503"),
                ({"refuse": 302}, "302"),
                ({"credentials": "user:right"}, "407"),
            ):
                async with FaultProxy(**settings) as proxy:
                    way = parse_proxy(f"http://user:sesame@127.0.0.1:{proxy.port}")
                    with pytest.raises(TransportError) as caught:
                        await client.request(SECURE, POST, b"/", b"", b"", TIMEOUTS, proxy=way)
                    assert (caught.value.kind, caught.value.sent) == ("connect", False)
                    assert words in str(caught.value)
                    assert "sesame" not in f"{caught.value} {caught.value!r} {way!r} {client.stats()!r}"
                    assert "c2VzYW1l" not in repr(way)
                    assert proxy.targets == proxy.hosts == [b"name.test:8443"]
            assert_nothing_left(client)

    run(main())


@both_loops
@pytest.mark.parametrize(
    ("answer", "then", "kind"),
    [
        (b"", "close", "connect"),
        (b"HTTP/1.1 200", "close", "connect"),
        (b"HTTP/1.1 200 OK\r\n", "reset", "connect"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "keep", "connect"),
        (b"HTTP/1.1 200 OK\r\na: " + b"x" * 20_000, "keep", "connect"),
        (b"HTTP/1.1 200 OK\r\n\r\nearly bytes", "keep", "protocol"),
    ],
    ids=["silent end", "half a head", "reset", "not http", "endless head", "early bytes"],
)
def test_a_proxy_that_does_not_speak_http(run, answer, then, kind):
    async def main():
        async with ScriptedUpstream(sending(answer, then)) as proxy, open_client() as client:
            way = parse_proxy(proxy.url)
            with pytest.raises(TransportError) as caught:
                await client.request(SECURE, POST, b"/", b"", b"", TIMEOUTS, proxy=way)
            assert (caught.value.kind, caught.value.sent) == (kind, False)
            assert_nothing_left(client)
            await proxy.settled()

    run(main())


@both_loops
def test_a_proxy_that_is_not_there(run):
    async def main():
        async with ScriptedUpstream(sending(b"")) as upstream:
            gone = upstream.port
        async with open_client() as client:
            way = parse_proxy(f"http://127.0.0.1:{gone}")
            for origin in (SECURE, Origin("http", "name.test", 80)):
                with pytest.raises(TransportError) as caught:
                    await client.request(origin, POST, b"/", b"", b"", TIMEOUTS, proxy=way)
                assert (caught.value.kind, caught.value.sent) == ("connect", False)

    run(main())


@both_loops
def test_with_public_addresses_only_the_tunnel_goes_to_the_checked_address(run):
    async def main():
        resolver = Fixed("10.0.0.1", "93.184.216.34")
        async with (
            FaultProxy(refuse=503) as proxy,
            open_client(resolver=GuardedResolver(resolver)) as client,
        ):
            way = parse_proxy(proxy.url)
            with pytest.raises(TransportError) as caught:
                await client.request(SECURE, POST, b"/", b"", b"", TIMEOUTS, proxy=way)
            assert caught.value.kind == "connect"
            assert proxy.targets == [b"93.184.216.34:8443"]
            with pytest.raises(TransportError) as caught:
                await client.request(
                    Origin("http", "name.test", 80), POST, b"/", b"", b"", TIMEOUTS, proxy=way
                )
            assert caught.value.kind == "blocked"
            resolver.addresses = ("10.0.0.1",)
            with pytest.raises(TransportError) as caught:
                await client.request(SECURE, POST, b"/", b"", b"", TIMEOUTS, proxy=way)
            assert (caught.value.kind, caught.value.sent) == ("blocked", False)
            assert proxy.connections == 1

    run(main())
