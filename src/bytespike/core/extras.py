"""What one dialect's readers put aside for its own writers, where the hub has no place for it."""

from __future__ import annotations

from bytespike.core.json_types import NO_EXTRAS, Extras, JSONObject


class OwnExtras:
    """The extras of one dialect, by its name. Each dialect has one; its readers and writers use its functions."""

    __slots__ = ("_dialect",)

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect

    def own(self, extras: Extras) -> JSONObject:
        """What this dialect's reader had put aside. Never change it."""
        return extras.get(self._dialect) or {}

    def aside(self, members: JSONObject) -> Extras:
        """Extras that hold `members` for this dialect's writer."""
        return {self._dialect: members} if members else NO_EXTRAS

    def wire_members(self, extras: Extras) -> JSONObject:
        """Of what was put aside, the members of the wire, to be put back as they were. Names with an underscore in front
        are the reader's own bookkeeping: which spelling the client had used, which item a part came from."""
        members = extras.get(self._dialect) if extras else None
        if not members:
            return {}
        return {key: value for key, value in members.items() if not key.startswith("_")}
