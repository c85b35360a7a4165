"""Counting tokens by a rule that a test can compute, so that every bill can be predicted.

A text costs a token per four bytes of its UTF-8, begun ones included; an empty text costs nothing. Each text part,
tool call (its name, and its arguments as compact JSON), tool result and tool definition (name, description and compact
schema) is a text of its own. An image, an audio clip and a document that is not plain text cost a fixed number.
There is no overhead per message.
"""

from __future__ import annotations

BYTES_PER_TOKEN = 4
IMAGE_TOKENS = 1000
AUDIO_TOKENS = 500
DOCUMENT_TOKENS = 2000


def count(text: str) -> int:
    """Tokens of one text."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return -(-size // BYTES_PER_TOKEN)


def count_bytes(data: bytes) -> int:
    """Tokens of a text that is already encoded."""
    return -(-len(data) // BYTES_PER_TOKEN)


def cut(text: str, tokens: int) -> str:
    """The longest beginning of `text` that costs no more than `tokens`, without a torn character."""
    if text.isascii():
        return text[: tokens * BYTES_PER_TOKEN]
    return text.encode("utf-8", "replace")[: tokens * BYTES_PER_TOKEN].decode("utf-8", "ignore")
