"""The hashes by which keys and session tokens are found."""

from __future__ import annotations

import hashlib


def hash_key(plaintext: str) -> str:
    """The SHA-256 of a key or session token, in hexadecimal: what it is stored and found by.

    Plain SHA-256 is enough because the plaintext has over 200 random bits; passwords go through argon2 instead.
    """
    return hashlib.sha256(plaintext.encode("utf-8", "surrogatepass")).hexdigest()
