"""Keeping a conversation on its channel, so that the provider's prompt cache hits.

Each conversation (`marks`) has a home among the channels of the best priority: the highest of the marks that channel and
conversation make together (rendezvous hashing, by weight). Every process and every node finds the same home without
asking anybody, and when a channel comes or goes only the conversations that it gains or loses move.

A conversation whose home cannot be used goes to the next highest, again the same one everywhere. Where it went is
remembered for as long as it goes on, because the cache is there now: it does not go back when its home is well again.
Only such exceptions are remembered, so memory is small, and is bounded by `MOVED_MAX`; they are known to one process, and
another one may send the conversation home.

It is let go of when its channel is resting, disabled, at its ceiling or being probed (`candidates` tells), or slower than
its peers (`pace`). Where a home is busier than its peers by `BUSY_FACTOR`, the request goes by load, and the conversation
stays: that is for clients who give all of their requests one name.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from math import log
from typing import TypeVar

from bytespike.routing.candidates import LAST_RESORT
from bytespike.routing.health import HealthBoard
from bytespike.routing.pace import Course, Pace
from bytespike.routing.values import Candidate, Passed, Routable, Sticky

#: Conversations away from home that are remembered, and for how long without a request, in microseconds: as long as the
#: longest-lived of the providers' caches.
MOVED_MAX = 20_000
MOVED_US = 3_600_000_000
#: A home with so many requests under way, and so many times its peers' for its weight, is too busy to insist on.
BUSY_MIN = 32
BUSY_FACTOR = 2.0

_WORD = (1 << 64) - 1
_SPREAD = 0x9E3779B97F4A7C15
_SALTS_MAX = 10_000

C = TypeVar("C", bound=Routable)


class Affinity:
    """Of one process."""

    __slots__ = ("_moved", "_salts")

    def __init__(self) -> None:
        #: By mark: where the conversation went, and its last request.
        self._moved: OrderedDict[int, tuple[str, int]] = OrderedDict()
        self._salts: dict[str, int] = {}

    def arranged(
        self,
        found: list[Candidate[C]],
        peers: Sequence[C],
        mark: Callable[[], int],
        course: Course,
        health: HealthBoard,
        pace: Pace,
        now_us: int,
        passed: list[Passed],
    ) -> tuple[list[Candidate[C]], Sticky | None]:
        """The candidates with the conversation's channel first among those of the best priority, and those that are slow
        last among them. `peers`: every channel that it might have for a home, also those that cannot be used now.
        `mark` is only called where there is something to choose. `passed` gets what was let go of, and why.
        """
        best = found[0].channel.priority
        homes = [each for each in peers if each.priority == best and each.weight > 0]
        if len(homes) < 2:
            return found, None
        block = 0
        while block < len(found) and found[block].channel.priority == best:
            if found[block].reason == LAST_RESORT:
                break
            block += 1
        if block == 0:
            return found, None
        key = mark()
        scores = [(self._score(key, each), each.id) for each in homes]
        scores.sort(reverse=True)
        wanted = [channel_id for _, channel_id in scores]
        sticky = Sticky(key, wanted[0], False)
        moved = self._where(key, now_us) if self._moved else None
        if moved is not None:
            sticky = Sticky(key, wanted[0], True)
            if moved in wanted:
                wanted.remove(moved)
            wanted.insert(0, moved)
        usable = {each.channel.id: each for each in found[:block]}
        chosen: Candidate[C] | None = None
        slow: list[Candidate[C]] = []
        then: list[Candidate[C]] = []
        for channel_id in wanted:
            candidate = usable.pop(channel_id, None)
            if candidate is None:
                continue
            if chosen is not None:
                # Whoever has to go on goes to the next highest, the same one everywhere.
                then.append(candidate)
            elif pace.slow(channel_id, wanted, course, now_us):
                slow.append(candidate)
            else:
                chosen = candidate
        if chosen is None:
            return found, sticky
        passed.extend(Passed(each.channel.id, "slow") for each in slow)
        if _too_busy(chosen, found[:block], health):
            passed.append(Passed(chosen.channel.id, "busy"))
            return found, None
        reason = chosen.reason or ("moved" if chosen.channel.id == moved else "affinity")
        first = Candidate(chosen.channel, chosen.endpoint, reason)
        return [first, *then, *usable.values(), *slow, *found[block:]], sticky

    def settled(self, sticky: Sticky, channel_id: str, now_us: int) -> None:
        """The conversation was answered there."""
        if channel_id != sticky.home:
            self._moved[sticky.mark] = (channel_id, now_us)
            self._moved.move_to_end(sticky.mark)
            self._forget(now_us)
        elif sticky.moved:
            self._moved.pop(sticky.mark, None)

    @property
    def moved(self) -> int:
        """How many conversations are remembered."""
        return len(self._moved)

    # --- within ------------------------------------------------------------------------------------------------------

    def _where(self, mark: int, now_us: int) -> str | None:
        found = self._moved.get(mark)
        if found is None:
            return None
        if abs(now_us - found[1]) > MOVED_US:
            del self._moved[mark]
            return None
        return found[0]

    def _forget(self, now_us: int) -> None:
        """The oldest: one more than a request adds, so that those whose time is over do not stay."""
        for _ in range(2):
            oldest = next(iter(self._moved))
            if len(self._moved) > MOVED_MAX or now_us - self._moved[oldest][1] > MOVED_US:
                del self._moved[oldest]
            else:
                return

    def _score(self, mark: int, channel: Routable) -> float:
        """Of all channels, the one with the highest gets the conversation; each wins in proportion to its weight."""
        salt = self._salts.get(channel.id)
        if salt is None:
            if len(self._salts) >= _SALTS_MAX:
                self._salts.clear()
            salt = int.from_bytes(blake2b(channel.id.encode(), digest_size=8).digest(), "little")
            self._salts[channel.id] = salt
        mixed = (mark ^ salt) * _SPREAD & _WORD
        mixed = (mixed ^ mixed >> 32) * _SPREAD & _WORD
        # In (0, 1): the logarithm is of neither end.
        drawn = ((mixed >> 11) + 0.5) / (1 << 53)
        return channel.weight / -log(drawn)


def _too_busy(chosen: Candidate[C], block: Sequence[Candidate[C]], health: HealthBoard) -> bool:
    own = health.of(chosen.channel.id).in_flight
    if own < BUSY_MIN:
        return False
    others = [each.channel for each in block if each is not chosen]
    weight = sum(max(each.weight, 1) for each in others)
    if not weight:
        return False
    load = sum(health.of(each.id).in_flight for each in others) / weight
    return own / max(chosen.channel.weight, 1) > BUSY_FACTOR * load
