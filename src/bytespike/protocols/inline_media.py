"""Bytes that stand in a body: `data:` URLs, and what base64 says of itself."""

from __future__ import annotations

import binascii
from typing import Final

from bytespike.core.content import Base64Source, Source, UrlSource
from bytespike.wire import fields as f

_DATA: Final = "data:"
#: The first base64 characters of the image formats that every provider takes.
_IMAGE_MAGIC: Final = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)


def data_url(url: str, key: str) -> Base64Source | None:
    """The bytes of a data URL (RFC 2397), kept in base64; None for any other URL. Raises `Wrong` under `key`."""
    if url[:5].lower() != _DATA:
        return None
    head, comma, data = url.partition(",")
    media_type, *parameters = head[5:].split(";")
    if not comma or "base64" not in parameters:
        raise f.Wrong("must be a base64 data URL (data:<media type>;base64,<data>)", key)
    return Base64Source(media_type.strip().lower(), data)


def located(url: str, key: str) -> Source:
    """A data URL or a location. Raises `Wrong` under `key`."""
    found = data_url(url, key)
    if found is not None:
        return found
    if "://" not in url:
        raise f.Wrong("must be a URL or a base64 data URL", key)
    return UrlSource(url)


def inline(source: Source) -> Source:
    """A `data:` URL is inline bytes, whatever dialect called it a URL. For writers: what is no such URL stays."""
    if not isinstance(source, UrlSource) or not source.url.startswith(_DATA):
        return source
    head, comma, data = source.url[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        return source
    return Base64Source(head.removesuffix(";base64").partition(";")[0] or source.media_type, data)


def image_type(data: str) -> str | None:
    """The media type of an image by its base64; None where it does not tell."""
    return next((media_type for magic, media_type in _IMAGE_MAGIC if data.startswith(magic)), None)


def is_base64(data: str) -> bool:
    """Whether it is (RFC 4648, either alphabet, its padding left out or not)."""
    plain = data.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        binascii.a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True)
    except (binascii.Error, ValueError):
        return False
    return True
