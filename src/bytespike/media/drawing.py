"""What the adapter of a provider of images is: sans-IO, an order in, one or several HTTP calls out, pictures from what comes
back, whole or as a stream. `images/` makes the calls and keeps the pictures; an adapter keeps nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from msgspec import Struct

from bytespike.core.notices import Notice
from bytespike.errors import GatewayError
from bytespike.media.adapter import UpstreamCall
from bytespike.media.order import Order


class Tokens(Struct, frozen=True):
    """What the provider counted. Not what is billed: images are billed by the piece."""

    input: int = 0
    output: int = 0
    input_text: int = 0
    input_image: int = 0

    def plus(self, other: Tokens) -> Tokens:
        return Tokens(
            self.input + other.input,
            self.output + other.output,
            self.input_text + other.input_text,
            self.input_image + other.input_image,
        )


class Drawn(Struct, frozen=True):
    """One finished picture: `data`, base64 text of its bytes, or the `url` where the provider keeps it."""

    data: str = ""
    url: str = ""
    revised_prompt: str = ""


class Drawing(Struct, frozen=True):
    """What an answer holds. `quality`, `size` ("1024x1024"), `background`, `output_format`: what the provider says that it
    drew, "" where it does not. `text`: what it said besides. `tokens` None: it reported none. `failed`: of pictures that
    were asked for and not drawn, why."""

    images: tuple[Drawn, ...] = ()
    quality: str = ""
    size: str = ""
    background: str = ""
    output_format: str = ""
    text: str = ""
    tokens: Tokens | None = None
    failed: GatewayError | None = None


class Partial(Struct, frozen=True):
    """A picture that is not finished: number `index` (from 0) of those that are shown. `data`: base64 text."""

    index: int
    data: str


#: What a stream brings: unfinished pictures; finished ones, with what is known of them; a failure, which ends it.
Step: TypeAlias = Partial | Drawing | GatewayError


class DrawingReader(Protocol):
    """A stream's bytes in, what they bring out."""

    def feed(self, data: bytes) -> list[Step]:
        """Never raises: what cannot be read becomes an UpstreamError, after which it is deaf."""
        ...

    def end(self) -> list[Step]:
        """The upstream closed: an UpstreamError if that was before its time."""
        ...


class Asked(Struct, frozen=True):
    """The calls that are made, at once; several for providers that draw one picture per call. Their targets are what
    follows the endpoint's own path."""

    calls: tuple[UpstreamCall, ...]
    notices: tuple[Notice, ...] = ()


class ImageAdapter(Protocol):
    """One provider's API for images."""

    def ask(self, order: Order, upstream_model: str) -> Asked:
        """Every picture of the order is inline. Raises UnsupportedFeature for what this API cannot carry."""
        ...

    def read(self, body: bytes) -> Drawing:
        """An answer with status 200. Raises GatewayError, which carries whose fault it is: for one that makes no sense, and
        for one that has no picture."""
        ...

    def reader(self) -> DrawingReader | None:
        """Of an answer to an order that streams; None: this API is not asked to stream pictures."""
        ...

    def refused(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> GatewayError:
        """Any other answer, as an error that carries whose fault it is."""
        ...
