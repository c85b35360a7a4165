"""Ids of function calls and of their results, where the wire has none.

Models up to Gemini 2.5 and many clients leave `id` out. Then a call is known by its place: the same history gives the
same ids in every turn. A result without an id answers the first open call of its name, or else the first open call.
"""

from __future__ import annotations

import hashlib
import re
from typing import Protocol

_PREFIX = "call_"
_DIGEST_CHARS = 20
_ANSWERS = re.compile(rf"{_PREFIX}[0-9a-f]{{{_DIGEST_CHARS}}}_[0-9]+")


class CallIds(Protocol):
    """How a reader names what comes without a name."""

    def call(self, told: str | None, name: str) -> str:
        """The id of the next call."""
        ...

    def result(self, told: str | None, name: str) -> str:
        """The id of the call that the next result answers."""
        ...


class HistoryIds:
    """For a request. `at` is set by the reader: the numbers of the content and of the part."""

    __slots__ = ("_made", "_open", "at")

    def __init__(self) -> None:
        self.at: tuple[int, int] = (0, 0)
        self._open: list[tuple[str, str]] = []
        self._made: set[str] = set()

    def call(self, told: str | None, name: str) -> str:
        call_id = told or self._own()
        if not told:
            self._made.add(call_id)
        self._open.append((call_id, name))
        return call_id

    def result(self, told: str | None, name: str) -> str:
        found = next((entry for entry in self._open if entry[0] == told), None) if told else None
        if found is None:
            # A client may have made up an id for a call that it got without one.
            candidates = [entry for entry in self._open if entry[0] in self._made] if told else self._open
            found = next((entry for entry in candidates if entry[1] == name), None)
            if found is None and not told:
                found = next(iter(candidates), None)
        if found is None:
            return told or self._own()
        self._open.remove(found)
        return found[0]

    def _own(self) -> str:
        return f"{_PREFIX}{self.at[0]}_{self.at[1]}"


def is_of_answer(call_id: str) -> bool:
    """Whether `AnswerIds` made the id: the call is a Google model's."""
    return _ANSWERS.fullmatch(call_id) is not None


class AnswerIds:
    """For one candidate of an answer: the same ids whether it is streamed or whole, others in every answer."""

    __slots__ = ("_candidate", "_count", "_response_id")

    def __init__(self, response_id: str, candidate: int) -> None:
        self._response_id = response_id
        self._candidate = candidate
        self._count = 0

    def _made(self, what: str) -> str:
        """Most answers need none."""
        text = f"{self._response_id}:{self._candidate}"
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        return f"{_PREFIX}{digest[:_DIGEST_CHARS]}_{what}"

    def call(self, told: str | None, name: str) -> str:
        del name
        number = self._count
        self._count += 1
        return told or self._made(str(number))

    def result(self, told: str | None, name: str) -> str:
        """An answer has no results of functions; one that comes all the same belongs to nothing."""
        del name
        return told or self._made("result")
