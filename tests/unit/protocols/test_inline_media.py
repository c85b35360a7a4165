"""Bytes in a body: `data:` URLs, for readers and for writers, and images that say their type."""

from __future__ import annotations

import base64

import pytest

from bytespike.core.content import Base64Source, FileSource, UrlSource
from bytespike.protocols.inline_media import data_url, image_type, inline, located
from bytespike.wire.fields import Wrong


def test_a_data_url_is_bytes_and_any_other_a_location() -> None:
    assert located("DATA:Image/PNG;charset=x;base64,QUJD", "url") == Base64Source("image/png", "QUJD")
    assert located("https://x/y.png", "url") == UrlSource("https://x/y.png")
    assert data_url("https://x/y.png", "url") is None


@pytest.mark.parametrize("url", ["data:image/png,abc", "data:image/png;base64", "data:"])
def test_a_data_url_must_be_base64(url: str) -> None:
    with pytest.raises(Wrong) as caught:
        located(url, "url")
    assert caught.value.param == "url"


def test_what_is_no_url_at_all_is_wrong() -> None:
    with pytest.raises(Wrong, match="must be a URL"):
        located("cat.png", "url")


def test_a_writer_takes_a_data_url_for_bytes_and_leaves_every_other_source() -> None:
    assert inline(UrlSource("data:image/png;base64,QUJD")) == Base64Source("image/png", "QUJD")
    assert inline(UrlSource("data:;base64,QUJD", "image/gif")) == Base64Source("image/gif", "QUJD")
    for other in (UrlSource("https://x"), UrlSource("data:text/plain,x"), FileSource("f", "gemini")):
        assert inline(other) is other


@pytest.mark.parametrize(
    ("start", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF....WEBP", "image/webp"),
        (b"%PDF-1.7", None),
    ],
)
def test_an_image_tells_its_type(start: bytes, media_type: str | None) -> None:
    assert image_type(base64.b64encode(start + b"...").decode()) == media_type
