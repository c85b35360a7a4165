"""TLS with real certificates: what is trusted, what is refused, and what a broken handshake leaves behind."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from bytespike.testing.fault_proxy import FaultProxy
from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream, chunked, sending, whole
from bytespike.upstream.client import Client
from bytespike.upstream.errors import TransportError
from bytespike.upstream.guard import GuardedResolver
from bytespike.upstream.limits import Timeouts
from bytespike.upstream.tls import client_context
from bytespike.wire.address import Origin, parse_proxy
from tests.support.transport import (
    LIMIT,
    POST,
    TIMEOUTS,
    assert_nothing_left,
    assert_whole,
    both_loops,
    open_client,
    until,
)

CHUNKED = chunked([b"one", b"two", b"three"])


class Everywhere:
    """Every name is this machine."""

    public_only = False

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        return ("127.0.0.1",)

    def forget(self, host: str) -> None: ...


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Our own context, with the test's authority as the operator's extra CA file."""
    file = Path(tmp_path_factory.mktemp("ca")) / "extra.pem"
    authority.cert_pem.write_to_path(str(file))
    return client_context(str(file))


def serving(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def named(upstream: ScriptedUpstream, host: str = "api.test") -> Origin:
    return Origin("https", host, upstream.port)


async def exchange(
    client: Client, origin: Origin, timeouts: Timeouts = TIMEOUTS, body: bytes = b"{}"
) -> bytes:
    answer = await client.request(origin, POST, b"/v1/x", b"", body, timeouts)
    return await answer.read(LIMIT)


async def refused(client: Client, origin: Origin) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await exchange(client, origin)
    assert caught.value.sent is False
    assert_nothing_left(client)
    return caught.value


@both_loops
def test_requests_answers_and_reuse(run, authority, trusting):
    server = serving(authority, "api.test")
    server.set_alpn_protocols(["h2", "http/1.1"])
    names: list[str] = []
    server.sni_callback = lambda _, name, __: names.append(name)
    chosen: list[str | None] = []

    async def handler(peer: Peer) -> None:
        chosen.append(peer._writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await peer.answer(200, body=peer.request.body * 2)

    async def main():
        async with (
            ScriptedUpstream(handler, tls=server) as upstream,
            open_client(tls=trusting, resolver=Everywhere()) as client,
        ):
            for size in (3, 70_000, 400_000):
                body = b"x" * size
                assert await exchange(client, named(upstream), body=body) == body * 2
            assert len(upstream.connections) == 1
            assert upstream.requests[0].headers[b"host"] == b"api.test:%d" % upstream.port
            assert names == ["api.test"]
            assert chosen == ["http/1.1"] * 3
            assert_whole(client)

    run(main())


@both_loops
def test_streams_whole_and_byte_by_byte(run, authority, trusting):
    async def main():
        for step in (None, 1):
            async with (
                ScriptedUpstream(sending(CHUNKED, step=step), tls=serving(authority, "api.test")) as upstream,
                open_client(tls=trusting, resolver=Everywhere()) as client,
            ):
                for _ in range(3):
                    assert await exchange(client, named(upstream)) == b"onetwothree"
                assert len(upstream.connections) == 1

    run(main())


@both_loops
def test_an_address_is_verified_as_an_address(run, authority, trusting):
    async def main():
        async with (
            open_client(tls=trusting) as client,
            ScriptedUpstream(sending(whole(200, (), b"ok")), tls=serving(authority, "127.0.0.1")) as good,
        ):
            assert await exchange(client, named(good, "127.0.0.1")) == b"ok"
        async with (
            ScriptedUpstream(sending(whole()), tls=serving(authority, "api.test")) as bad,
            open_client(tls=trusting) as client,
        ):
            assert (await refused(client, named(bad, "127.0.0.1"))).kind == "tls"

    run(main())


@both_loops
def test_a_certificate_for_another_host_is_refused(run, authority, trusting):
    async def main():
        async with (
            ScriptedUpstream(sending(whole()), tls=serving(authority, "other.test")) as upstream,
            open_client(tls=trusting, resolver=Everywhere()) as client,
        ):
            error = await refused(client, named(upstream))
            assert error.kind == "tls"
            assert "api.test" in str(error)
            assert upstream.requests == []

    run(main())


@both_loops
def test_an_unknown_authority_is_refused(run, authority):
    async def main():
        async with (
            ScriptedUpstream(sending(whole()), tls=serving(authority, "api.test")) as upstream,
            open_client(resolver=Everywhere()) as client,
        ):
            assert (await refused(client, named(upstream))).kind == "tls"
            assert upstream.requests == []

    run(main())


@both_loops
def test_old_protocols_and_plain_servers_are_refused(run, authority, trusting):
    old = serving(authority, "api.test")
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert trusting.minimum_version is ssl.TLSVersion.TLSv1_2
    assert trusting.verify_mode is ssl.CERT_REQUIRED
    assert trusting.check_hostname
    newest_only = client_context()
    newest_only.minimum_version = ssl.TLSVersion.TLSv1_3

    async def main():
        async with (
            ScriptedUpstream(sending(whole()), tls=old) as upstream,
            open_client(tls=newest_only, resolver=Everywhere()) as client,
        ):
            assert (await refused(client, named(upstream))).kind == "tls"

        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-hello\r\n" * 20)
            await writer.drain()
            writer.close()

        async with (
            await asyncio.start_server(plain, "127.0.0.1", 0) as server,
            open_client(tls=trusting, resolver=Everywhere()) as client,
        ):
            port = server.sockets[0].getsockname()[1]
            assert (await refused(client, Origin("https", "api.test", port))).kind == "tls"

    run(main())


@both_loops
@pytest.mark.parametrize("ending", ["fin", "rst"])
def test_a_connection_that_ends_in_the_handshake_is_a_tls_error(run, trusting, ending):
    async def main():
        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if ending == "rst":
                writer.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()

        async with (
            await asyncio.start_server(accepted, "127.0.0.1", 0) as server,
            open_client(tls=trusting, resolver=Everywhere()) as client,
        ):
            port = server.sockets[0].getsockname()[1]
            for _ in range(20):
                error = await refused(client, Origin("https", "api.test", port))
                assert error.kind in ("tls", "connect")

    run(main())


@both_loops
@pytest.mark.parametrize("how", ["deadline", "cancelled"])
def test_a_silent_handshake_ends_with_the_connect_deadline_or_the_request(run, trusting, how):
    async def main():
        ended = asyncio.Event()

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1000):
                pass
            writer.close()
            ended.set()

        async with (
            await asyncio.start_server(accepted, "127.0.0.1", 0) as server,
            open_client(tls=trusting, resolver=Everywhere()) as client,
        ):
            origin = Origin("https", "api.test", server.sockets[0].getsockname()[1])
            task = asyncio.create_task(exchange(client, origin, Timeouts(connect=0.3)))
            await until(lambda: client.stats().connecting == 1)
            await asyncio.sleep(0.1)
            if how == "cancelled":
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                with pytest.raises(TransportError) as caught:
                    await task
                assert (caught.value.kind, caught.value.sent) == ("timeout_connect", False)
            assert_nothing_left(client)
            async with asyncio.timeout(1):
                await ended.wait()

    run(main())


@both_loops
def test_cancelled_at_every_turn_of_the_loop_while_connecting(run, authority, trusting):
    async def main():
        async with (
            ScriptedUpstream(sending(CHUNKED), tls=serving(authority, "api.test")) as upstream,
            open_client(tls=trusting, resolver=Everywhere()) as client,
        ):
            finished = 0
            for turns in range(200):
                task = asyncio.create_task(exchange(client, named(upstream)))
                for _ in range(turns):
                    await asyncio.sleep(0)
                finished += task.done()
                task.cancel()
                await asyncio.wait([task])
                assert_whole(client)
                for pool in client._pools.values():
                    pool.close_idle()
                if finished > 3:
                    break
            assert finished > 3
            await upstream.settled()

    run(main())


@both_loops
@pytest.mark.parametrize("ending", ["close", "reset"])
def test_an_answer_cut_at_any_byte_is_never_taken_as_whole(run, authority, trusting, ending):
    async def handler(peer: Peer) -> None:
        await peer.send(CHUNKED[: int(peer.request.headers[b"content-length"])])
        peer.close() if ending == "close" else peer.reset()

    async def main():
        async with (
            ScriptedUpstream(handler, tls=serving(authority, "api.test")) as upstream,
            open_client(tls=trusting, resolver=Everywhere()) as client,
        ):
            for offset in range(0, len(CHUNKED), 3):
                with pytest.raises(TransportError) as caught:
                    await exchange(client, named(upstream), body=b"x" * offset)
                assert (caught.value.kind, caught.value.sent) == ("reset", True), offset
                assert client.stats().open == 0
            assert await exchange(client, named(upstream), body=b"x" * len(CHUNKED)) == b"onetwothree"

    run(main())


@both_loops
def test_a_stalled_reader_of_an_encrypted_stream_holds_a_bounded_amount(run, authority, trusting):
    async def main():
        total = 30_000_000
        data = whole(200, (), b"x" * total)
        async with (
            ScriptedUpstream(sending(data), tls=serving(authority, "api.test")) as upstream,
            open_client(tls=trusting, resolver=Everywhere()) as client,
        ):
            answer = await client.request(named(upstream), POST, b"/", b"", b"", TIMEOUTS)
            log = upstream.connections[0]
            before = -1
            while log.sent_bytes != before:
                before = log.sent_bytes
                await asyncio.sleep(0.2)
            assert log.sent_bytes < total / 2
            assert answer._exchange.unread < 2_000_000
            size = 0
            while chunk := await answer.next_chunk():
                size += len(chunk)
            assert size == total
            assert_whole(client)

    run(main())


@both_loops
def test_a_tunnel_through_a_proxy_is_verified_end_to_end_and_used_again(run, authority, trusting):
    async def main():
        async with (
            ScriptedUpstream(sending(whole(200, (), b"ok")), tls=serving(authority, "127.0.0.1")) as upstream,
            FaultProxy(credentials="user:sesame") as proxy,
            open_client(tls=trusting) as client,
        ):
            way = parse_proxy(proxy.url)
            origin = named(upstream, "127.0.0.1")
            for _ in range(3):
                answer = await client.request(origin, POST, b"/v1/x", b"", b"hi", TIMEOUTS, proxy=way)
                assert await answer.read(LIMIT) == b"ok"
            assert proxy.targets == [b"127.0.0.1:%d" % upstream.port]
            assert upstream.requests[0].target == b"/v1/x"
            assert b"proxy-authorization" not in upstream.requests[0].headers
            with pytest.raises(TransportError) as caught:
                await client.request(named(upstream, "localhost"), POST, b"/", b"", b"", TIMEOUTS, proxy=way)
            assert (caught.value.kind, caught.value.sent) == ("tls", False)
            assert_whole(client)

    run(main())


@both_loops
def test_the_guard_holds_for_https_too(run, authority, trusting):
    async def main():
        async with (
            ScriptedUpstream(sending(whole()), tls=serving(authority, "api.test")) as upstream,
            open_client(tls=trusting, resolver=GuardedResolver(Everywhere())) as client,
        ):
            assert (await refused(client, named(upstream))).kind == "blocked"
            assert upstream.connections == []

    run(main())


def test_a_bad_extra_ca_file_is_an_error_at_once(tmp_path):
    with pytest.raises(OSError):
        client_context(str(tmp_path / "absent.pem"))
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        client_context(str(bad))
