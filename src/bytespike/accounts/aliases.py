"""Aliases that the operator sets: other names for the catalog's models."""

from __future__ import annotations

import re

from bytespike.accounts.control import Write
from bytespike.errors import InvalidRequest, NotFound
from bytespike.store import aliases

#: An exact name or a glob; brackets and braces are not part of it.
_PATTERN = re.compile(r"[0-9A-Za-z._:/@*?-]{1,200}")


async def add(write: Write, pattern: str, model: str) -> None:
    """Resolve every name that fits `pattern` (exact, or a glob with * and ?) to `model`, a catalog slug.

    Raises `InvalidRequest`: the pattern is wrong or taken.
    """
    if not _PATTERN.fullmatch(pattern):
        raise InvalidRequest(
            "an alias is a model name, in which * and ? may stand for other characters", param="pattern"
        )
    if not pattern.strip("*?"):
        raise InvalidRequest("this alias would match every name", param="pattern")
    await aliases.add(write.connection, pattern=pattern, model=model, created_at=write.now_us)
    await write.note("aliases.add", pattern, "alias", ref=model, model=model)


async def remove(write: Write, pattern: str) -> None:
    """Raises `NotFound`."""
    if not await aliases.remove(write.connection, pattern):
        raise NotFound(f"there is no alias {pattern!r}")
    await write.note("aliases.remove", pattern, "alias", ref=pattern)
