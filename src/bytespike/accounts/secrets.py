"""Secrets at rest.

A sealed secret is one version byte, a random 96-bit nonce and AES-256-GCM's ciphertext with its tag. The associated
data is the secret's place (`table.column:row`), so a ciphertext that is copied to another row or column does not open.
Random nonces are safe for 2^32 secrets under one key; a gateway seals a few for each key and channel.

Keys for other purposes are derived from the master key with HKDF-SHA256 (RFC 5869), one for each purpose, so that none of
them tells anything about another.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"


class SecretUnreadable(Exception):
    """A sealed secret does not open here: another master key, another place, or damage. Says where, never what."""


class Place(Struct, frozen=True):
    """Where a sealed secret lives."""

    table: str
    column: str
    row: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}:{self.row}"


class SecretBox:
    """Seals and opens secrets with the master key. Neither its repr nor its errors show a key or a secret."""

    __slots__ = ("_cipher", "_master_key")

    def __init__(self, master_key: bytes) -> None:
        """`master_key`: 32 bytes. Raises `ValueError` for another length."""
        if len(master_key) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes")
        self._cipher = AESGCM(master_key)
        self._master_key = master_key

    def __repr__(self) -> str:
        return "SecretBox()"

    def seal(self, plaintext: str, place: Place) -> bytes:
        """The bytes to store at `place`: different every time."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext.encode(), str(place).encode())

    def open(self, sealed: bytes, place: Place) -> str:
        """The plaintext of what `seal` gave for the same place. Raises `SecretUnreadable`."""
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
            raise SecretUnreadable(f"{place}: not a sealed secret")
        try:
            return self._cipher.decrypt(nonce, ciphertext, str(place).encode()).decode()
        except InvalidTag:
            raise SecretUnreadable(f"{place}: it does not open with this master key") from None

    def derived(self, purpose: str) -> bytes:
        """32 bytes for this purpose and no other, the same for every process of an installation."""
        info = f"bytespike: {purpose}".encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._master_key)
