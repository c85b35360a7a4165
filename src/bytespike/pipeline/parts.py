"""What the pipeline is made of: put together once by `app.py`, then only read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bytespike.accounts.directory import Directory
from bytespike.accounts.records import Channel
from bytespike.catalog.resolve import Catalog
from bytespike.clock import Clock
from bytespike.conversations.keeps import Keeps
from bytespike.core.dialect import Dialect
from bytespike.ledger.ledger import Ledger
from bytespike.observe.tallies import Tallies
from bytespike.observe.tracing import Tracing
from bytespike.providers.access_tokens import AccessTokens
from bytespike.routing.affinity import Affinity
from bytespike.routing.ceilings import Ceilings
from bytespike.routing.health import HealthBoard
from bytespike.routing.pace import Pace
from bytespike.upstream.client import Client as UpstreamClient
from bytespike.upstream.fetch import Fetcher
from bytespike.upstream.limits import Timeouts
from bytespike.wire.limits import ANSWER_BYTES_MAX, BODY_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Limits:
    """`attempts_max`: upstream calls for one request, at most. `strict_protocol_matrix`: refuse the pairs that the
    published table marks as not available, instead of translating them. `body_seconds`: for a request's body to
    arrive, whole. `stream_ping_s`: the silence of a stream after which its client gets a keep-alive."""

    attempts_max: int = 4
    strict_protocol_matrix: bool = False
    body_bytes_max: int = BODY_BYTES_MAX
    body_seconds: float = 60.0
    answer_bytes_max: int = ANSWER_BYTES_MAX
    stream_ping_s: float = 15.0


class CatalogView:
    """The catalog as it is now: the operator's aliases may change while the gateway runs."""

    __slots__ = ("current",)

    def __init__(self, current: Catalog) -> None:
        self.current = current


@dataclass(frozen=True, slots=True)
class Parts:
    """The stages share these; none of them keeps state of its own between requests.

    `credential_refused(channel, status)`: an upstream refuses a channel's credential; somebody must look.
    `tokens`: access tokens of channels whose credential gets one. `fetcher`: for content by
    URL that a target takes inline only; None: such requests are refused."""

    clock: Clock
    directory: Directory
    catalog: CatalogView
    ledger: Ledger
    conversations: Keeps
    health: HealthBoard
    ceilings: Ceilings
    upstream: UpstreamClient
    tokens: AccessTokens
    timeouts: Timeouts
    dialects: Mapping[str, Dialect]
    limits: Limits
    credential_refused: Callable[[Channel, int], None]
    fetcher: Fetcher | None = None
    affinity: Affinity = field(default_factory=Affinity)
    pace: Pace = field(default_factory=Pace)
    tallies: Tallies = field(default_factory=Tallies)
    tracing: Tracing | None = None
