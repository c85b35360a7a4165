"""What marks a conversation, so that each of its turns reaches the channel whose prompt cache has the turns before.

In this order: `prompt_cache_key` (OpenAI's own word for it), the end user (`metadata.user_id` of Anthropic's dialect, where
Claude Code puts its session; `safety_identifier` or `user` of OpenAI's), a header with the client's session, and else the
start of the prompt, which later turns repeat.

The start of the prompt is what stands before the messages (system and tools, where the client writes them there), and
the messages up to the first of the user's. It is looked for in the raw bytes, because it must not cost what reading half
a megabyte costs: a few searches in C and a look at `START_BYTES` of text. JSON in which these bytes mean something else
leads to another mark, which is at worst a cold cache. A mark is always hashed together with whose it is and which model
is asked: no tenant's conversation ever follows another's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from bytespike.core.dialect import Peek

#: Headers in which clients name their session, as they have been seen to: Claude Code; Codex; opencode; others.
SESSION_HEADERS: Final = (
    b"x-claude-code-session-id",
    b"session_id",
    b"session-id",
    b"conversation_id",
    b"thread-id",
    b"x-session-id",
    b"x-session-affinity",
)
#: Of a name that a client gives: more is cut off.
NAME_CHARS_MAX = 1_024
#: How much of the first user's message, and of the system prompt and the tools each, goes into a mark.
START_BYTES = 1_024
#: The messages begin within so much of a body, or are not looked at.
SEARCHED_BYTES_MAX = 256 * 1024

#: By dialect: the member that holds the turns, and those that are the same in each turn.
_MEMBERS: Final[Mapping[str, tuple[bytes, tuple[bytes, ...]]]] = {
    "anthropic_messages": (b'"messages"', (b'"system"', b'"tools"')),
    "openai_chat": (b'"messages"', (b'"tools"',)),
    "openai_responses": (b'"input"', (b'"instructions"', b'"tools"')),
    "gemini": (b'"contents"', (b'"systemInstruction"', b'"system_instruction"', b'"tools"')),
}
_TURNS: Final = re.compile(rb"\s*:\s*([\[\"])")
_FIXED: Final = re.compile(rb"\s*:\s*([\[\"{])")
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\]]', re.DOTALL)
_USER: Final = re.compile(rb'"role"\s*:\s*"user"')
_HAS_ROLE: Final = b'"role"'
#: Clients move these marks along with the newest turn.
_CACHE_CONTROL: Final = re.compile(rb',?\s*"cache_control"\s*:\s*\{[^{}]*\}')
_CACHE_KEY: Final = b'"cache_control"'


def mark(
    tenant: str, model: str, dialect: str, headers: Mapping[bytes, bytes], peek: Peek, body: bytes
) -> int:
    """The conversation's mark: 64 bits, the same in every process. `tenant`: who pays; `model`: the catalog's slug."""
    kind, name = _named(headers, peek)
    hashed = blake2b(b"%b\0%b\0%b\0" % (tenant.encode(), model.encode(), kind), digest_size=8)
    if kind:
        hashed.update(name)
    else:
        for piece in start_of(body, dialect):
            hashed.update(piece)
    return int.from_bytes(hashed.digest(), "little")


def _named(headers: Mapping[bytes, bytes], peek: Peek) -> tuple[bytes, bytes]:
    """What the client itself calls the conversation, and where; both empty if it does not."""
    if peek.prompt_cache_key:
        return b"key", peek.prompt_cache_key[:NAME_CHARS_MAX].encode("utf-8", "replace")
    if peek.end_user:
        return b"user", peek.end_user[:NAME_CHARS_MAX].encode("utf-8", "replace")
    for header in SESSION_HEADERS:
        value = headers.get(header)
        if value:
            return b"session", value[:NAME_CHARS_MAX]
    return b"", b""


def start_of(body: bytes, dialect: str) -> list[bytes]:
    """The parts of a body that are the same in every turn of a conversation, each cut to `START_BYTES`."""
    turns, fixed = _MEMBERS[dialect]
    begin = _value_at(body, turns, _TURNS, SEARCHED_BYTES_MAX)
    end = SEARCHED_BYTES_MAX if begin < 0 else begin
    # Only what stands before the turns: what stands behind them moves away as they grow.
    pieces = [
        body[at : min(at + START_BYTES, end)]
        for name in fixed
        if (at := _value_at(body, name, _FIXED, end)) >= 0
    ]
    if begin >= 0:
        pieces.append(_first_turn(body, begin))
    return [_CACHE_CONTROL.sub(b"", piece) if _CACHE_KEY in piece else piece for piece in pieces]


def _value_at(body: bytes, name: bytes, value_begins: re.Pattern[bytes], end: int) -> int:
    """Where the value of that member begins; -1: not before `end`. In text a quote has a backslash before it, so that a
    name in quotes is a name, of this member or of one like it deeper inside."""
    at = body.find(name, 0, end)
    while at >= 0:
        value = value_begins.match(body, at + len(name))
        if value is not None:
            return value.start(1)
        at = body.find(name, at + 1, end)
    return -1


def _first_turn(body: bytes, begin: int) -> bytes:
    """From where the turns begin to the end of the user's first; cut to `START_BYTES`."""
    window = body[begin : begin + START_BYTES]
    depth = 0
    opened = 0
    for token in _TOKEN.finditer(window):
        sign = window[token.start()]
        if sign in b"{[":
            depth += 1
            if depth == 2:
                opened = token.start()
        elif sign in b"}]":
            depth -= 1
            if depth == 1 and _is_users(window[opened : token.end()]):
                return window[: token.end()]
            if depth == 0:
                return window[: token.start()]
        elif depth == 0:
            # The whole prompt is one text.
            return window[: token.end()]
    return window


def _is_users(turn: bytes) -> bool:
    """Gemini's first turn may leave its role out: then it is the user's."""
    return _USER.search(turn) is not None or _HAS_ROLE not in turn
