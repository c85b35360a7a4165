"""Reading the members of decoded JSON objects, with errors that say where.

A body is decoded once into plain objects, because every member that the hub does not know must survive. These functions
are the only way in which the readers of Chat Completions, Responses and Gemini look at them. A reader does not know
where its object stands: `Wrong` is raised with the member's own name and collects the rest of the path on its way up, so
that a body without faults pays nothing for paths. Null counts as absent in the `optional_` ones.
"""

from __future__ import annotations

from bytespike.core.json_types import JSON, JSONObject


class Wrong(Exception):
    """A member that is missing, of a wrong type or of a wrong value."""

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.message = message
        self._path: list[str | int] = list(path)

    def under(self, *path: str | int) -> Wrong:
        """The same, one object further out. Gives itself back: `raise wrong.under("messages", 3) from None`."""
        self._path[:0] = path
        return self

    @property
    def param(self) -> str | None:
        """The path as OpenAI and Google spell it: "messages[0].content[1].text"."""
        text = ""
        for step in self._path:
            if isinstance(step, int):
                text += f"[{step}]"
            else:
                text += f".{step}" if text else step
        return text or None

    @property
    def sentence(self) -> str:
        param = self.param
        return f"'{param}' {self.message}." if param else f"The body {self.message}."


def kind_of(value: JSON) -> str:
    """The JSON name of a value's type, for messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def _mismatch(wanted: str, value: JSON, key: str) -> Wrong:
    return Wrong(f"must be {wanted}, not {kind_of(value)}", key)


def missing(key: str) -> Wrong:
    return Wrong("is required", key)


def optional_text(obj: JSONObject, key: str) -> str | None:
    value = obj.get(key)
    if value is None or isinstance(value, str):
        return value
    raise _mismatch("a string", value, key)


def text(obj: JSONObject, key: str) -> str:
    value = obj.get(key)
    if isinstance(value, str):
        return value
    raise _mismatch("a string", value, key) if key in obj else missing(key)


def some_text(obj: JSONObject, key: str) -> str:
    """Text that is not empty: the name of what is called."""
    value = text(obj, key)
    if not value:
        raise Wrong("must not be empty", key)
    return value


def optional_flag(obj: JSONObject, key: str) -> bool | None:
    value = obj.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise _mismatch("a boolean", value, key)


def optional_integer(
    obj: JSONObject, key: str, *, least: int | None = None, most: int | None = None
) -> int | None:
    """`least` and `most` are allowed values. A float without a fraction counts as an integer (so does proto3 JSON)."""
    value = obj.get(key)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _mismatch("an integer", value, key)
    if least is not None and value < least:
        raise Wrong(f"must be at least {least}", key)
    if most is not None and value > most:
        raise Wrong(f"must be at most {most}", key)
    return value


def optional_number(obj: JSONObject, key: str) -> float | None:
    value = obj.get(key)
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise _mismatch("a number", value, key)


def optional_object(obj: JSONObject, key: str) -> JSONObject | None:
    value = obj.get(key)
    if value is None or isinstance(value, dict):
        return value
    raise _mismatch("an object", value, key)


def object_at(obj: JSONObject, key: str) -> JSONObject:
    value = obj.get(key)
    if isinstance(value, dict):
        return value
    raise _mismatch("an object", value, key) if key in obj else missing(key)


def optional_array(obj: JSONObject, key: str) -> list[JSON] | None:
    value = obj.get(key)
    if value is None or isinstance(value, list):
        return value
    raise _mismatch("an array", value, key)


def array_at(obj: JSONObject, key: str) -> list[JSON]:
    value = obj.get(key)
    if isinstance(value, list):
        return value
    raise _mismatch("an array", value, key) if key in obj else missing(key)


def objects(values: list[JSON], key: str) -> list[JSONObject]:
    """The members of an array that must all be objects; `key` is the array's name."""
    found: list[JSONObject] = []
    for index, value in enumerate(values):
        if not isinstance(value, dict):
            raise Wrong(f"must be an object, not {kind_of(value)}", key, index)
        found.append(value)
    return found


def texts(obj: JSONObject, key: str) -> tuple[str, ...]:
    """An array of strings; empty where it is absent."""
    found: list[str] = []
    for index, value in enumerate(optional_array(obj, key) or []):
        if not isinstance(value, str):
            raise Wrong(f"must be a string, not {kind_of(value)}", key, index)
        found.append(value)
    return tuple(found)


def rest(obj: JSONObject, known: frozenset[str]) -> JSONObject:
    """The members that the reader does not know. Mostly there are none, which is seen without a look at each."""
    if known.issuperset(obj):
        return {}
    return {key: value for key, value in obj.items() if key not in known}
