"""Which channels may answer a request, best first. Pure: given facts, it returns choices.

Order: priority (the lowest number first), then the least busy for its weight, then whose turn it is by weight among
the equally busy, then the id; so the same facts always give the same order. A channel of weight 0 comes after all
others of its priority. One that is being probed comes after everything: it is asked if nobody else can be.

Where very many channels serve a model, a request looks at some of them: enough of the best priority to choose among and
to fall back on. So its cost does not grow with their number.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

from bytespike.providers.choice import TRANSLATIONS, choose_dialect
from bytespike.routing.ceilings import Ceilings
from bytespike.routing.health import SHARE_UNIT, HealthBoard, probed, usable
from bytespike.routing.values import C, Candidate, ChannelHealth, Passed, Routable

#: Channels of one priority that a request looks at, at first; and with how many candidates it is content.
CONSIDERED_MAX = 8
CANDIDATES_ENOUGH = 8

#: Of the channels that were passed over for one attempt, so many are named.
PASSED_MAX = 8

#: Why a channel is a candidate, where it is not for its priority and its load: its rest is over, and this request finds
#: out if it is well; another one is finding out, and there is nobody else.
PROBE = "probe"
LAST_RESORT = "last_resort"


_priority = attrgetter("priority")


def told(passed: Sequence[Passed]) -> str:
    """In one line: "chn_1:resting chn_2:ceiling"."""
    return " ".join(f"{each.channel_id}:{each.why}" for each in passed[:PASSED_MAX])


def candidates(
    channels: Sequence[C],
    dialect: str,
    *,
    now_us: int,
    health: HealthBoard,
    translate: bool = True,
    ceilings: Ceilings | None = None,
    passed: list[Passed] | None = None,
    turn: int = 0,
) -> list[Candidate[C]]:
    """Those of `channels` (the enabled ones of the group that serve the model) that are usable now and can be asked
    in `dialect`, or (unless `translate` is False) in one that it can be translated to. `now_us`: Unix microseconds.
    `passed` gets those that cannot be used, and why. `turn`: any number; where there are more than `CONSIDERED_MAX`
    channels, which must then come in the order of their priorities, it says which of them are looked at.

    Empty if all of them rest, are at their ceiling or need an operator, or if none can be asked: `speaking` tells the
    last from the others.
    """
    only = channels[0] if len(channels) == 1 else None
    if only is not None:
        spoken = choose_dialect(only.endpoints, dialect, translate=translate)
        if spoken is None:
            return []
        why = _why_not(only, health.of(only.id), now_us, ceilings)
        if why:
            if passed is not None:
                passed.append(Passed(only.id, why))
            return []
        return [Candidate(only, only.endpoints[spoken])]
    ranked: list[tuple[tuple[bool, int, bool, int, int, str], Candidate[C]]] = []
    for portion in _portions(channels, turn):
        for channel in portion:
            spoken = choose_dialect(channel.endpoints, dialect, translate=translate)
            if spoken is None:
                continue
            state = health.of(channel.id)
            why = _why_not(channel, state, now_us, ceilings)
            if why:
                if passed is not None:
                    passed.append(Passed(channel.id, why))
                continue
            weight = max(channel.weight, 1)
            reason = ""
            if state.failures:
                reason = LAST_RESORT if probed(state, now_us) else PROBE
            rank = (
                reason == LAST_RESORT,
                channel.priority,
                channel.weight <= 0,
                state.in_flight * SHARE_UNIT // weight,
                state.share,
                channel.id,
            )
            ranked.append((rank, Candidate(channel, channel.endpoints[spoken], reason)))
        if len(ranked) >= CANDIDATES_ENOUGH:
            break
    if len(ranked) > 1:
        ranked.sort(key=_rank)
    return [candidate for _, candidate in ranked]


def _rank(entry: tuple[tuple[bool, int, bool, int, int, str], object]) -> tuple[object, ...]:
    return entry[0]


def _why_not(channel: Routable, state: ChannelHealth, now_us: int, ceilings: Ceilings | None) -> str:
    """Why it cannot be asked now; "" if it can."""
    if state.failures and not usable(state, now_us):
        return "refused" if state.needs_operator else "resting"
    if (
        ceilings is not None
        and (channel.rpm is not None or channel.tpm is not None)
        and not ceilings.room(channel)
    ):
        return "ceiling"
    return ""


def _portions(channels: Sequence[C], turn: int) -> Iterator[Sequence[C]]:
    """The channels in pieces, those of the best priority first; all in one where they are few."""
    if len(channels) <= CONSIDERED_MAX:
        yield channels
        return
    low = 0
    while low < len(channels):
        high = bisect_right(channels, channels[low].priority, low, key=_priority)
        size = high - low
        for step in range(0, size, CONSIDERED_MAX):
            count = min(CONSIDERED_MAX, size - step)
            yield [channels[low + (turn + step + each) % size] for each in range(count)]
        low = high


def considered(channels: Sequence[C], turn: int) -> Sequence[C]:
    """Those that a request looks at first."""
    return next(_portions(channels, turn), channels)


def alternatives(candidate: Candidate[C], dialect: str) -> list[Candidate[C]]:
    """The same channel, asked in each further dialect that it speaks and that `dialect` can be translated to; best first.
    For a request that the candidate's own dialect cannot carry."""
    spoken = candidate.channel.endpoints
    order = TRANSLATIONS.get(dialect, ())
    tried = (dialect, *order)
    after = tried[tried.index(candidate.endpoint.dialect) + 1 :]
    return [Candidate(candidate.channel, spoken[name], candidate.reason) for name in after if name in spoken]


def speaking(channels: Iterable[C], dialect: str, *, translate: bool = True) -> list[C]:
    """The channels that could be asked on behalf of a client of `dialect`, were they all in health."""
    return [
        channel
        for channel in channels
        if choose_dialect(channel.endpoints, dialect, translate=translate) is not None
    ]
