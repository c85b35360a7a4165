"""Identifiers: sortable by time, unguessable where that matters."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _CROCKFORD for b in _CROCKFORD]
_SHIFTS = tuple(range(120, -1, -10))
_TIME_SHIFTS = (40, 30, 20, 10, 0)
_RANDOM_BYTES = 10
_RANDOM_CHARS = 16
_TIME_CHARS = 10
#: A random byte as a random character: five of its bits.
_CHARACTER_OF_BYTE = (_CROCKFORD * (256 // len(_CROCKFORD))).encode()
_REQUEST_IDS_AT_ONCE = 400

KEY_PREFIX = "sk-byts-"
_KEY_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY_RANDOM_CHARS = 40

NewId = Callable[[], str]


def ulid() -> str:
    """A ULID: 48 bits of Unix milliseconds and 80 random bits, 26 characters of Crockford base 32."""
    return _encoded((time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(_RANDOM_BYTES), "big"))


def ulid_floor(unix_ms: int) -> str:
    """The smallest ULID of that millisecond: all that were made before are smaller."""
    return _encoded(unix_ms << 80)


def ulid_ms(value: str) -> int | None:
    """When a ULID was made, Unix milliseconds; None for what is no ULID."""
    time_chars = value[:-_RANDOM_CHARS]
    if len(time_chars) != _TIME_CHARS or any(character not in _CROCKFORD for character in time_chars):
        return None
    milliseconds = 0
    for character in time_chars:
        milliseconds = milliseconds << 5 | _CROCKFORD.index(character)
    return milliseconds


def _encoded(value: int) -> str:
    pairs = _PAIRS
    return "".join([pairs[value >> shift & 1023] for shift in _SHIFTS])


def _time_chars(unix_ms: int) -> str:
    """The first ten characters: those that tell the time."""
    pairs = _PAIRS
    return "".join([pairs[unix_ms >> shift & 1023] for shift in _TIME_SHIFTS])


class RequestIds:
    """Makes the ids under which usage rows and logs show requests: `req_` and a ULID. It asks the system for
    randomness once for many; one for each process."""

    __slots__ = ("_at", "_head", "_head_ms", "_random")

    def __init__(self) -> None:
        self._random = ""
        self._at = 0
        self._head = ""
        self._head_ms = -1

    def __call__(self) -> str:
        now_ms = time.time_ns() // 1_000_000
        if now_ms != self._head_ms:
            self._head_ms = now_ms
            self._head = "req_" + _time_chars(now_ms)
        at = self._at
        if at >= len(self._random):
            random = os.urandom(_RANDOM_CHARS * _REQUEST_IDS_AT_ONCE)
            self._random = random.translate(_CHARACTER_OF_BYTE).decode()
            at = 0
        self._at = at + _RANDOM_CHARS
        return self._head + self._random[at : at + _RANDOM_CHARS]


def api_key() -> str:
    """A new key's plaintext: the prefix and 40 random characters (238 bits)."""
    return KEY_PREFIX + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(_KEY_RANDOM_CHARS))
