"""Finished pictures: their bytes, what these say of themselves, and the URLs of those that are kept."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from typing import Literal

from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from bytespike.errors import InternalError, UpstreamError
from bytespike.media.drawing import Drawn
from bytespike.media.images.attempt import DrawFailed, Site, failed_transport, timeouts_of
from bytespike.media.images.parts import ImageParts
from bytespike.media.objects.backends import StoreUnavailable
from bytespike.media.objects.store import PIECE_BYTES
from bytespike.media.probe.probe import Facts, Probe
from bytespike.upstream.errors import TransportError
from bytespike.upstream.fetch import FetchesFull, FetchFailed
from bytespike.wire.address import split_url

Form = Literal["url", "b64_json"]


class Finished(Struct, frozen=True):
    """A picture's bytes. `facts` are its own."""

    data: bytes
    facts: Facts
    revised_prompt: str = ""

    @property
    def pixels(self) -> int:
        return self.facts.width * self.facts.height


class Kept(Struct, frozen=True):
    """A picture as the client gets it. `url` "": by its bytes alone."""

    picture: Finished
    url: str = ""


async def taken(
    parts: ImageParts, site: Site, drawn: tuple[Drawn, ...], seconds_left: float
) -> list[Finished]:
    """The bytes of pictures, fetched where the provider gave URLs. Raises DrawFailed: one of them is no picture."""
    found: list[Finished] = []
    size = 0
    for each in drawn:
        data = _decoded(each.data) if each.data else await _fetched(parts, site, each.url, seconds_left)
        size += len(data)
        if size > parts.limits.pictures_bytes_max:
            raise DrawFailed(
                UpstreamError("the upstream's images are too large"), "upstream", 200, refused=False
            )
        found.append(_picture(data, each.revised_prompt))
    return found


async def kept(
    parts: ImageParts, key_id: str, pictures: list[Finished], form: Form, base_url: str
) -> list[Kept]:
    """As the client asked for them: by URL they are kept. Raises InternalError: the object store does not keep them."""
    if form == "b64_json":
        return [Kept(picture) for picture in pictures]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_stored(parts, key_id, each, base_url)) for each in pictures]
    except ExceptionGroup as failed:
        cause = failed.exceptions[0]
        if isinstance(cause, StoreUnavailable | SQLAlchemyError | OSError):
            raise InternalError("the images were drawn and could not be kept; nothing is billed") from cause
        raise cause from None
    return [task.result() for task in tasks]


async def _stored(parts: ImageParts, key_id: str, picture: Finished, base_url: str) -> Kept:
    stored = await parts.store.put(_pieces(picture.data), key_id=key_id)
    link = parts.links.sign(stored.id, stored.content_type, stored.expires_at, base_url)
    return Kept(picture, link.url)


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), PIECE_BYTES):
        yield data[start : start + PIECE_BYTES]


def _picture(data: bytes, revised_prompt: str) -> Finished:
    probe = Probe()
    probe.feed(data)
    facts = probe.facts()
    if not facts.content_type.startswith("image/"):
        raise DrawFailed(UpstreamError("what the upstream gave is no image"), "upstream", 200, refused=False)
    return Finished(data, facts, revised_prompt)


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        wrong = UpstreamError("the upstream's image is not base64")
        raise DrawFailed(wrong, "upstream", 200, refused=False) from None


async def _fetched(parts: ImageParts, site: Site, url: str, seconds_left: float) -> bytes:
    """Where the provider keeps it: at its own origin, or at a public address."""
    try:
        origin, target = split_url(url)
    except ValueError:
        raise DrawFailed(UpstreamError("the upstream's image has no URL"), "upstream", 200) from None
    if origin == site.endpoint.origin:
        timeouts = timeouts_of(parts.timeouts, site, seconds_left)
        try:
            answer = await parts.upstream.request(
                origin, b"GET", target, b"", b"", timeouts, proxy=site.endpoint.proxy
            )
            if answer.status == 200:
                return await answer.read(parts.limits.answer_bytes_max)
            answer.abort()
        except TransportError as error:
            raise failed_transport(error, 200) from None
        raise _lost(f"{answer.status}")
    if parts.fetcher is None:
        raise _lost("fetching URLs is switched off")
    try:
        return (await parts.fetcher.fetch(url, site.endpoint.proxy)).data
    except FetchFailed as failed:
        raise _lost(failed.reason) from None
    except FetchesFull:
        raise _lost("too much is being fetched") from None


def _lost(cause: str) -> DrawFailed:
    error = UpstreamError("the upstream's image could not be fetched")
    return DrawFailed(error, "upstream", 200, refused=False, cause=cause)
