"""What a request for images needs: put together once (`media/assembly.py`), then only read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bytespike.accounts.records import Channel, Routes
from bytespike.catalog.resolve import Catalog
from bytespike.clock import Clock
from bytespike.ledger.ledger import Ledger
from bytespike.media.adapters.ark_images import ArkImages
from bytespike.media.adapters.chat_images import ChatImages
from bytespike.media.adapters.gemini_images import GeminiImages
from bytespike.media.adapters.openai_images import OpenAIImages
from bytespike.media.drawing import ImageAdapter
from bytespike.media.objects.store import ObjectStore
from bytespike.media.objects.urls import Links
from bytespike.observe.tallies import Tallies
from bytespike.observe.tracing import Tracing
from bytespike.routing.ceilings import Ceilings
from bytespike.routing.health import HealthBoard
from bytespike.upstream.client import Client
from bytespike.upstream.fetch import Fetcher
from bytespike.upstream.limits import Timeouts
from bytespike.wire.limits import ANSWER_BYTES_MAX

#: By the surface or dialect in which a channel is asked for pictures.
DRAWERS: Mapping[str, ImageAdapter] = {
    "openai_images": OpenAIImages(),
    "ark_images": ArkImages(),
    "gemini": GeminiImages(),
    "openai_chat": ChatImages(),
}


class RoutesNow(Protocol):
    """The directory."""

    @property
    def routes(self) -> Routes: ...


class CatalogNow(Protocol):
    @property
    def current(self) -> Catalog: ...


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """`attempts_max`: channels that are asked for one request, at most. `answer_bytes_max`: of one answer of an upstream.
    `pictures_bytes_max`: of all pictures of one request together, in memory. `ping_seconds`: a silence of a stream that is
    bridged, so that nobody in between takes it for dead."""

    attempts_max: int = 4
    answer_bytes_max: int = ANSWER_BYTES_MAX
    pictures_bytes_max: int = 256 * 1024 * 1024
    ping_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class ImageParts:
    """`credential_refused(channel, status)`: an upstream refuses a channel's credential; somebody must look. `fetcher`: for
    pictures by URL; None: the client has to send them inline."""

    clock: Clock
    directory: RoutesNow
    catalog: CatalogNow
    ledger: Ledger
    health: HealthBoard
    ceilings: Ceilings
    upstream: Client
    timeouts: Timeouts
    limits: ImageLimits
    store: ObjectStore
    links: Links
    credential_refused: Callable[[Channel, int], None]
    fetcher: Fetcher | None = None
    tallies: Tallies = field(default_factory=Tallies)
    tracing: Tracing | None = None
