"""What is known of channels, and what is chosen among them. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from bytespike.providers.endpoint import Endpoint


class Routable(Protocol):
    """What of a channel is looked at here. `endpoints` by dialect, rendered with the snapshot."""

    @property
    def id(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def weight(self) -> int: ...
    @property
    def rpm(self) -> int | None: ...
    @property
    def tpm(self) -> int | None: ...
    @property
    def endpoints(self) -> Mapping[str, Endpoint]: ...


C = TypeVar("C", bound=Routable)


class Candidate(Struct, Generic[C], frozen=True):
    """A channel, and the endpoint of it that would be called. `reason`: why it stands where it stands; "" for its priority
    and its load."""

    channel: C
    endpoint: Endpoint
    reason: str = ""


class Passed(NamedTuple):
    """A channel that was not asked though it serves the model, and why: "resting", "refused" (its credential), "ceiling",
    "probed" (another request is finding out if it is well), "slow", "busy" (both: of the home of a conversation)."""

    channel_id: str
    why: str


class ChannelHealth(Struct, frozen=True):
    """`in_flight`: requests under way. `resting_until`: Unix microseconds. `failures`: in a row. `needs_operator`: its
    credential was refused. `share`: how far its use has come, weighted; see `begun`. `failed_at`: of the last failure.
    `probed_until`: a probe is under way, and is waited for until then."""

    in_flight: int = 0
    resting_until: int = 0
    failures: int = 0
    needs_operator: bool = False
    share: int = 0
    failed_at: int = 0
    probed_until: int = 0


class Sticky(Struct, frozen=True):
    """What is to be remembered of a request's conversation once it is known who answered."""

    mark: int
    home: str
    moved: bool


class Average(Struct, frozen=True):
    """`us`: until the first byte. `at`: of the newest, Unix microseconds."""

    us: float
    samples: int
    at: int
