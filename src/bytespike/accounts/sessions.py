"""Console sessions: an email and a password against a cookie's value, of which only the hash is stored."""

from __future__ import annotations

import secrets

from msgspec import Struct

from bytespike.accounts.control import Control
from bytespike.accounts.key_hash import hash_key
from bytespike.accounts.passwords import verify_password
from bytespike.errors import InvalidKey
from bytespike.store import sessions, users
from bytespike.store.sessions import SessionRow
from bytespike.store.users import UserRow

_TOKEN_BYTES = 32
_HOUR_US = 3_600 * 1_000_000


class Session(Struct, frozen=True):
    """`token` is the cookie's value: its repr hides it. `expires_at`: Unix microseconds."""

    user: UserRow
    token: str
    expires_at: int

    def __repr__(self) -> str:
        return f"Session(user={self.user.id!r})"


async def login(control: Control, email: str, password: str, *, hours: int) -> Session:
    """Raises `InvalidKey`, with the same words and after the same time whatever it was that did not fit."""
    async with control.reading() as connection:
        user = await users.by_email(connection, email.strip().lower())
        stored = None if user is None else await users.password_hash(connection, user.id)
    # The hash is checked outside of any transaction: it takes a while, on purpose.
    fits = await verify_password(stored, password)
    if not fits or user is None or user.status != "active":
        raise InvalidKey("the email or the password is wrong")
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    async with control.writing(f"user:{user.id}") as write:
        row = SessionRow(hash_key(token), user.id, write.now_us, write.now_us + hours * _HOUR_US)
        await sessions.add(write.connection, row)
        await write.note("sessions.login", user.id, None)
    return Session(user, token, row.expires_at)


async def user_of(control: Control, token: str) -> UserRow | None:
    """Whose session this is; None where it is unknown or over, or the user is disabled."""
    async with control.reading() as connection:
        row = await sessions.get(connection, hash_key(token))
        if row is None or row.expires_at <= control.clock.now_us():
            return None
        user = await users.get(connection, row.user_id)
    return user if user is not None and user.status == "active" else None


async def logout(control: Control, token: str) -> None:
    async with control.writing("session") as write:
        await sessions.remove(write.connection, hash_key(token))
