"""What the pipeline needs of wherever responses are kept, and how a chain of them is followed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from bytespike.conversations.kept import Kept, NoSuchResponse
from bytespike.errors import InvalidRequest

CHAIN_LINKS_MAX = 500
CHAIN_BYTES_MAX = 32 * 1024 * 1024


class Keeps(Protocol):
    """The process's conversations (`conversations.Conversations`), or a socket's (`local.LocalConversations`)."""

    @property
    def everything(self) -> bool:
        """Responses that are not to be stored are remembered too, for as long as this lives."""
        ...

    def expiry(self, created_us: int) -> int:
        """When a response of that time is forgotten, Unix microseconds."""
        ...

    async def keep(self, kept: Kept, *, durable: bool = True) -> None:
        """Remember it; `durable`: for good. Raises nothing."""
        ...

    async def get(self, key_id: str, id: str, *, fresh: bool = True) -> Kept:
        """`fresh` False: what is in memory will do, though another process may have deleted it since.

        Raises NoSuchResponse, Unreadable."""
        ...

    async def chain(self, key_id: str, id: str) -> list[Kept]:
        """The response and all that it went on from, the oldest first. What has been deleted or has expired ends the
        chain. Raises as `get` does for the newest; InvalidRequest for a chain that is too long."""
        ...

    async def delete(self, key_id: str, id: str) -> None:
        """Raises NoSuchResponse, Unreadable."""
        ...


async def follow(get: Callable[[str, bool], Awaitable[Kept]], id: str) -> list[Kept]:
    """`Keeps.chain`, by `get(id, fresh)`."""
    links = [await get(id, True)]
    size = links[0].size
    seen = {id}
    while (previous := links[-1].previous_id) is not None and previous not in seen:
        try:
            link = await get(previous, False)
        except NoSuchResponse:
            break
        seen.add(previous)
        links.append(link)
        size += link.size
        if len(links) > CHAIN_LINKS_MAX or size > CHAIN_BYTES_MAX:
            raise InvalidRequest(
                "the conversation behind previous_response_id is too long; send its items instead",
                param="previous_response_id",
            )
    links.reverse()
    return links
