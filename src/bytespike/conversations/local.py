"""What one socket remembers: its own responses, those that are not to be stored too, until it is closed."""

from __future__ import annotations

from collections import OrderedDict

from bytespike.conversations.keeps import Keeps, follow
from bytespike.conversations.kept import Kept, NoSuchResponse

#: Of one socket.
MEMORY_BYTES_MAX = 32 * 1024 * 1024


class LocalConversations:
    """In front of `behind`, which keeps what is to be stored and knows everything older."""

    everything = True

    def __init__(self, behind: Keeps) -> None:
        self._behind = behind
        self._own: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0

    def expiry(self, created_us: int) -> int:
        return self._behind.expiry(created_us)

    async def keep(self, kept: Kept, *, durable: bool = True) -> None:
        self._own[kept.id] = kept
        self._bytes += kept.size
        while self._bytes > MEMORY_BYTES_MAX:
            _, oldest = self._own.popitem(last=False)
            self._bytes -= oldest.size
        if durable:
            await self._behind.keep(kept)

    async def get(self, key_id: str, id: str, *, fresh: bool = True) -> Kept:
        own = self._own.get(id)
        if own is None:
            return await self._behind.get(key_id, id, fresh=fresh)
        if own.key_id != key_id:
            raise NoSuchResponse(id)
        return own

    async def chain(self, key_id: str, id: str) -> list[Kept]:
        return await follow(lambda each, fresh: self.get(key_id, each, fresh=fresh), id)

    async def delete(self, key_id: str, id: str) -> None:
        own = self._own.pop(id, None)
        if own is not None:
            self._bytes -= own.size
        await self._behind.delete(key_id, id)
