"""Whether a conversation says a word: some APIs hold an answer to JSON only where the prompt speaks of JSON."""

from __future__ import annotations

from collections.abc import Iterable

from bytespike.core.content import Part, TextPart, ToolResultPart, Turn


def mentioned(word: str, parts: Iterable[Part]) -> bool:
    """`word` in lower case. Texts count, and those of tool results; in any case of letters."""
    for part in parts:
        if isinstance(part, TextPart):
            if word in part.text.lower():
                return True
        elif isinstance(part, ToolResultPart) and mentioned(word, part.content):
            return True
    return False


def mentioned_in_turns(word: str, turns: Iterable[Turn]) -> bool:
    return any(mentioned(word, turn.parts) for turn in turns)
