"""Targets that take images and documents inline only: the clouds that host Claude fetch nothing."""

from __future__ import annotations

from bytespike.core.media_urls import urls_of
from bytespike.core.request import ChatRequest
from bytespike.errors import untaken_url


def refuse_urls(request: ChatRequest) -> None:
    """Raises UnsupportedFeature, which says that it can be asked again with the content inline."""
    if urls_of(request, "image"):
        raise untaken_url(
            "This model does not fetch images by URL; send the image as base64.", "image", "messages"
        )
    if urls_of(request, "document"):
        raise untaken_url(
            "This model does not fetch documents by URL; send the document as base64.", "document", "messages"
        )
