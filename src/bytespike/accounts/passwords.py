"""Passwords: hashed with argon2id, checked in a time that does not tell whether the user exists."""

from __future__ import annotations

import asyncio
import secrets
import string

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bytespike.errors import InvalidRequest

PASSWORD_CHARS_MIN = 10
#: Longer ones are refused before they are hashed: hashing is meant to be slow.
PASSWORD_CHARS_MAX = 256
_GENERATED_CHARS = 20
_ALPHABET = string.ascii_letters + string.digits

_hasher = PasswordHasher()
#: What a login for an unknown user is checked against, so that it takes as long as any other. Of no password.
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$eDKT2zTTFxnyid7520Y6WQ$7pevsYOIKLom6mzyB80ySaOqiREZ7WXkx5KOORyZCHQ"


def generate_password() -> str:
    """20 random letters and digits (119 bits)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_GENERATED_CHARS))


def check_password_rules(password: str) -> None:
    """Raises `InvalidRequest` for a password that is too short or too long."""
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise InvalidRequest(
            f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters", param="password"
        )


async def hash_password(password: str) -> str:
    """An argon2id hash in PHC form, of a password that the rules allow. About 50 ms of another thread's CPU, so it is
    made before a transaction is begun, not in it. Raises `InvalidRequest`."""
    check_password_rules(password)
    return await asyncio.to_thread(_hasher.hash, password)


async def verify_password(stored: str | None, password: str) -> bool:
    """Whether the password fits. `stored` None (no such user, or one without a password) takes as long and is False."""
    if len(password) > PASSWORD_CHARS_MAX:
        return False
    fits = await asyncio.to_thread(_verify, stored or NOBODY, password)
    return fits and stored is not None


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
