"""Arguments of a function call that arrive in pieces.

With `streamFunctionCallArguments` the service sends a call's name first and then its arguments by path:

    {"functionCall": {"name": "f", "willContinue": true}}
    {"functionCall": {"partialArgs": [{"jsonPath": "$.a[0].b", "stringValue": "x", "willContinue": true}], "willContinue": true}}
    {"functionCall": {"partialArgs": [{"jsonPath": "$.a[0].b", "stringValue": "y"}]}}

A piece with `willContinue` is followed by more of the same string (google-genai, PartialArg). Paths are RFC 9535 in its
simplest form: names and indices. An array grows by one at a time, so that no path can ask for a million entries.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.wire import fields as f
from bytespike.wire.limits import JSON_DEPTH_MAX

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
_ESCAPE: Final = re.compile(r"\\(.)")


class PartialArgs:
    """The arguments of one call, as far as they have come."""

    __slots__ = ("_continued", "value")

    def __init__(self) -> None:
        self.value: JSONObject = {}
        #: The path of the string that goes on.
        self._continued: str | None = None

    def add(self, pieces: list[JSON]) -> None:
        """The `partialArgs` of one chunk. Raises `Wrong`."""
        for index, piece in enumerate(f.objects(pieces, "partialArgs")):
            try:
                self._piece(piece)
            except f.Wrong as wrong:
                raise wrong.under("partialArgs", index) from None

    def _piece(self, piece: JSONObject) -> None:
        path = f.text(piece, "jsonPath")
        holder, key = self._holder(path)
        value = _value_of(piece)
        before = _member(holder, key)
        if self._continued == path and isinstance(before, str) and isinstance(value, str):
            value = before + value
        _put(holder, key, value)
        self._continued = path if f.optional_flag(piece, "willContinue") else None

    def _holder(self, path: str) -> tuple[dict[str, JSON] | list[JSON], str | int]:
        """The container that the path ends in, made where it is not there yet, and the last step."""
        steps = _steps(path)
        holder: dict[str, JSON] | list[JSON] = self.value
        for step, following in pairwise(steps):
            inner = _member(holder, step)
            if not isinstance(inner, (dict, list)):
                empty: list[JSON] | dict[str, JSON] = [] if isinstance(following, int) else {}
                _put(holder, step, empty)
                inner = empty
            holder = inner
        return holder, steps[-1]


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    at = 1
    while path.startswith("$") and at < len(path) and len(steps) < JSON_DEPTH_MAX:
        step = _STEP.match(path, at)
        if step is None:
            break
        name, index, single, double = step.groups()
        if index is not None:
            steps.append(int(index))
        elif name is not None:
            steps.append(name)
        else:
            steps.append(_ESCAPE.sub(r"\1", single if single is not None else double or ""))
        at = step.end()
    if not steps or at != len(path) or isinstance(steps[0], int):
        raise f.Wrong("must be a path such as $.name[0]", "jsonPath")
    return steps


def _member(holder: dict[str, JSON] | list[JSON], step: str | int) -> JSON:
    if isinstance(holder, list):
        return holder[step] if isinstance(step, int) and step < len(holder) else None
    return holder.get(str(step))


def _put(holder: dict[str, JSON] | list[JSON], step: str | int, value: JSON) -> None:
    if not isinstance(holder, list):
        holder[str(step)] = value
    elif isinstance(step, int) and step < len(holder):
        holder[step] = value
    elif step == len(holder):
        holder.append(value)
    else:
        raise f.Wrong("leaves a gap in an array", "jsonPath")


def _value_of(piece: JSONObject) -> JSON:
    for key in ("stringValue", "numberValue", "boolValue"):
        if key in piece:
            value = piece[key]
            # proto3 JSON writes a double; most numbers of arguments are integers.
            return int(value) if isinstance(value, float) and value.is_integer() else value
    return None
