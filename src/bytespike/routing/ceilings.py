"""Requests and tokens a minute that a channel's account allows, kept by all processes of a machine together.

Nothing is queued: a channel without room is passed over, and another one is asked.

**Counting.** Time is cut into buckets of ten seconds. A request is in the bucket in which it begins; what counts is the
bucket that has begun and the six before it, so at least the last minute and at most seventy seconds. A provider that looks
at any sixty seconds never sees more than the ceiling. A request's tokens are at first the upper bound of its prompt, and
when it is over what the provider said. What is being written is not known before: answers under way may pass a ceiling of
tokens, once. A request that is larger than the whole ceiling is let through when the channel has none else.

**Sharing.** Splitting a ceiling among processes would refuse requests at one that another has room for. So they share a
piece of memory: each has a region that it alone writes, and all read all regions. There is no lock. Who wants room first
claims it in its own region, then adds everybody up, and takes its claim back if there is too much: two that claim the last
place at once may both step back, but never both stay. A worker that is killed leaves its region to its successor.

Machines do not share: each has the whole ceiling. The docs say so to operators.

Layout, in words of 8 bytes: word 0 of the memory is the number of regions in use. Each region is a table of `ENTRIES`
entries, found by hashing the channel's id: the id's hash, the newest bucket's number, the requests of each bucket, the
tokens of each bucket.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from hashlib import blake2b
from typing import Protocol

BUCKET_S = 10
#: The one that has begun, and a minute's.
BUCKETS = 7
_BUCKET_NS = BUCKET_S * 1_000_000_000

#: Channels with a ceiling in one process; of more, those that were unused for longest are forgotten.
ENTRIES = 512
#: Processes that can share: twice as many as there can be workers, because one that stops and its successor overlap.
REGIONS_MAX = 512
_PROBES = 8
_ENTRY = 2 + 2 * BUCKETS
_REGION = ENTRIES * _ENTRY
_HEAD = 1
_KEYS_MAX = 4_096
_KEY_MASK = (1 << 62) - 1

#: A claim that was refused.
NO_ROOM = -1


class Limited(Protocol):
    """What of a channel is looked at here: its account's limits a minute, None where there is none."""

    @property
    def id(self) -> str: ...
    @property
    def rpm(self) -> int | None: ...
    @property
    def tpm(self) -> int | None: ...


class Ceilings:
    """One process's part in them. `words`: the shared memory, None for one of its own; `region`: which part of it is this
    process's to write. `monotonic_ns`: of the machine, the same in all processes."""

    __slots__ = ("_base", "_keys", "_monotonic_ns", "_words")

    def __init__(
        self, monotonic_ns: Callable[[], int], words: memoryview | None = None, region: int = 0
    ) -> None:
        if words is None:
            words = memoryview(bytearray((_HEAD + _REGION) * 8)).cast("q")
            words[0] = 1
        self._words = words
        self._base = _HEAD + region * _REGION
        self._monotonic_ns = monotonic_ns
        self._keys: dict[str, int] = {}

    def room(self, channel: Limited) -> bool:
        """Whether a request might be let through now. Only a claim makes it sure."""
        if channel.rpm is None and channel.tpm is None:
            return True
        requests, tokens = self._used(self._key(channel.id), self._bucket())
        if channel.rpm is not None and requests >= channel.rpm:
            return False
        return channel.tpm is None or tokens < channel.tpm

    def claim(self, channel: Limited, tokens: int) -> int:
        """A request with a prompt of at most so many tokens begins. What to settle it by, or `NO_ROOM`."""
        bucket = self._bucket()
        key = self._key(channel.id)
        entry = self._own(key, bucket)
        words = self._words
        place = entry + 2 + bucket % BUCKETS
        words[place] += 1
        words[place + BUCKETS] += tokens
        requests, used = self._used(key, bucket)
        alone = used == tokens
        if (channel.rpm is not None and requests > channel.rpm) or (
            channel.tpm is not None and used > channel.tpm and not alone
        ):
            words[place] -= 1
            words[place + BUCKETS] -= tokens
            return NO_ROOM
        return bucket

    def settle(self, channel_id: str, claim: int, claimed: int, tokens: int) -> None:
        """A request is over: `tokens` were used in place of those that were claimed. A refused one is none."""
        bucket = self._bucket()
        entry = self._own(self._key(channel_id), bucket)
        words = self._words
        if bucket - claim < BUCKETS:
            words[entry + 2 + BUCKETS + claim % BUCKETS] -= claimed
        words[entry + 2 + BUCKETS + bucket % BUCKETS] += tokens

    def retry_after_s(self, channel: Limited) -> int | None:
        """Seconds until there is room again, at least 1; None if there is some."""
        if self.room(channel):
            return None
        now_ns = self._monotonic_ns()
        bucket = now_ns // _BUCKET_NS
        key = self._key(channel.id)
        end = bucket + 1
        for end in range(bucket + 1, bucket + BUCKETS + 1):
            requests, tokens = self._used(key, end)
            if (channel.rpm is None or requests < channel.rpm) and (
                channel.tpm is None or tokens < channel.tpm
            ):
                break
        return max(1, -((now_ns - end * _BUCKET_NS) // 1_000_000_000))

    # --- within ------------------------------------------------------------------------------------------------------

    def _bucket(self) -> int:
        return self._monotonic_ns() // _BUCKET_NS

    def _key(self, channel_id: str) -> int:
        key = self._keys.get(channel_id)
        if key is None:
            if len(self._keys) >= _KEYS_MAX:
                self._keys.clear()
            digest = blake2b(channel_id.encode(), digest_size=8).digest()
            # Never 0, which is an empty place.
            key = self._keys[channel_id] = int.from_bytes(digest, "little") & _KEY_MASK | 1
        return key

    def _used(self, key: int, bucket: int) -> tuple[int, int]:
        """Requests and tokens that count in that bucket, of all processes."""
        words = self._words
        requests = tokens = 0
        for region in range(words[0]):
            entry = self._find(_HEAD + region * _REGION, key)
            if entry < 0:
                continue
            age = bucket - words[entry + 1]
            if age >= BUCKETS:
                continue
            first = entry + 2
            requests += sum(words[first : first + BUCKETS])
            tokens += sum(words[first + BUCKETS : first + 2 * BUCKETS])
            # Nobody has written there since: what the places of newer buckets hold is of old ones.
            for newer in range(bucket - age + 1, bucket + 1):
                requests -= words[first + newer % BUCKETS]
                tokens -= words[first + BUCKETS + newer % BUCKETS]
        return requests, tokens

    def _find(self, base: int, key: int) -> int:
        """Where a region has the channel; -1: nowhere."""
        words = self._words
        for step in range(_PROBES):
            entry = base + (key + step) % ENTRIES * _ENTRY
            found = words[entry]
            if found == key:
                return entry
            if not found:
                return -1
        return -1

    def _own(self, key: int, bucket: int) -> int:
        """The channel's entry in this process's region, up to date."""
        words = self._words
        entry = self._find(self._base, key)
        if entry < 0:
            entry = min(
                (self._base + (key + step) % ENTRIES * _ENTRY for step in range(_PROBES)),
                key=lambda at: words[at + 1] if words[at] else -1,
            )
            words[entry] = 0
            for at in range(entry + 2, entry + _ENTRY):
                words[at] = 0
            words[entry + 1] = bucket
            words[entry] = key
            return entry
        for newer in range(max(words[entry + 1] + 1, bucket - BUCKETS + 1), bucket + 1):
            words[entry + 2 + newer % BUCKETS] = 0
            words[entry + 2 + BUCKETS + newer % BUCKETS] = 0
        words[entry + 1] = bucket
        return entry


def shared_words(descriptor: int) -> memoryview:
    """The memory of a file that several processes have, as `Ceilings` takes it. The file grows to its size; it is full of
    holes. Raises OSError."""
    size = (_HEAD + REGIONS_MAX * _REGION) * 8
    if os.fstat(descriptor).st_size < size:
        os.ftruncate(descriptor, size)
    return memoryview(mmap.mmap(descriptor, size)).cast("q")


def use_region(words: memoryview, region: int) -> None:
    """Let all count what is in that region. Before the process that writes it begins; by one process only."""
    words[0] = max(words[0], region + 1)
