"""A small JSON Schema checker, for what the simulator makes: says which rule a value breaks, and where.

It covers the words that tool schemas use; a word that it does not know is a `NotImplementedError`, so that no schema
passes by being ignored.
"""

from __future__ import annotations

import ipaddress
import math
import re
import uuid
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
_SILENT = {
    "title",
    "description",
    "default",
    "examples",
    "$schema",
    "$id",
    "$defs",
    "definitions",
    "$comment",
}
_FORMATS: dict[str, Any] = {
    "date-time": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "uuid": uuid.UUID,
    "email": lambda text: _match(r"[^@\s]+@[^@\s]+\.[^@\s]+", text),
    "hostname": lambda text: _match(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", text),
    "uri": lambda text: _match(r"[a-z][a-z0-9+.-]*:\S+", text),
    "duration": lambda text: _match(r"P(\d+[YMWD])*(T(\d+[HMS])+)?", text),
}


def _match(pattern: str, text: str) -> None:
    if re.fullmatch(pattern, text) is None:
        raise ValueError(text)


def violations(value: Any, schema: Any, root: Any = None, where: str = "$") -> list[str]:
    """Every rule of `schema` that `value` breaks; empty if it is valid."""
    return list(_check(value, schema, schema if root is None else root, where))


def _check(value: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    if schema is True or schema is None:
        return
    if schema is False:
        yield f"{where}: nothing is allowed here"
        return
    for word, rule in schema.items():
        if word in _SILENT or word in ("additionalProperties", "prefixItems"):
            continue
        check = _WORDS.get(word)
        if check is None:
            raise NotImplementedError(word)
        yield from check(value, rule, schema, root, where)


def _type(value: Any, rule: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    names = rule if isinstance(rule, list) else [rule]
    for name in names:
        if isinstance(value, bool) and name in ("integer", "number"):
            continue
        if isinstance(value, _TYPES[name]) or (
            name == "integer" and isinstance(value, float) and value.is_integer()
        ):
            return
    yield f"{where}: {value!r} is no {rule}"


def _ref(value: Any, rule: str, schema: Any, root: Any, where: str) -> Iterator[str]:
    node = root
    for step in rule.removeprefix("#").split("/")[1:]:
        node = node[step]
    yield from _check(value, node, root, where)


def _any(value: Any, rule: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    if all(violations(value, branch, root, where) for branch in rule):
        yield f"{where}: {value!r} meets no branch"


def _one(value: Any, rule: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    if sum(not violations(value, branch, root, where) for branch in rule) != 1:
        yield f"{where}: {value!r} does not meet just one branch"


def _all(value: Any, rule: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    for branch in rule:
        yield from _check(value, branch, root, where)


def _properties(value: Any, rule: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name in value.keys() & rule.keys():
            yield from _check(value[name], rule[name], root, f"{where}.{name}")
        extra = schema.get("additionalProperties", True)
        for name in value.keys() - rule.keys():
            yield from _check(value[name], extra, root, f"{where}.{name}")


def _required(value: Any, rule: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{where}: {name} is missing" for name in rule if name not in value)


def _items(value: Any, rule: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    if isinstance(value, list):
        leading = schema.get("prefixItems", [])
        for at, item in enumerate(value):
            yield from _check(item, leading[at] if at < len(leading) else rule, root, f"{where}[{at}]")


def _bound(kind: Any, broken: Any) -> Any:
    def check(value: Any, rule: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
        if isinstance(value, kind) and not isinstance(value, bool) and broken(value, rule):
            yield f"{where}: {value!r} breaks the bound {rule}"

    return check


def _unique(value: Any, rule: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    if rule and isinstance(value, list) and any(value[at] in value[:at] for at in range(len(value))):
        yield f"{where}: items repeat"


def _format(value: Any, rule: str, schema: Any, root: Any, where: str) -> Iterator[str]:
    if isinstance(value, str) and rule in _FORMATS:
        try:
            _FORMATS[rule](value)
        except ValueError:
            yield f"{where}: {value!r} is no {rule}"


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


_NUMBER = (int, float)
_WORDS: dict[str, Any] = {
    "type": _type,
    "$ref": _ref,
    "anyOf": _any,
    "oneOf": _one,
    "allOf": _all,
    "properties": _properties,
    "required": _required,
    "items": _items,
    "uniqueItems": _unique,
    "format": _format,
    "enum": lambda v, rule, s, r, w: iter(() if any(_equal(v, c) for c in rule) else (f"{w}: {v!r} not in {rule}",)),
    "const": lambda v, rule, s, r, w: iter(() if _equal(v, rule) else (f"{w}: {v!r} is not {rule!r}",)),
    "minimum": _bound(_NUMBER, lambda v, rule: v < rule),
    "maximum": _bound(_NUMBER, lambda v, rule: v > rule),
    "exclusiveMinimum": _bound(_NUMBER, lambda v, rule: v <= rule),
    "exclusiveMaximum": _bound(_NUMBER, lambda v, rule: v >= rule),
    "multipleOf": _bound(_NUMBER, lambda v, rule: not math.isclose(v / rule, round(v / rule), abs_tol=1e-9)),
    "minLength": _bound(str, lambda v, rule: len(v) < rule),
    "maxLength": _bound(str, lambda v, rule: len(v) > rule),
    "pattern": _bound(str, lambda v, rule: re.search(rule, v) is None),
    "minItems": _bound(list, lambda v, rule: len(v) < rule),
    "maxItems": _bound(list, lambda v, rule: len(v) > rule),
    "minProperties": _bound(dict, lambda v, rule: len(v) < rule),
}  # fmt: skip
