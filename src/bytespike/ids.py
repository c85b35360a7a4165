"""Identifiers: sortable by time, unguessable where that matters."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _CROCKFORD for b in _CROCKFORD]

KEY_PREFIX = "sk-byts-"
_KEY_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY_RANDOM_CHARS = 40

NewId = Callable[[], str]


def ulid() -> str:
    """A ULID: 48 bits of Unix milliseconds and 80 random bits, 26 characters of Crockford base 32."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    pairs = _PAIRS
    return "".join([pairs[value >> shift & 1023] for shift in range(120, -1, -10)])


def request_id() -> str:
    """The id under which usage rows and logs show one request."""
    return "req_" + ulid()


def api_key() -> str:
    """A new key's plaintext: the prefix and 40 random characters (238 bits)."""
    return KEY_PREFIX + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(_KEY_RANDOM_CHARS))
