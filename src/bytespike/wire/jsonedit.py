"""Replacing one top-level member of a JSON object, with every other byte as it was.

Passthrough sends the client's own bytes to the upstream, but the model's name differs. Decoding and re-encoding would
change spacing, number spelling, key order, duplicate keys and escapes; so the member's value is found and cut out.

The fast path looks for `"key" : value` by pattern: inside a JSON string the quotes would be escaped, so a match is a
real member, at some depth. Exactly one match is it. Several matches take the slow path, which walks the text and keeps
only those at depth one. The caller has already decoded the text, so it is known to be valid JSON.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Possessive: a string never matches in another way, so the engine need not remember each character of it.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]', re.DOTALL)
_SPACE = b" \t\r\n"


@lru_cache(maxsize=64)
def _member(key: str) -> tuple[bytes, re.Pattern[bytes]]:
    """A key as it stands in a body, and a member of that name whose value is a string."""
    quoted = b'"%b"' % key.encode()
    return quoted, re.compile(re.escape(quoted) + rb'\s*:\s*("(?:[^"\\]++|\\.)*+")', re.DOTALL)


def replace_string_member(body: bytes, key: str, value: bytes) -> bytes:
    """`body` with every top-level string member `key` set to `value` (JSON text, with its quotes).

    A body without such a member comes back as it was.
    """
    quoted, member = _member(key)
    at = body.find(quoted)
    if at >= 0 and body.find(quoted, at + len(quoted)) < 0 and not _could_be_escaped_key(body):
        # It stands there once: if a string follows, that is the member.
        only = member.match(body, at)
        if only is not None:
            view = memoryview(body)
            return b"".join((view[: only.start(1)], value, view[only.end(1) :]))
    matches = list(member.finditer(body))
    if not matches:
        # The key may be spelt with escapes ("mod\\u0065l"): only the walk sees that. Rare, so it is worth no regex.
        spans = _top_level_spans(body, key) if b"\\u" in body else []
    elif len(matches) == 1 and not _could_be_escaped_key(body):
        spans = [matches[0].span(1)]
    else:
        spans = _top_level_spans(body, key)
    for start, end in reversed(spans):
        # Through a view: slices of a large body would be copied twice.
        view = memoryview(body)
        body = b"".join((view[:start], value, view[end:]))
    return body


def _could_be_escaped_key(body: bytes) -> bool:
    # A second spelling of the key could hide behind an escape before a colon. Escapes of the characters that our keys
    # are made of (a to z and the underscore) start like this; others, of which some clients send thousands, do not.
    if b"\\u00" not in body or not any(escape in body for escape in (b"\\u006", b"\\u007", b"\\u005")):
        return False
    return _ESCAPED_KEY.search(body) is not None


_ESCAPED_KEY = re.compile(rb'[{,]\s*"[a-z_]*\\u00[0-9a-fA-F]{2}[^"]*"\s*:')


def _top_level_spans(body: bytes, key: str) -> list[tuple[int, int]]:
    """Where the string values of the top-level members called `key` stand."""
    wanted = key.encode()
    depth = 0
    expect_key = False
    current: bytes | None = None
    spans: list[tuple[int, int]] = []
    for token in _TOKEN.finditer(body):
        text = token.group()
        first = text[0]
        if first in b"{[":
            depth += 1
            expect_key = first == 0x7B
            current = None
        elif first in b"}]":
            depth -= 1
            current = None
        elif depth != 1:
            continue
        elif first == 0x2C:
            expect_key = True
            current = None
        elif first == 0x3A:
            expect_key = False
        elif expect_key:
            name = text[1:-1]
            current = _unescape(name) if b"\\" in name else name
        elif current == wanted:
            spans.append(token.span())
            current = None
    return spans


def _unescape(name: bytes) -> bytes:
    return re.sub(
        rb"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m.group(1), 16)).encode("utf-8", "surrogatepass"), name
    )
