"""What is fetched from users' URLs: public addresses at every hop, bounded, and only images and PDFs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bytespike.testing.scripted_upstream import Handler, Peer, ScriptedUpstream, sending, whole
from bytespike.upstream import fetch as fetching
from bytespike.upstream.fetch import FETCH_LIMITS, Fetched, Fetcher, FetchesFull, FetchFailed
from bytespike.wire.address import Proxy
from tests.support.fetch_names import PUBLIC_HOST, OneOpenDoor
from tests.support.transport import both_loops, open_client

PDF = b"%PDF-1.7\n1 0 obj\n"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20
NOT_PUBLIC = "it cannot be reached at a public address"


class Names:
    """Answers of the domain name system. A host that is not in it is an address."""

    public_only = False

    def __init__(self, **answers: tuple[str, ...]) -> None:
        self.answers = answers

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        return self.answers.get(host.partition(".")[0], (host,))

    def forget(self, host: str) -> None:
        pass


@asynccontextmanager
async def open_fetcher(**names: tuple[str, ...]) -> AsyncIterator[Fetcher]:
    async with open_client(resolver=OneOpenDoor(Names(**names)), limits=FETCH_LIMITS) as client:
        yield Fetcher(client, seconds=5)


async def failed(fetcher: Fetcher, url: str, proxy: Proxy | None = None) -> str:
    with pytest.raises(FetchFailed) as caught:
        await fetcher.fetch(url, proxy)
    return caught.value.reason


def url_of(upstream: ScriptedUpstream, path: str = "/a.pdf", host: str = PUBLIC_HOST) -> str:
    return f"http://{host}:{upstream.port}{path}"


def redirecting(*locations: str) -> Handler:
    """Redirects to one after the other, then gives a PDF."""
    left = list(locations)

    async def handler(peer: Peer) -> None:
        if left:
            await peer.answer(302, ((b"location", left.pop(0).encode()),))
        else:
            await peer.answer(200, body=PDF)

    return handler


@both_loops
def test_a_document_comes_with_its_type_by_its_own_bytes(run):
    async def main():
        for body, media_type in (
            (PDF, "application/pdf"),
            (b"\xef\xbb\xbf" + PDF, "application/pdf"),
            (PNG, "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"GIF89a..", "image/gif"),
            (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        ):
            said = ((b"content-type", b"text/html"),)
            async with (
                ScriptedUpstream(sending(whole(200, said, body))) as upstream,
                open_fetcher() as fetcher,
            ):
                assert await fetcher.fetch(url_of(upstream)) == Fetched(media_type, body)

    run(main())


@both_loops
def test_what_is_neither_image_nor_pdf_is_not_taken_whatever_the_server_calls_it(run):
    async def main():
        for body in (b"", b"<html>", b'{"secret": 1}', b"RIFF\x00\x00\x00\x00WAVE", b" " * 2000 + PDF):
            said = ((b"content-type", b"application/pdf"),)
            async with (
                ScriptedUpstream(sending(whole(200, said, body))) as upstream,
                open_fetcher() as fetcher,
            ):
                assert "neither an image" in await failed(fetcher, url_of(upstream))

    run(main())


@both_loops
def test_nothing_of_the_gateways_or_the_callers_goes_along(run):
    async def main():
        async with ScriptedUpstream(sending(whole(200, (), PDF))) as upstream, open_fetcher() as fetcher:
            await fetcher.fetch(url_of(upstream, "/ä?sig=x#part"))
            sent = upstream.requests[0]
            assert (sent.method, sent.target, sent.body) == (b"GET", b"/%C3%A4?sig=x", b"")
            assert sent.headers.keys() == {b"host", b"accept", b"accept-encoding", b"user-agent"}

    run(main())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fd00::1]",
        "[fe80::1]",
        "inside.test",
        "metadata.test",
        "both.test",
    ],
)
def test_a_private_address_is_not_asked(host):
    async def main():
        names = {
            "inside": ("127.0.0.1",),
            "metadata": ("169.254.169.254", "fd00:ec2::254"),
            "both": ("10.0.0.1", "::1", "127.0.0.1"),
        }
        async with (
            ScriptedUpstream(sending(whole(200, (), PDF))) as upstream,
            open_fetcher(**names) as fetcher,
        ):
            assert await failed(fetcher, url_of(upstream, host=host)) == NOT_PUBLIC
            assert upstream.connections == []

    asyncio.run(main())


@both_loops
def test_each_redirect_is_checked_like_the_first_url(run):
    async def main():
        names = {"inside": ("127.0.0.1",)}
        for host in ("127.0.0.1", "inside.test", "[::1]"):
            async with ScriptedUpstream(sending(whole(200, (), PDF))) as secret:
                location = url_of(secret, "/secret", host)
                async with (
                    ScriptedUpstream(redirecting(location)) as upstream,
                    open_fetcher(**names) as fetcher,
                ):
                    assert await failed(fetcher, url_of(upstream)) == NOT_PUBLIC
                    assert (len(upstream.requests), secret.connections) == (1, [])

    run(main())


@both_loops
def test_three_redirects_are_followed_and_no_fourth(run):
    async def main():
        async with ScriptedUpstream(redirecting("/b", "c", "?d")) as upstream, open_fetcher() as fetcher:
            assert (await fetcher.fetch(url_of(upstream))).data == PDF
            assert [each.target for each in upstream.requests] == [b"/a.pdf", b"/b", b"/c", b"/c?d"]
        async with (
            ScriptedUpstream(redirecting("/1", "/2", "/3", "/4")) as upstream,
            open_fetcher() as fetcher,
        ):
            assert await failed(fetcher, url_of(upstream)) == "it redirects more than 3 times"
            assert len(upstream.requests) == 4

    run(main())


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://files.test/a", "http://u:p@files.test/", "http://["]
)
def test_a_redirect_to_another_scheme_or_with_credentials_is_not_followed(location):
    async def main():
        async with ScriptedUpstream(redirecting(location)) as upstream, open_fetcher() as fetcher:
            assert await failed(fetcher, url_of(upstream))
            assert len(upstream.requests) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://files.test/",
        "//files.test/a",
        "a.pdf",
        "http://user:secret@files.test/a",
        "http://files.test:25/a",
        "http://files.test:0/a",
        "http://files.test/a\r\nx: y",
        "http://files.test/" + "a" * 9000,
        "http://[::1%25lo]/a",
    ],
)
def test_a_url_that_is_not_of_the_web_is_refused_before_anything_is_resolved(url):
    async def main():
        async with open_fetcher() as fetcher:
            reason = await failed(fetcher, url)
            assert "secret" not in reason
            assert reason != NOT_PUBLIC

    asyncio.run(main())


@both_loops
def test_content_that_is_too_large_is_cut_off(run, monkeypatch):
    monkeypatch.setattr(fetching, "FETCHED_BYTES_MAX", 64 * 1024)

    async def endless(peer: Peer) -> None:
        await peer.start_chunked()
        await peer.chunk(PDF)
        while True:
            await peer.chunk(b"x" * 8192)

    async def main():
        large = whole(200, (), PDF + b"x" * 65536)
        for handler in (endless, sending(large)):
            async with ScriptedUpstream(handler) as upstream, open_fetcher() as fetcher:
                assert "more than" in await failed(fetcher, url_of(upstream))

    run(main())


@both_loops
def test_a_server_that_is_slow_in_any_way_costs_no_more_than_the_deadline(run):
    async def drip(peer: Peer) -> None:
        await peer.answer_chunked([PDF] + [b"x"] * 1000, pause=0.05)

    async def silent(peer: Peer) -> None:
        await peer.stall()

    async def main():
        for handler in (drip, silent):
            async with (
                ScriptedUpstream(handler) as upstream,
                open_client(resolver=OneOpenDoor(Names()), limits=FETCH_LIMITS) as client,
            ):
                started = asyncio.get_running_loop().time()
                assert "0.3 seconds" in await failed(Fetcher(client, seconds=0.3), url_of(upstream))
                assert asyncio.get_running_loop().time() - started < 2

    run(main())


@both_loops
def test_an_error_and_a_broken_answer_are_told_without_what_they_said(run):
    async def main():
        for answer, reason in (
            (whole(404, (), b"secret"), "the server answered 404"),
            (whole(204), "the server answered 204"),
            (whole(302), "the server answered 302 without a location"),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n%PDF-",
                "the connection broke before it was there",
            ),
        ):

            async def handler(peer: Peer, answer: bytes = answer) -> None:
                await peer.send(answer)
                peer.close()

            async with ScriptedUpstream(handler) as upstream, open_fetcher() as fetcher:
                assert await failed(fetcher, url_of(upstream)) == reason

    run(main())


@both_loops
def test_no_more_than_so_many_are_fetched_at_once_and_who_waits_too_long_hears_of_it(run):
    async def main():
        at_once = 0
        most = 0

        async def handler(peer: Peer) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.05)
            at_once -= 1
            await peer.answer(200, body=PDF)

        async with (
            ScriptedUpstream(handler) as upstream,
            open_client(resolver=OneOpenDoor(Names()), limits=FETCH_LIMITS) as client,
        ):
            fetcher = Fetcher(client, fetches_max=2)
            await asyncio.gather(*(fetcher.fetch(url_of(upstream)) for _ in range(5)))
            assert most == 2
            with pytest.raises(FetchesFull):
                await Fetcher(client, fetches_max=0, seconds=0.1).fetch(url_of(upstream))
            assert len(upstream.requests) == 5

    run(main())


@both_loops
def test_a_proxy_is_given_the_checked_address_and_no_plain_http(run):
    async def main():
        async with ScriptedUpstream(sending(whole(200, (), PDF))) as upstream, open_fetcher() as fetcher:
            proxy = Proxy("127.0.0.1", upstream.port)
            assert "only https" in await failed(fetcher, "http://files.test/a.pdf", proxy)
            assert await failed(fetcher, "https://127.0.0.1/a.pdf", proxy) == NOT_PUBLIC
            assert upstream.connections == []
            # Through the tunnel it goes to the address, and the proxy here opens none.
            assert await failed(fetcher, "https://files.test/a.pdf", proxy)
            assert upstream.requests[0].target == b"127.0.0.1:443"

    run(main())


@both_loops
def test_a_fetch_that_is_cancelled_leaves_nothing(run):
    async def main():
        async def stuck(peer: Peer) -> None:
            await peer.stall()

        async with ScriptedUpstream(stuck) as upstream, open_fetcher() as fetcher:
            task = asyncio.create_task(fetcher.fetch(url_of(upstream)))
            while not upstream.requests:
                await asyncio.sleep(0.002)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main())
