"""Which of a request's URLs are fetched, and what becomes of the request."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bytespike.core import content as c
from bytespike.core.dialect import Target
from bytespike.core.media_urls import Media, urls_of, with_bytes
from bytespike.core.request import ChatRequest
from bytespike.errors import ConcurrencyLimited, InvalidRequest, UnsupportedFeature
from bytespike.pipeline import fetching
from bytespike.pipeline.fetching import inlined
from bytespike.protocols.registry import DIALECTS
from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream
from bytespike.upstream.fetch import FETCH_LIMITS, Fetcher
from bytespike.upstream.resolver import SystemResolver
from tests.support.fetch_names import PUBLIC_HOST, OneOpenDoor
from tests.support.transport import open_client

PDF = b"%PDF-1.7\n"
PNG = b"\x89PNG\r\n\x1a\n"


def asking(*parts: c.Part) -> ChatRequest:
    return ChatRequest("m", (c.Turn("user", parts),))


def document(url: str) -> c.DocumentPart:
    return c.DocumentPart(c.UrlSource(url), title="T")


def nested(*parts: c.Part) -> c.ToolResultPart:
    return c.ToolResultPart("call", (c.DocumentPart(c.PartsSource(parts)),))


async def gives(peer: Peer) -> None:
    """By the path: a PDF, an image, an error, or nothing ever."""
    match peer.request.target.partition(b"?")[0]:
        case b"/pdf":
            await peer.answer(200, body=PDF)
        case b"/png":
            await peer.answer(200, body=PNG)
        case b"/stuck":
            await peer.stall()
        case _:
            await peer.answer(404)


@asynccontextmanager
async def furnished(**settings: float) -> AsyncIterator[tuple[ScriptedUpstream, Fetcher, str]]:
    async with (
        ScriptedUpstream(gives) as upstream,
        open_client(resolver=OneOpenDoor(SystemResolver()), limits=FETCH_LIMITS) as client,
    ):
        yield upstream, Fetcher(client, **settings), f"http://{PUBLIC_HOST}:{upstream.port}"


ABLE = frozenset({"vision", "documents"})
IMAGE, DOCUMENT = c.ImagePart(c.UrlSource("http://a/i")), c.DocumentPart(c.UrlSource("http://a/1"))


@pytest.mark.parametrize(
    ("dialect", "quirks", "part", "media"),
    [
        ("openai_chat", (), DOCUMENT, "document"),
        ("openai_chat", ("file_urls",), DOCUMENT, ""),
        ("openai_chat", (), IMAGE, ""),
        ("openai_chat", ("no_image_urls",), IMAGE, "image"),
        ("gemini", (), DOCUMENT, ""),
        ("gemini", ("no_file_urls",), DOCUMENT, "document"),
        ("gemini", ("no_file_urls",), IMAGE, "image"),
        ("openai_responses", (), DOCUMENT, ""),
        ("anthropic_messages", (), DOCUMENT, ""),
    ],
)
def test_a_writer_says_which_urls_its_target_does_not_take(
    dialect: str, quirks: tuple[str, ...], part: c.Part, media: str
) -> None:
    target = Target("m", capabilities=ABLE, quirks=frozenset(quirks))
    found = ""
    try:
        DIALECTS[dialect].write_request(asking(part), target)
    except UnsupportedFeature as error:
        found = error.by_url or "refused"
    assert found == media


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("part", [IMAGE, DOCUMENT])
def test_for_a_model_that_takes_no_such_content_nothing_is_fetched(dialect: str, part: c.Part) -> None:
    quirks = frozenset({"no_file_urls", "no_image_urls"})
    with pytest.raises(UnsupportedFeature) as caught:
        DIALECTS[dialect].write_request(asking(part), Target("m", quirks=quirks))
    assert caught.value.by_url is None


def test_urls_are_found_wherever_content_may_stand_each_once_and_data_urls_are_none() -> None:
    image = c.ImagePart(c.UrlSource("http://a/i"))
    request = ChatRequest(
        "m",
        (
            c.Turn("user", (document("http://a/1"), image, document("DATA:application/pdf;base64,AA=="))),
            c.Turn("user", (nested(document("http://a/2"), image), document("http://a/1"))),
        ),
        system=(document("http://a/0"),),
    )
    assert urls_of(request, "document") == ("http://a/0", "http://a/1", "http://a/2")
    assert urls_of(request, "image") == ("http://a/i",)


def test_what_was_found_stands_inline_and_all_else_as_it_was() -> None:
    found = c.Base64Source("application/pdf", "AA==")
    request = asking(nested(document("http://a/1")), document("http://a/1"), document("http://a/2"))
    replaced = with_bytes(request, "document", {"http://a/1": found})
    inline = c.DocumentPart(found, title="T")
    assert replaced == asking(nested(inline), inline, document("http://a/2"))


def test_a_request_without_such_urls_is_told_from_one_whose_urls_are_inline_now() -> None:
    async def main() -> None:
        async with furnished() as (upstream, fetcher, base):
            request = asking(document(f"{base}/pdf"), c.TextPart("?"), document(f"{base}/pdf"))
            assert await inlined(request, "image", fetcher, None) is None
            assert upstream.requests == []
            again = await inlined(request, "document", fetcher, None)
            assert again is not None
            source = c.Base64Source("application/pdf", base64.b64encode(PDF).decode())
            assert again == with_bytes(request, "document", {f"{base}/pdf": source})
            assert len(upstream.requests) == 1
            assert await inlined(again, "document", fetcher, None) is None

    asyncio.run(main())


@pytest.mark.parametrize(
    ("media", "path", "why"),
    [
        ("document", "/png?sig=secret", "it is image/png"),
        ("image", "/pdf?sig=secret", "it is application/pdf"),
        ("document", "/gone?sig=secret", "the server answered 404"),
    ],
)
def test_a_failure_names_the_host_and_the_reason_and_no_more(media: Media, path: str, why: str) -> None:
    async def main() -> None:
        async with furnished() as (upstream, fetcher, base):
            url = c.UrlSource(base + path)
            part = c.DocumentPart(url) if media == "document" else c.ImagePart(url)
            with pytest.raises(InvalidRequest) as caught:
                await inlined(asking(part), media, fetcher, None)
            assert caught.value.message == f"the {media} at {PUBLIC_HOST} cannot be fetched: {why}"
            assert upstream.requests

    asyncio.run(main())


def test_the_first_failure_ends_the_other_fetches() -> None:
    async def main() -> None:
        async with furnished() as (_, fetcher, base):
            stuck = [document(f"{base}/stuck?{number}") for number in range(3)]
            with pytest.raises(InvalidRequest, match="404"):
                await inlined(asking(*stuck, document(f"{base}/gone")), "document", fetcher, None)

    asyncio.run(main())


def test_more_urls_than_the_limit_are_refused_before_one_is_fetched() -> None:
    async def main() -> None:
        async with furnished() as (upstream, fetcher, base):
            many = [document(f"{base}/pdf?{number}") for number in range(fetching.URLS_MAX + 1)]
            with pytest.raises(InvalidRequest, match="at most 20"):
                await inlined(asking(*many), "document", fetcher, None)
            assert upstream.requests == []
            assert await inlined(asking(*many[1:]), "document", fetcher, None) is not None

    asyncio.run(main())


def test_all_together_have_a_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "REQUEST_BYTES_MAX", 2 * len(PDF))

    async def main() -> None:
        async with furnished() as (_, fetcher, base):
            three = [document(f"{base}/pdf?{number}") for number in range(3)]
            assert await inlined(asking(*three[:2]), "document", fetcher, None) is not None
            with pytest.raises(InvalidRequest, match="together"):
                await inlined(asking(*three), "document", fetcher, None)

    asyncio.run(main())


def test_when_too_much_is_being_fetched_the_caller_may_try_again() -> None:
    async def main() -> None:
        async with furnished(fetches_max=0, seconds=0.1) as (_, fetcher, base):
            with pytest.raises(ConcurrencyLimited) as caught:
                await inlined(asking(document(f"{base}/pdf")), "document", fetcher, None)
            assert caught.value.retry_after == 1

    asyncio.run(main())
