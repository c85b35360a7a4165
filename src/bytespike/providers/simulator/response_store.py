"""OpenAI Responses: what was stored, so that a later request can go on from it.

In memory and bounded: the oldest go first. A conversation is kept as the row of items that led to a response, and the
items of its answer; rows share their items, so a long chain costs little more than its last row.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from msgspec import Struct

from bytespike.core.json_types import JSONObject

RESPONSES_MAX = 1000
#: Of all bodies whose items are kept, as they came and as they were answered.
BYTES_MAX = 64 * 1024 * 1024


class _Kept(Struct, frozen=True):
    conversation: tuple[JSONObject, ...]
    own: tuple[str, ...]
    size: int


class ResponseStore:
    """The stored responses of one process, each account's for itself."""

    __slots__ = ("_bytes", "_items", "_kept", "_next")

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._items: dict[tuple[str, str], JSONObject] = {}
        self._next: dict[tuple[str, str], str] = {}
        self._bytes = 0

    def clear(self) -> None:
        self._kept.clear()
        self._items.clear()
        self._next.clear()
        self._bytes = 0

    def keep(
        self,
        account: str,
        response: str,
        before: Sequence[JSONObject],
        output: Sequence[JSONObject],
        size: int,
    ) -> None:
        """Store a response: the items `before` it, its own, and how many bytes both came to."""
        self._drop((account, response))
        own: list[str] = []
        for item in output:
            name = item.get("id")
            if isinstance(name, str):
                if own:
                    self._next[account, own[-1]] = name
                own.append(name)
                self._items[account, name] = item
        self._kept[account, response] = _Kept((*before, *output), tuple(own), size)
        self._bytes += size
        while len(self._kept) > RESPONSES_MAX or self._bytes > BYTES_MAX:
            self._drop(next(iter(self._kept)))

    def conversation(self, account: str, response: str) -> tuple[JSONObject, ...] | None:
        """The items up to and with a response's own; None if it is not stored."""
        found = self._kept.get((account, response))
        return found.conversation if found is not None else None

    def item(self, account: str, name: str) -> JSONObject | None:
        """An item of a stored answer, by its id."""
        return self._items.get((account, name))

    def follower(self, account: str, name: str) -> str | None:
        """The id of the item that came after a stored one in its answer."""
        return self._next.get((account, name))

    def _drop(self, key: tuple[str, str]) -> None:
        found = self._kept.pop(key, None)
        if found is None:
            return
        self._bytes -= found.size
        for name in found.own:
            self._items.pop((key[0], name), None)
            self._next.pop((key[0], name), None)
