"""The steps of a scripted agent, as they are written.

    run COMMAND                   the rest of the step is the command line
    read FILE
    write FILE TEXT               the whole file: a JSON string, or the rest of the step as it stands
    edit FILE "OLD" "NEW"         one passage for another; with one text only, the whole file
    call TOOL {"name": "value"}   that tool, with just these arguments

A file's name with spaces in it is a JSON string.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias, get_args

import msgspec
from msgspec import Struct

Verb: TypeAlias = Literal["run", "read", "write", "edit", "call"]
VERBS: tuple[Verb, ...] = get_args(Verb)

_QUOTED = re.compile(r'\s*("(?:[^"\\]|\\.)*")', re.DOTALL)
_WORD = re.compile(r"\s*(\S+)")


class Unreadable(ValueError):
    """A step that says nothing that can be done. The message says why."""


class Step(Struct, frozen=True):
    """A step. `target`: the command, the file or the tool. `text`: what is to stand there afterwards, or a call's
    arguments. `old`: what stands there before, None for a whole file."""

    verb: Verb
    target: str
    text: str = ""
    old: str | None = None


def read_step(source: str) -> Step:
    """Raises `Unreadable`."""
    # A client may have put the prompt into JSON of its own.
    if '\\"' in source and '"' not in source.replace('\\"', ""):
        source = source.replace('\\"', '"')
    word, _, rest = source.strip().partition(" ")
    verb = next((verb for verb in VERBS if verb == word), None)
    rest = rest.strip()
    if verb is None:
        raise Unreadable(f"there is no step {word[:40]!r}; there are {', '.join(VERBS)}.")
    if not rest:
        raise Unreadable(f"{verb} needs to be told what.")
    if verb == "run":
        return Step(verb, rest)
    target, rest = _argument(rest)
    if verb == "read":
        return Step(verb, target)
    if verb == "call":
        return Step(verb, target, rest.strip() or "{}")
    return _change(target, rest, whole=verb == "write")


def _change(target: str, rest: str, *, whole: bool) -> Step:
    first = _QUOTED.match(rest)
    if first is None:
        return Step("write", target, rest.strip())
    text = _unquoted(first.group(1))
    second = _QUOTED.match(rest, first.end())
    if whole or second is None:
        return Step("write", target, text)
    return Step("edit", target, _unquoted(second.group(1)), old=text)


def _argument(rest: str) -> tuple[str, str]:
    quoted = _QUOTED.match(rest)
    if quoted is not None:
        return _unquoted(quoted.group(1)), rest[quoted.end() :]
    word = _WORD.match(rest)
    if word is None:
        raise Unreadable("a name is missing.")
    return word.group(1), rest[word.end() :]


def _unquoted(text: str) -> str:
    try:
        # A line break in a string is none of JSON's, but a user types it all the same.
        return msgspec.json.decode(text.replace("\n", "\\n"), type=str)
    except msgspec.DecodeError:
        raise Unreadable(f"{text[:40]} is not a JSON string.") from None
