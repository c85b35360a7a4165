"""Reading the members of a JSON object, with errors that name the member.

Bodies are decoded once into plain objects, because every member that the hub does not know must survive in `extras`.
`Fields` is the only way in which the readers of this dialect look at them: it checks each type and knows where it is.
The problems are worded as Anthropic's own API words them ("messages.0.content: Field required").
"""

from __future__ import annotations

from typing import Final, TypeVar

from bytespike.core.content import CacheMark
from bytespike.core.extras import OwnExtras
from bytespike.core.json_types import JSON, Extras, JSONObject
from bytespike.protocols.anthropic_messages.names import NAME
from bytespike.protocols.anthropic_messages.wire_error import WireError as WireError

T = TypeVar("T")

#: Where `spelling` is noted in the extras.
SPELLING = "_type"

REQUIRED = "Field required"
NOT_A_STRING = "Input should be a valid string"
NOT_AN_INTEGER = "Input should be a valid integer"
NOT_A_NUMBER = "Input should be a valid number"
NOT_A_BOOLEAN = "Input should be a valid boolean"
NOT_AN_OBJECT = "Input should be an object"
NOT_AN_ARRAY = "Input should be a valid array"


class Fields:
    """One JSON object and where it stands. Members that are null count as absent, as they do for the API."""

    __slots__ = ("obj", "path")

    def __init__(self, obj: JSONObject, path: str) -> None:
        self.obj = obj
        self.path = path

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def wrong(self, key: str, problem: str) -> WireError:
        return WireError(self.at(key), problem)

    def _must(self, key: str, value: T | None) -> T:
        if value is None:
            raise self.wrong(key, REQUIRED)
        return value

    def string(self, key: str) -> str:
        value = self.obj.get(key)
        if isinstance(value, str):
            return value
        raise self.wrong(key, REQUIRED if value is None else NOT_A_STRING)

    def some_string(self, key: str) -> str:
        """One that is not empty: the name of what is called."""
        value = self.string(key)
        if not value:
            raise self.wrong(key, "String should have at least 1 character")
        return value

    def optional_string(self, key: str) -> str | None:
        value = self.obj.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self.wrong(key, NOT_A_STRING)

    def optional_integer(self, key: str) -> int | None:
        value = self.obj.get(key)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self.wrong(key, NOT_AN_INTEGER)

    def integer(self, key: str) -> int:
        return self._must(key, self.optional_integer(key))

    def optional_number(self, key: str) -> float | None:
        value = self.obj.get(key)
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return value
        raise self.wrong(key, NOT_A_NUMBER)

    def optional_boolean(self, key: str) -> bool | None:
        value = self.obj.get(key)
        if value is None or isinstance(value, bool):
            return value
        raise self.wrong(key, NOT_A_BOOLEAN)

    def optional_object(self, key: str) -> Fields | None:
        value = self.obj.get(key)
        if value is None:
            return None
        return as_fields(value, self.at(key))

    def object(self, key: str) -> Fields:
        return self._must(key, self.optional_object(key))

    def optional_array(self, key: str) -> list[JSON] | None:
        value = self.obj.get(key)
        if value is None or isinstance(value, list):
            return value
        raise self.wrong(key, NOT_AN_ARRAY)

    def array(self, key: str) -> list[JSON]:
        return self._must(key, self.optional_array(key))

    def optional_strings(self, key: str) -> tuple[str, ...] | None:
        values = self.optional_array(key)
        if values is None:
            return None
        strings: list[str] = []
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise WireError(f"{self.at(key)}.{index}", NOT_A_STRING)
            strings.append(value)
        return tuple(strings)

    def objects(self, key: str) -> list[Fields]:
        """The members of an array of objects."""
        path = self.at(key)
        return [as_fields(value, f"{path}.{index}") for index, value in enumerate(self.array(key))]

    def rest(self, known: frozenset[str]) -> JSONObject:
        """The members that the reader does not know. Mostly there are none, which is seen without a look at each."""
        if known.issuperset(self.obj):
            return {}
        return {key: value for key, value in self.obj.items() if key not in known}


def as_fields(value: JSON, path: str) -> Fields:
    """Raises `WireError` where the value is no object."""
    if isinstance(value, dict):
        return Fields(value, path)
    raise WireError(path, NOT_AN_OBJECT)


_MARK_MEMBERS = frozenset({"type", "ttl"})


def cache_and_rest(fields: Fields, known: frozenset[str]) -> tuple[CacheMark | None, JSONObject]:
    """The object's `cache_control`, and the members that the reader does not know.

    `known` must contain "cache_control". A mark with more to it than the hub can hold (a type other than "ephemeral",
    further members) stays whole among the unknown members, where this dialect's writer finds it again.
    """
    rest = fields.rest(known)
    if "cache_control" not in fields.obj:
        return None, rest
    mark = fields.optional_object("cache_control")
    if mark is None:
        return None, rest
    if mark.obj.get("type") != "ephemeral" or not mark.obj.keys() <= _MARK_MEMBERS:
        rest["cache_control"] = mark.obj
    return CacheMark(mark.optional_string("ttl")), rest


_extras: Final = OwnExtras(NAME)


def extras_of(members: JSONObject) -> Extras:
    """See `OwnExtras.aside`."""
    return _extras.aside(members)


def own_extras(extras: Extras) -> JSONObject:
    """See `OwnExtras.wire_members`."""
    return _extras.wire_members(extras)


def spelling(extras: Extras) -> str | None:
    """The `type` under which the reader met something that the hub has one name for. It is noted under an underscore:
    such members are this dialect's own business, and no loss to others."""
    noted = extras.get(NAME, {}).get(SPELLING)
    return noted if isinstance(noted, str) else None
