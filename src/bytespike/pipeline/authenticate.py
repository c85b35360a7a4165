"""Who is calling, and may they?"""

from __future__ import annotations

from bytespike.accounts.key_hash import hash_key
from bytespike.accounts.records import KeyRecord
from bytespike.accounts.rules import check_key
from bytespike.errors import InvalidKey
from bytespike.ledger.account import KeyAccount
from bytespike.pipeline.parts import Parts

#: Longer than any key: not worth hashing.
SECRET_CHARS_MAX = 256


async def authenticate(parts: Parts, secret: str, client_ip: str) -> tuple[KeyRecord, KeyAccount]:
    """The caller's key and its account in the ledger.

    Keys are looked up by their SHA-256, so the time that a lookup takes tells nothing about any stored key.

    Raises: InvalidKey, PermissionDenied.
    """
    if not secret:
        raise InvalidKey(
            "no API key: send it as `x-api-key`, `Authorization: Bearer`, `x-goog-api-key` or `?key=`"
        )
    if len(secret) > SECRET_CHARS_MAX:
        raise InvalidKey("unknown API key")
    digest = hash_key(secret)
    key = parts.directory.get(digest)
    if key is None:
        key = await parts.directory.load(digest)
        if key is None:
            raise InvalidKey("unknown API key")
    check_key(key, parts.clock.now_us(), client_ip)
    account = parts.ledger.account(key)
    if account is None:
        account = await parts.ledger.open(key)
    return key, account
