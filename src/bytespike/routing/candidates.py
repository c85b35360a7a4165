"""Which channels may answer a request, best first. Pure: given facts, it returns choices.

Order: priority (the lowest number first), then the least busy for its weight, then whose turn it is by weight among
the equally busy, then the id; so the same facts always give the same order. A channel of weight 0 comes after all
others of its priority.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from bytespike.providers.endpoint import TRANSLATIONS, Endpoint, choose_dialect
from bytespike.routing.health import SHARE_UNIT, HealthBoard, usable


class Routable(Protocol):
    """What of a channel is looked at here. `endpoints` by dialect, rendered with the snapshot."""

    @property
    def id(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def weight(self) -> int: ...
    @property
    def endpoints(self) -> Mapping[str, Endpoint]: ...


C = TypeVar("C", bound=Routable)


class Candidate(Struct, Generic[C], frozen=True):
    """A channel, and the endpoint of it that would be called."""

    channel: C
    endpoint: Endpoint


def candidates(
    channels: Sequence[C], dialect: str, *, now_us: int, health: HealthBoard, translate: bool = True
) -> list[Candidate[C]]:
    """Those of `channels` (the enabled ones of the group that serve the model) that are usable now and can be asked
    in `dialect`, or (unless `translate` is False) in one that it can be translated to. `now_us`: Unix microseconds.

    Empty if all of them rest or need an operator, or if none can be asked: `speaking` tells these apart.
    """
    only = channels[0] if len(channels) == 1 else None
    if only is not None:
        spoken = choose_dialect(only.endpoints, dialect, translate=translate)
        if spoken is None or not usable(health.of(only.id), now_us):
            return []
        return [Candidate(only, only.endpoints[spoken])]
    ranked: list[tuple[tuple[int, bool, int, int, str], Candidate[C]]] = []
    for channel in channels:
        state = health.of(channel.id)
        if not usable(state, now_us):
            continue
        spoken = choose_dialect(channel.endpoints, dialect, translate=translate)
        if spoken is None:
            continue
        weight = max(channel.weight, 1)
        rank = (
            channel.priority,
            channel.weight <= 0,
            state.in_flight * SHARE_UNIT // weight,
            state.share,
            channel.id,
        )
        ranked.append((rank, Candidate(channel, channel.endpoints[spoken])))
    if len(ranked) > 1:
        ranked.sort(key=lambda entry: entry[0])
    return [candidate for _, candidate in ranked]


def alternatives(candidate: Candidate[C], dialect: str) -> list[Candidate[C]]:
    """The same channel, asked in each further dialect that it speaks and that `dialect` can be translated to; best first.
    For a request that the candidate's own dialect cannot carry."""
    spoken = candidate.channel.endpoints
    order = TRANSLATIONS.get(dialect, ())
    tried = (dialect, *order)
    after = tried[tried.index(candidate.endpoint.dialect) + 1 :]
    return [Candidate(candidate.channel, spoken[name]) for name in after if name in spoken]


def speaking(channels: Iterable[C], dialect: str, *, translate: bool = True) -> list[C]:
    """The channels that could be asked on behalf of a client of `dialect`, were they all in health."""
    return [
        channel
        for channel in channels
        if choose_dialect(channel.endpoints, dialect, translate=translate) is not None
    ]
