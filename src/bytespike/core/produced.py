"""How much of an answer has gone by, where nobody counts tokens yet."""

from __future__ import annotations


def estimated_chars(text: str) -> int:
    """The characters of a piece of an answer as an estimate counts them, four to a token: those of Latin text as they
    are, those of other scripts by the bytes that they take (2.5 for Cyrillic or Arabic, 4 for Chinese, Japanese, Korean,
    5.5 for emoji), for today's tokenizers make about a token of each Chinese character. Cheap enough for every delta.
    """
    chars = len(text)
    if text.isascii():
        return chars
    return chars + (len(text.encode("utf-8", "surrogatepass")) - chars) * 3 // 2
