"""How model names are compared.

People and clients write one name in many ways: `gpt-5.5`, `GPT-5-5`, `openai/gpt-5.5`, `models/gemini-2.5-pro`,
`claude-haiku-4-5@20251001`. Two forms take that away:

- the *dashed* form is lower case with one kind of separator: what globs are matched against;
- the *bare* form has no separators at all: what whole names are compared by, so that `sora-2` is `sora2`.
"""

from __future__ import annotations

import fnmatch
import re

#: A longer name is no model's name.
NAME_CHARS_MAX = 200

_DASHED = str.maketrans("._@", "---")
_BARE = str.maketrans("", "", "-._@")


def dashed(name: str) -> str:
    """Lower case, with dashes for dots, underscores and @."""
    return name.lower().translate(_DASHED)


def bare(name: str) -> str:
    """Lower case, without separators."""
    return name.lower().translate(_BARE)


def without_prefix(name: str, prefixes: frozenset[str]) -> str:
    """The name after any known vendor prefixes and path segments ("publishers/google/models/gemini-2.5-pro")."""
    while True:
        head, slash, rest = name.partition("/")
        if not slash or head.lower() not in prefixes:
            return name
        name = rest


def is_glob(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern


def glob(pattern: str) -> re.Pattern[str]:
    """A pattern with * and ?, against dashed names. However many stars it has, matching does not backtrack."""
    return re.compile(fnmatch.translate(dashed(pattern).replace("[", "[[]")))


def specificity(pattern: str) -> tuple[int, str]:
    """Sorts patterns so that the most specific comes first: the most literal characters, then by the alphabet."""
    return (-len(pattern.replace("*", "").replace("?", "")), pattern)
