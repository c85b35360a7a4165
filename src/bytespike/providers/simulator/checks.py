"""Reading a vendor's request body field by field, and saying what is wrong with it in neutral terms.

Each dialect's rules walk the body through `Node`s; the first thing that is wrong raises `Problem`, which the dialect
words as its vendor does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Literal, NoReturn, TypeAlias

from msgspec import Struct

from bytespike.core.json_types import JSON, JSONObject

Path: TypeAlias = "tuple[str | int, ...]"
Kind: TypeAlias = Literal["missing", "type", "value", "unknown", "below", "above"]


class Problem(Exception):
    """Something about the field at `path`.

    missing; type (`expected` instead of `got`, in JSON's words); value (`got` is none of `allowed`); unknown (no such
    field); below and above (`bound`).
    """

    def __init__(
        self,
        kind: Kind,
        path: Path,
        *,
        expected: str = "",
        got: str = "",
        allowed: Sequence[str] = (),
        bound: float = 0,
    ) -> None:
        super().__init__(f"{kind}: {path}")
        self.kind: Kind = kind
        self.path = path
        self.expected = expected
        self.got = got
        self.allowed = allowed
        self.bound = bound


def json_type(value: JSON) -> str:
    """What JSON calls it."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"


class Node(Struct, frozen=True):
    """A JSON object at a path. An optional field that is null counts as absent."""

    value: JSONObject
    path: Path = ()

    def has(self, name: str) -> bool:
        return self.value.get(name) is not None

    def fail(self, kind: Kind, name: str, expected: str = "") -> NoReturn:
        raise Problem(kind, (*self.path, name), expected=expected, got=json_type(self.value.get(name)))

    def required(self, name: str) -> JSON:
        if name not in self.value:
            self.fail("missing", name)
        return self.value[name]

    def text(self, name: str) -> str:
        value = self.required(name)
        if not isinstance(value, str):
            self.fail("type", name, "string")
        return value

    def optional_text(self, name: str) -> str | None:
        return self.text(name) if self.has(name) else None

    def flag(self, name: str) -> bool | None:
        value = self.value.get(name)
        if value is not None and not isinstance(value, bool):
            self.fail("type", name, "boolean")
        return value

    def integer(self, name: str, least: int, most: int | None = None) -> int:
        value = self.required(name)
        if isinstance(value, bool) or not isinstance(value, int):
            self.fail("type", name, "integer")
        self._bound(name, value, least, most)
        return value

    def optional_integer(self, name: str, least: int, most: int | None = None) -> int | None:
        return self.integer(name, least, most) if self.has(name) else None

    def optional_number(self, name: str, least: float, most: float) -> float | None:
        value = self.value.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail("type", name, "number")
        self._bound(name, value, least, most)
        return float(value)

    def _bound(self, name: str, value: float, least: float, most: float | None) -> None:
        if value < least:
            raise Problem("below", (*self.path, name), bound=least, got=str(value))
        if most is not None and value > most:
            raise Problem("above", (*self.path, name), bound=most, got=str(value))

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        value = self.text(name)
        if value not in allowed:
            raise Problem("value", (*self.path, name), got=value, allowed=allowed)
        return value

    def optional_one_of(self, name: str, allowed: Sequence[str]) -> str | None:
        return self.one_of(name, allowed) if self.has(name) else None

    def object(self, name: str) -> Node:
        value = self.required(name)
        if not isinstance(value, dict):
            self.fail("type", name, "object")
        return Node(value, (*self.path, name))

    def optional_object(self, name: str) -> Node | None:
        return self.object(name) if self.has(name) else None

    def array(self, name: str) -> list[JSON]:
        value = self.required(name)
        if not isinstance(value, list):
            self.fail("type", name, "array")
        return value

    def objects(self, name: str) -> Iterator[Node]:
        """The objects in a required array."""
        for index, item in enumerate(self.array(name)):
            if not isinstance(item, dict):
                raise Problem("type", (*self.path, name, index), expected="object", got=json_type(item))
            yield Node(item, (*self.path, name, index))

    def optional_objects(self, name: str) -> Iterator[Node]:
        return self.objects(name) if self.has(name) else iter(())

    def texts(self, name: str) -> tuple[str, ...]:
        """The strings in an optional array."""
        if not self.has(name):
            return ()
        found: list[str] = []
        for index, item in enumerate(self.array(name)):
            if not isinstance(item, str):
                raise Problem("type", (*self.path, name, index), expected="string", got=json_type(item))
            found.append(item)
        return tuple(found)

    def at(self, *more: str | int) -> Node:
        """The same object under a longer path, where a vendor names a block's type in its paths."""
        return Node(self.value, (*self.path, *more))

    def only(self, known: Collection[str]) -> None:
        """Refuse fields that the vendor does not know."""
        for name in self.value:
            if name not in known:
                raise Problem("unknown", (*self.path, name))
