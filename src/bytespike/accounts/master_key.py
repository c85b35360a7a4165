"""The master key: given by a setting, or kept in a file that only its owner may read.

The file is written whole under another name and then linked into place, so two processes that start at once agree on
one key, and a crash leaves none or all of it. The database holds a known text sealed with the key: another key is told
at boot, before anything is sealed with it; and when that text is there but the file is not, no new key is made.
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.accounts.secrets import KEY_BYTES, Place, SecretBox, SecretUnreadable
from bytespike.settings import Settings
from bytespike.settings.kinds import decode_key
from bytespike.store import meta

FILE_MODE = 0o600
_OTHERS = 0o077
_KNOWN_TEXT = "bytespike"
_PLACE = Place("meta", "value", meta.MASTER_KEY_CHECK)


class MasterKeyError(Exception):
    """The master key is missing, unsafe, damaged or another one. The message says what to do; no key is in it."""


async def open_box(engine: AsyncEngine, settings: Settings) -> SecretBox:
    """The box of this installation's master key, made if this is the first run. The schema must be in place.

    Raises `MasterKeyError`.
    """
    async with engine.begin() as connection:
        check = await meta.get(connection, meta.MASTER_KEY_CHECK)
        box = SecretBox(_given(settings) or _from_file(settings.master_key_file, first_run=check is None))
        if check is None:
            await meta.put(connection, meta.MASTER_KEY_CHECK, box.seal(_KNOWN_TEXT, _PLACE).hex())
        elif not _fits(box, check):
            raise MasterKeyError(
                "the master key is not the one that this database was made with; give the right one as "
                f"BYTESPIKE_MASTER_KEY or in {settings.master_key_file}"
            )
    return box


def _fits(box: SecretBox, check: str) -> bool:
    try:
        return box.open(bytes.fromhex(check), _PLACE) == _KNOWN_TEXT
    except (SecretUnreadable, ValueError):
        return False


def _given(settings: Settings) -> bytes | None:
    return None if settings.master_key is None else decode_key(settings.master_key)


def _from_file(path: Path, *, first_run: bool) -> bytes:
    if not path.exists():
        if not first_run:
            raise MasterKeyError(
                f"the master key {path} is missing, and this database was made with one; put it back, or give it as "
                "BYTESPIKE_MASTER_KEY"
            )
        create_private(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")
    text = read_private(path)
    try:
        key = decode_key(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise MasterKeyError(f"{path} does not hold a master key: expected 32 bytes in base64 or hexadecimal")
    return key


def read_private(path: Path) -> str:
    """A file that only its owner may read. Raises `MasterKeyError` where others may too."""
    with path.open(encoding="ascii", errors="replace") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & _OTHERS:
            raise MasterKeyError(
                f"{path} may be read by others (mode {mode & 0o777:04o}); run: chmod 600 {path}"
            )
        return file.read()


def create_private(path: Path, text: str) -> bool:
    """Make a file with this text, readable by its owner alone; whether it was made (False: it was there)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        return True
    finally:
        draft.unlink()
