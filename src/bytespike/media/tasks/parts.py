"""What desk, worker and steps share: put together once (`media/assembly.py`), then only read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.accounts.records import Channel, Routes
from bytespike.catalog.models import Model
from bytespike.catalog.resolve import Catalog
from bytespike.clock import Clock
from bytespike.ledger.escrow import Escrows
from bytespike.ledger.ledger import Ledger
from bytespike.media.adapter import RenderAdapter
from bytespike.media.objects.store import Stored
from bytespike.media.order import Order
from bytespike.media.tasks.pacing import Pace
from bytespike.media.tasks.record import Task
from bytespike.providers.endpoint import Endpoint
from bytespike.routing.ceilings import Ceilings
from bytespike.routing.health import HealthBoard
from bytespike.upstream.client import Client
from bytespike.wire.address import Proxy

#: What a task's callback sends: the body of a query's answer.
Body: TypeAlias = Callable[[Task], bytes]
#: Told at each point of a step that a crash could fall on, with the task's id.
Reached: TypeAlias = Callable[[str, str], None]


class Image(Struct, frozen=True):
    """An image that was made."""

    data: bytes
    media_type: str


class ImageMaker(Protocol):
    """Makes images where one call brings them (`media/images/make.py`)."""

    def surface_of(self, spoken: Collection[str], model: Model) -> str | None:
        """On which of a channel's surfaces the model is asked, None: on none."""
        ...

    async def make(self, channel: Channel, endpoint: Endpoint, model: Model, order: Order) -> Sequence[Image]:
        """Raises `calling.CallFailed`."""
        ...

    async def inlined(self, order: Order, proxy: Proxy | None) -> Order:
        """The order with the bytes of the pictures that it gives by URL. Raises GatewayError."""
        ...


class Store(Protocol):
    """Keeps what was made (`media/objects/store.py`)."""

    async def put(
        self,
        chunks: AsyncIterator[bytes],
        *,
        key_id: str,
        task_id: str | None = None,
        expires_at: int | None = None,
        bytes_max: int = ...,
    ) -> Stored: ...

    async def delete_of_task(self, task_id: str, key_id: str) -> int: ...


class RoutesNow(Protocol):
    """The directory."""

    @property
    def routes(self) -> Routes: ...


class CatalogNow(Protocol):
    @property
    def current(self) -> Catalog: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """`age_s_max`: a task's life. `steps_max`: steps that one process takes at once, of each group (`claims.Group`).
    `renders_per_channel_max`: under way at one channel, in all processes. `result_bytes_max`: one file. `days`: how long tasks that are over
    are kept."""

    age_s_max: float = 21_600.0
    steps_max: Mapping[str, int] = field(default_factory=lambda: {"quick": 512, "slow": 32})
    renders_per_channel_max: int = 100
    result_bytes_max: int = 1024 * 1024 * 1024
    days: int = 30


def _nothing(point: str, task_id: str) -> None:
    """No crash is wanted."""


@dataclass(frozen=True, slots=True)
class TaskParts:
    """`name`: the process's, which no other running one has. `upstream`: for providers; `submitting`: the same for submissions, with a new
    connection for each, because on a used one a request may be sent twice (`upstream`, "Stale connections"); `public`: a client that is confined to
    public addresses, for URLs of anybody else. `renderers` by surface. `credential_refused(channel, status)`:
    somebody must look. `body` may raise whatever."""

    name: str
    engine: AsyncEngine
    clock: Clock
    directory: RoutesNow
    catalog: CatalogNow
    ledger: Ledger
    escrows: Escrows
    health: HealthBoard
    ceilings: Ceilings
    upstream: Client
    submitting: Client
    public: Client
    renderers: Mapping[str, RenderAdapter]
    images: ImageMaker | None
    store: Store
    body: Body
    credential_refused: Callable[[Channel, int], None]
    pace: Pace
    limits: Limits
    reached: Reached = _nothing
