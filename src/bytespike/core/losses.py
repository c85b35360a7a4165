"""Collecting the notices of one translation: each feature once, and never too many of them."""

from __future__ import annotations

from typing import Final, Literal

from bytespike.core.json_types import Extras
from bytespike.core.notices import Notice

#: They end up in one response header.
NOTICES_MAX: Final = 40
_FEATURE_CHARS_MAX: Final = 60


class Losses:
    """Notices in the order in which they were found. `dialect`: the one that is written; its extras are no loss."""

    __slots__ = ("_dialect", "_found")

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._found: dict[str, Notice] = {}

    def dropped(self, feature: str, detail: str = "") -> None:
        self._add(feature, "dropped", detail)

    def approximated(self, feature: str, detail: str = "") -> None:
        self._add(feature, "approximated", detail)

    def cache_mark(self) -> None:
        """A cache mark on a target that does not take any."""
        self.dropped("cache_control", "provider caches by itself")

    def foreign_extras(self, extras: Extras, prefix: str = "") -> None:
        """Members that only another dialect has. One that begins with an underscore is a reader's note on how
        something was spelt, which changes nothing."""
        if not extras:
            return
        for dialect, members in extras.items():
            if dialect == self._dialect:
                continue
            for member in members:
                if not member.startswith("_"):
                    self.dropped(prefix + _printable(member), f"only {dialect} has it")

    def _add(self, feature: str, action: Literal["dropped", "approximated"], detail: str) -> None:
        if feature not in self._found and len(self._found) < NOTICES_MAX:
            self._found[feature] = Notice(feature, action, detail)

    @property
    def notices(self) -> tuple[Notice, ...]:
        return tuple(self._found.values())


def _printable(member: str) -> str:
    # A member's name is the caller's, and it goes into a header.
    kept = [
        char for char in member[:_FEATURE_CHARS_MAX] if char.isascii() and (char.isalnum() or char in "_-.")
    ]
    return "".join(kept) or "unnamed"
