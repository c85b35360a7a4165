"""JSON values that meet a JSON Schema, chosen without chance, for tool arguments and structured output.

Met: type, enum, const, properties and required, additionalProperties with minProperties, items and prefixItems with
minItems, maxItems and uniqueItems, anyOf, oneOf (its first branch that can be had), allOf, $ref into the same document
(recursive ones too), the bounds of numbers and strings, multipleOf, the common formats, and a pattern where one of a
few usual spellings meets it. Not looked at: not, if, patternProperties, propertyNames, contains, dependent*. Of the
optional properties none is given, unless nothing is required: then the first.
"""

from __future__ import annotations

import hashlib
import math
import re

from bytespike.core.json_types import JSON, JSONObject

DEPTH_MAX = 24
#: Deeper than this, what may be left out is left out, so that a recursive schema comes to an end.
DEPTH_FULL = 6
ITEMS_MAX = 256
#: Schemas looked at for one value. A schema that multiplies itself is cut short there.
STEPS_MAX = 20_000
TEXT_CHARS_MAX = 65_536
#: Bounds beyond this are not looked at.
NUMBER_MAX = 2**53
_PATTERN_CHARS_MAX = 512
_UNIQUE_TRIES = 512

_FORMATS = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "simulator@example.com",
    "hostname": "simulator.example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://simulator.example.com/",
    "uuid": "5a1d0000-0000-4000-8000-000000000001",
}
_SPELLINGS = (
    "simulated", "Simulated", "SIM", "sim-1", "sim_1", "S1", "a", "A", "AA", "AAA", "0", "1", "42", "007", "1234",
    "12345", "0.5", "1.0.0", "v1.0.0", "2026-01-31", "12:00", "12:00:00", "2026-01-31T12:00:00Z", "+15550100",
    "555-0100", "#336699", "00ff00", "a@example.com", "https://example.com", "/a/b", "a.b", "A-1", "AB-12", "ABC-123",
    "AB12CD", "en", "en-US", "USD", "5a1d0000-0000-4000-8000-000000000001", "true", "",
)  # fmt: skip


class Dice:
    """A row of choices that follows from a digest alone."""

    __slots__ = ("_state",)

    def __init__(self, digest: bytes) -> None:
        self._state = int.from_bytes(hashlib.blake2b(digest, digest_size=8).digest(), "big")

    def pick(self, count: int) -> int:
        """A number from 0 up to but not including `count`."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        return (self._state >> 33) % count


def value_for(schema: JSON, dice: Dice) -> JSON:
    """A value that meets `schema` (within the limits above)."""
    return _Maker(schema if isinstance(schema, dict) else {}, dice).make(schema, "", 0, 0)


class _Maker:
    __slots__ = ("_dice", "_root", "_steps")

    def __init__(self, root: JSONObject, dice: Dice) -> None:
        self._root = root
        self._dice = dice
        self._steps = STEPS_MAX

    def make(self, schema: JSON, name: str, depth: int, nth: int) -> JSON:
        """`name`: the property that the value is for. `nth`: how manyeth of the values that must differ."""
        self._steps -= 1
        if not isinstance(schema, dict) or depth > DEPTH_MAX or self._steps < 0:
            return _word(name, nth)
        schema = self._flat(schema, depth)
        if "const" in schema:
            return schema["const"]
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            return choices[(self._dice.pick(len(choices)) + nth) % len(choices)]
        kind = _kind(schema, depth)
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number":
                return self._number(schema, kind == "integer", nth)
            case "boolean":
                return (self._dice.pick(2) + nth) % 2 == 0
            case "null":
                return None
            case _:
                return _text(schema, name, nth)

    def _flat(self, schema: JSONObject, depth: int) -> JSONObject:
        """The schema with its $ref, allOf and one branch of anyOf and oneOf worked in."""
        for _ in range(DEPTH_MAX):
            self._steps -= 1
            if self._steps < 0:
                return schema
            reference = schema.get("$ref")
            if isinstance(reference, str):
                rest = {key: value for key, value in schema.items() if key != "$ref"}
                schema = _merged(self._resolve(reference), rest)
                continue
            every = schema.get("allOf")
            if isinstance(every, list):
                schema = {key: value for key, value in schema.items() if key != "allOf"}
                for part in every:
                    if isinstance(part, dict):
                        schema = _merged(schema, self._flat(part, depth + 1) if depth < DEPTH_MAX else part)
                continue
            for word in ("anyOf", "oneOf"):
                branches = schema.get(word)
                if isinstance(branches, list) and branches:
                    rest = {key: value for key, value in schema.items() if key != word}
                    schema = _merged(rest, self._branch(branches, depth))
                    break
            else:
                return schema
        return schema

    def _branch(self, branches: list[JSON], depth: int) -> JSONObject:
        found = [branch for branch in branches if isinstance(branch, dict)]
        if not found:
            return {}
        if depth >= DEPTH_FULL:
            # The way out of a recursion is the branch that nests least.
            return min(found, key=lambda branch: _nesting(self._shallow(branch)))
        for branch in found:
            if branch.get("type") != "null":
                return branch
        return found[0]

    def _shallow(self, branch: JSONObject) -> JSONObject:
        reference = branch.get("$ref")
        return self._resolve(reference) if isinstance(reference, str) else branch

    def _resolve(self, reference: str) -> JSONObject:
        """A local reference; any other, and one into nowhere, is an empty schema."""
        node: JSON = self._root
        if not reference.startswith("#"):
            return {}
        for step in reference[1:].split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and step in node:
                node = node[step]
            elif isinstance(node, list) and step.isdigit() and int(step) < len(node):
                node = node[int(step)]
            else:
                return {}
        return node if isinstance(node, dict) else {}

    def _object(self, schema: JSONObject, depth: int) -> JSONObject:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        if not names and properties and depth < DEPTH_FULL:
            names = [next(iter(properties))]
        least = _whole(schema.get("minProperties"), 0)
        for name in properties:
            if len(names) >= least:
                break
            if name not in names:
                names.append(name)
        extra = schema.get("additionalProperties")
        made: JSONObject = {
            name: self.make(properties.get(name, extra), name, depth + 1, 0) for name in names[:ITEMS_MAX]
        }
        while len(made) < min(least, ITEMS_MAX) and extra is not False:
            key = f"extra_{len(made) + 1}"
            made[key] = self.make(extra, key, depth + 1, 0)
        return made

    def _array(self, schema: JSONObject, name: str, depth: int) -> list[JSON]:
        most = min(_whole(schema.get("maxItems"), ITEMS_MAX), ITEMS_MAX)
        least = min(_whole(schema.get("minItems"), 0), most)
        wanted = max(least, 1 if depth < DEPTH_FULL and most > 0 else 0)
        leading = schema.get("prefixItems")
        leading = leading if isinstance(leading, list) else []
        items = schema.get("items")
        if items is False:
            wanted = max(min(wanted, len(leading)), least)
        if leading and depth < DEPTH_FULL:
            wanted = min(max(wanted, len(leading)), most)
        unique = schema.get("uniqueItems") is True
        made: list[JSON] = []
        for nth in range(_UNIQUE_TRIES if unique else wanted):
            if len(made) >= wanted:
                break
            item = leading[len(made)] if len(made) < len(leading) else items
            value = self.make(item, name.removesuffix("s"), depth + 1, nth)
            if not (unique and value in made):
                made.append(value)
        return made

    def _number(self, schema: JSONObject, whole: bool, nth: int) -> JSON:
        low, high = _bounds(schema, whole)
        if low is None:
            low = min(1.0, high) if high is not None else 1.0
        step = _real(schema.get("multipleOf"))
        if step is None and not whole:
            step = 0.5 if high is None or high - low >= 4 else max((high - low) / 8, 2.0**-40)
            value = low
        else:
            step = max(round(step or 1), 1) if whole else (step or 0.5)
            value = math.ceil(low / step) * step
        room = max(8, nth) if high is None else max(min(int((high - value) / step), 64), 0)
        value += (self._dice.pick(min(room, 8) + 1) + nth) % (room + 1) * step
        return round(value) if whole else value


def _merged(first: JSONObject, second: JSONObject) -> JSONObject:
    """Both schemas at once: properties and required add up, for all else the second wins."""
    merged: JSONObject = {**first, **second}
    for word in ("properties", "$defs"):
        one, other = first.get(word), second.get(word)
        if isinstance(one, dict) and isinstance(other, dict):
            merged[word] = {**one, **other}
    one, other = first.get("required"), second.get("required")
    if isinstance(one, list) and isinstance(other, list):
        merged["required"] = [*one, *(name for name in other if name not in one)]
    return merged


def _kind(schema: JSONObject, depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        names = [name for name in kind if isinstance(name, str)]
        if depth >= DEPTH_FULL and "null" in names:
            return "null"
        return next((name for name in names if name != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema or "required" in schema or "minProperties" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    if schema.keys() & {"minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"}:
        return "number"
    return "string"


def _nesting(schema: JSONObject) -> int:
    kind = schema.get("type")
    if kind == "null":
        return 0
    if schema.keys() & {"$ref", "anyOf", "oneOf", "allOf"}:
        return 3
    if kind == "object" or "properties" in schema:
        return 2 + (2 if schema.get("required") else 0)
    return 2 if kind == "array" else 1


def _bounds(schema: JSONObject, whole: bool) -> tuple[float | None, float | None]:
    gap = 1.0 if whole else 2.0**-10
    low, high = _real(schema.get("minimum")), _real(schema.get("maximum"))
    above, below = _real(schema.get("exclusiveMinimum")), _real(schema.get("exclusiveMaximum"))
    step = _real(schema.get("multipleOf"))
    if above is not None:
        edge = math.floor(above) + 1 if whole else above + (step or gap)
        low = edge if low is None else max(low, edge)
    if below is not None:
        edge = math.ceil(below) - 1 if whole else below - (step or gap)
        high = edge if high is None else min(high, edge)
    return low, high


def _text(schema: JSONObject, name: str, nth: int) -> str:
    least = min(_whole(schema.get("minLength"), 0), TEXT_CHARS_MAX)
    most = min(_whole(schema.get("maxLength"), TEXT_CHARS_MAX), TEXT_CHARS_MAX)
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and len(pattern) <= _PATTERN_CHARS_MAX:
        spelling = _spelling(pattern, least, most)
        if spelling is not None:
            return spelling
    form = schema.get("format")
    if isinstance(form, str) and form in _FORMATS:
        return _FORMATS[form]
    word = _word(name, nth)
    if len(word) < least:
        word += "." * (least - len(word))
    if len(word) > most:
        # The end is what tells the nth from the others.
        word = word[len(word) - most :] if nth else word[:most]
    return word


def _spelling(pattern: str, least: int, most: int) -> str | None:
    try:
        compiled = re.compile(pattern)
    except re.error:
        return None
    for spelling in (*_SPELLINGS, "a" * least, "A" * least, "1" * least):
        if least <= len(spelling) <= most and compiled.search(spelling):
            return spelling
    return None


def _word(name: str, nth: int) -> str:
    word = f"simulated {name.replace('_', ' ')}" if name else "simulated"
    return f"{word} {nth + 1}" if nth else word


def _whole(value: JSON, default: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return max(int(min(value, NUMBER_MAX)), 0)


def _real(value: JSON) -> float | None:
    """A number that arithmetic can be done with."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > NUMBER_MAX:
        return None
    return float(value)
