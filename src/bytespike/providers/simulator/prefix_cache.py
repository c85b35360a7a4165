"""Prompt caching as the vendors bill it: the first request with a marked prefix writes it, the next one reads it.

A prompt is a row of segments (tools, then system, then turns), some of which carry a mark: "cache up to here". What is
kept is a digest of each marked prefix, with its lifetime; a later prompt reads the longest kept prefix that ends at one
of its own marks or at most `LOOKBACK` segments before one, and writes what lies between that and its later marks. There
is no smallest cacheable prompt, unlike at the vendors, so that tests stay small.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

from msgspec import Struct

from bytespike.providers.simulator.directives import Directives

ENTRIES_MAX = 4096
LOOKBACK = 20
DIGEST_BYTES = 16
SHORT_S = 300.0
LONG_S = 3600.0


class Segment(Struct, frozen=True):
    """A stretch of the prompt: its content, its tokens, and for how many seconds the prefix that ends here is to be
    kept (None: no mark)."""

    content: bytes
    tokens: int
    keep_s: float | None = None


class CacheFigures(Struct, frozen=True):
    """Tokens read from the cache, and written to it by lifetime (an hour and more counts as long)."""

    read: int = 0
    write_short: int = 0
    write_long: int = 0


NO_CACHING = CacheFigures()


class Bill(Struct, frozen=True):
    """Input tokens in disjoint buckets."""

    fresh: int
    cached: CacheFigures

    @property
    def total(self) -> int:
        return self.fresh + self.cached.read + self.cached.write_short + self.cached.write_long


def bill(counted: int, cached: CacheFigures, sim: Directives) -> Bill:
    """What `counted` prompt tokens come to. Figures that a directive asks for come on top."""
    fresh = counted - cached.read - cached.write_short - cached.write_long
    if sim.cache_read is None and sim.cache_write is None and sim.cache_write_1h is None:
        return Bill(fresh, cached)
    asked = CacheFigures(sim.cache_read or 0, sim.cache_write or 0, sim.cache_write_1h or 0)
    return Bill(counted, asked)


class PrefixCache:
    """The kept prefixes of one process. `now` gives monotonic seconds."""

    __slots__ = ("_expiry", "_now")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._expiry: OrderedDict[bytes, float] = OrderedDict()

    def clear(self) -> None:
        self._expiry.clear()

    def figures(self, scope: str, segments: Sequence[Segment]) -> CacheFigures:
        """What this prompt reads and writes. `scope` keeps models and accounts apart."""
        marks = [index for index, segment in enumerate(segments) if segment.keep_s is not None]
        if not marks:
            return NO_CACHING
        digests = self._digests(scope, segments[: marks[-1] + 1])
        now = self._now()
        hit = self._longest_hit(digests, marks, now)
        read = sum(segment.tokens for segment in segments[: hit + 1])
        short = long = 0
        done = hit
        for mark in marks:
            keep_s = segments[mark].keep_s or SHORT_S
            self._keep(digests[mark], now + keep_s)
            if mark > done:
                written = sum(segment.tokens for segment in segments[done + 1 : mark + 1])
                if keep_s >= LONG_S:
                    long += written
                else:
                    short += written
                done = mark
        return CacheFigures(read, short, long)

    def _digests(self, scope: str, segments: Sequence[Segment]) -> list[bytes]:
        running = hashlib.blake2b(scope.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES)
        digests: list[bytes] = []
        for segment in segments:
            running.update(len(segment.content).to_bytes(8, "big"))
            running.update(segment.content)
            digests.append(running.digest())
        return digests

    def _longest_hit(self, digests: Sequence[bytes], marks: Sequence[int], now: float) -> int:
        """The index of the segment at which the longest kept prefix ends, or -1."""
        for mark in reversed(marks):
            for index in range(mark, max(mark - LOOKBACK, 0) - 1, -1):
                if self._expiry.get(digests[index], now) > now:
                    return index
        return -1

    def _keep(self, digest: bytes, until: float) -> None:
        self._expiry[digest] = max(until, self._expiry.get(digest, until))
        self._expiry.move_to_end(digest)
        while len(self._expiry) > ENTRIES_MAX:
            self._expiry.popitem(last=False)
