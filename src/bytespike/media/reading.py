"""The members of a request for images or videos, one by one: of their type, within what the model takes, or refused by name.

What the model does not take is told as dropped, what it takes otherwise as approximated; both are gathered in `notices`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from bytespike.catalog.models import MediaLimits, Model
from bytespike.core.json_types import JSON
from bytespike.core.notices import Notice
from bytespike.errors import InvalidRequest
from bytespike.wire.fields import kind_of

#: Of a value that is repeated in an error, or of a name in a notice.
SHOWN_CHARS: Final = 60
#: What of a member's name is not repeated in a header.
_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9_.\[\]-]")


class Reading:
    """The members of one request, and what the caller is to be told of them."""

    __slots__ = ("limits", "model", "notices", "params")

    def __init__(self, model: Model, params: Mapping[str, JSON]) -> None:
        self.model = model
        self.limits: MediaLimits = model.media
        self.params = params
        self.notices: list[Notice] = []

    def dropped(self, name: str, detail: str = "") -> None:
        """The caller is told that a member is left out, and why."""
        self.notices.append(Notice(name, "dropped", detail or f"{self.model.slug} takes none"))

    def approximated(self, name: str, detail: str) -> None:
        """The caller is told what a member is taken for."""
        self.notices.append(Notice(name, "approximated", detail))

    def shown(self, name: str) -> str:
        """A member's name as a header may have it."""
        return _UNUSUAL.sub("?", name[:SHOWN_CHARS])

    def text(self, name: str) -> str:
        """A member that is text, "" where it is absent. Raises InvalidRequest, as all of these."""
        value = self.params.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise InvalidRequest(f"{name} is text, not {kind_of(value)}", param=name)
        return value.strip()

    def integer(self, name: str, least: int, most: int) -> int | None:
        """None where it is absent. Forms and some SDKs send figures as text."""
        value = self.params.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str) and value.strip().removeprefix("-").isdecimal():
            value = int(value.strip()[:20])
        elif isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidRequest(f"{name} is an integer, not {kind_of(value)}", param=name)
        if not least <= value <= most:
            raise InvalidRequest(
                f"{name}: {self.model.slug} takes {least} to {most}, not {value}", param=name
            )
        return value

    def flag(self, name: str) -> bool | None:
        """A member that is true or false, None where it is absent."""
        value = self.params.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            raise InvalidRequest(f"{name} is true or false, not {kind_of(value)}", param=name)
        return value

    def choice(self, name: str, allowed: Iterable[str], default: str = "") -> str:
        """A knob of a few values. `allowed` empty: the model has none."""
        value = self.text(name)
        values = tuple(allowed)
        if not value:
            return default
        if not values:
            self.dropped(name)
            return ""
        if value not in values:
            raise self.wrong(name, value, values)
        return value

    def knob(self, name: str, *, taken: bool, least: int, most: int) -> int | None:
        """A figure that the model may not take."""
        value = self.integer(name, least, most)
        if value is not None and not taken:
            self.dropped(name)
            return None
        return value

    def switch(self, names: tuple[str, ...], *, taken: bool) -> bool | None:
        """The first of these members that is there, true or false; the model may take none."""
        for name in names:
            value = self.flag(name)
            if value is None:
                continue
            if not taken:
                self.dropped(name)
                return None
            return value
        return None

    def wrong(self, name: str, value: str, allowed: Iterable[str], further: str = "") -> InvalidRequest:
        """The refusal of a value: it tells those that are allowed. `further`: what else is, in words."""
        return InvalidRequest(
            f"{name}: {self.model.slug} takes {', '.join(allowed)}{further}, not {value[:SHOWN_CHARS]!r}",
            param=name,
        )
