"""Aliases that the operator sets: other names for the catalog's models."""

from __future__ import annotations

from bytespike.accounts.control import Write
from bytespike.catalog.file import check_pattern
from bytespike.catalog.load import Alias
from bytespike.errors import InvalidRequest, NotFound
from bytespike.store import aliases
from bytespike.store.aliases import AliasRow, Source


async def add(write: Write, alias: Alias, source: Source = "command") -> None:
    """Resolve every name that fits the pattern (exact, or a glob with * and ?) to the model, a catalog slug.

    Raises `InvalidRequest`: the pattern is wrong or taken.
    """
    problem = check_pattern(alias.pattern)
    if problem is not None:
        raise InvalidRequest(problem, param="pattern")
    await aliases.add(
        write.connection,
        AliasRow(alias.pattern, alias.model, write.now_us, alias.thinking, alias.substitute, source),
    )
    await write.note("aliases.add", alias.pattern, "alias", ref=alias.model, model=alias.model)


async def remove(write: Write, pattern: str) -> None:
    """Raises: NotFound, InvalidRequest (it is the catalog file's)."""
    row = await aliases.get(write.connection, pattern)
    if row is None:
        raise NotFound(f"there is no alias {pattern!r}")
    if row.source == "file":
        raise InvalidRequest(
            f"the alias {pattern!r} is the catalog file's: take it out there, and load the file",
            param="pattern",
        )
    await drop(write, row)


async def drop(write: Write, row: AliasRow) -> None:
    """Take an alias away, whoever set it."""
    await aliases.remove(write.connection, row.pattern)
    await write.note("aliases.remove", row.pattern, "alias", ref=row.model)
