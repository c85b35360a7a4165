"""The operator's models: added, changed, removed one by one, or loaded from a catalog file.

The database holds them all, so that every gateway serves the same. A row belongs to the commands or to the file
(`source`). Loading a file makes what belongs to the file equal to what it says: it adds, changes and removes. A model
or an alias that a command made and that the file names too becomes the file's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import UNSET, Struct, structs
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts import aliases as alias_service
from bytespike.accounts.control import Write
from bytespike.catalog.definition import (
    ModelDefinition,
    WrongDefinition,
    build,
    check_apart,
    merged,
    read_stored,
    stored,
)
from bytespike.catalog.file import CatalogFile, CatalogFileError
from bytespike.catalog.load import Alias
from bytespike.catalog.models import Model
from bytespike.catalog.resolve import Catalog
from bytespike.errors import InvalidRequest, NotFound
from bytespike.store import aliases, models
from bytespike.store.aliases import AliasRow
from bytespike.store.models import ModelRow

#: The operator's models at most.
MODELS_MAX = 10_000

_US = 1_000_000


class Loaded(Struct, frozen=True):
    """What loading a file changed: slugs of models, patterns of aliases."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    aliases_added: tuple[str, ...]
    aliases_removed: tuple[str, ...]


async def add(write: Write, definition: ModelDefinition, shipped: Mapping[str, Model]) -> Model:
    """A new model. Raises `InvalidRequest`: a wrong field, or there is one of that slug."""
    if definition.slug in shipped:
        raise InvalidRequest(
            f"{definition.slug} is in the package's catalog: `bytespike models update` changes it",
            param="slug",
        )
    rows = await models.listing(write.connection)
    if len(rows) >= MODELS_MAX:
        raise InvalidRequest(f"there are {MODELS_MAX} models already", param="slug")
    now_us = write.now_us
    row = ModelRow(definition.slug, stored(definition), "command", now_us, now_us)
    model = _checked(definition, shipped, [each.slug for each in rows], now_us)
    await models.add(write.connection, row)
    await write.note("models.add", definition.slug, "model")
    return model


async def update(write: Write, changed: ModelDefinition, shipped: Mapping[str, Model]) -> Model:
    """A model of the operator's, or of the package's, with what `changed` gives. Raises: InvalidRequest, NotFound."""
    slug = changed.slug
    row = await models.get(write.connection, slug)
    if row is None and slug not in shipped:
        raise NotFound(f"there is no model {slug!r}")
    before = ModelDefinition(slug) if row is None else _own_row(row)
    definition = merged(before, changed)
    if definition == before:
        raise InvalidRequest("nothing to change was given")
    created_at = write.now_us if row is None else row.created_at
    model = _checked(definition, shipped, (), created_at)
    await models.put(
        write.connection, ModelRow(slug, stored(definition), "command", created_at, write.now_us)
    )
    await write.note("models.update", slug, "model", fields=", ".join(_fields(changed)))
    return model


async def remove(write: Write, slug: str) -> None:
    """The operator's model goes; one of the package's is again as the package has it. Raises: NotFound, InvalidRequest
    (it is the catalog file's)."""
    row = await models.get(write.connection, slug)
    if row is None:
        raise NotFound(f"there is no model {slug!r} of yours")
    _check_own(row)
    await _drop(write, slug)


async def load(write: Write, file: CatalogFile, shipped: Catalog) -> Loaded:
    """Make what belongs to the file equal to what it says. A file that is loaded again changes nothing.

    Raises `CatalogFileError`: with what is in the database it does not hold together.
    """
    connection = write.connection
    rows = {row.slug: row for row in await models.listing(connection)}
    alias_rows = {row.pattern: row for row in await aliases.listing(connection)}
    _check_together(file, shipped, rows)
    added: list[str] = []
    changed: list[str] = []
    for definition in file.models:
        row = rows.get(definition.slug)
        values = stored(definition)
        if row is not None and (row.definition, row.source) == (values, "file"):
            continue
        created_at = write.now_us if row is None else row.created_at
        await models.put(connection, ModelRow(definition.slug, values, "file", created_at, write.now_us))
        await write.note("models.load", definition.slug, "model", file=file.name)
        (added if row is None else changed).append(definition.slug)
    named = {definition.slug for definition in file.models}
    removed = [slug for slug, row in rows.items() if row.source == "file" and slug not in named]
    for slug in removed:
        await _drop(write, slug)
    aliases_added, aliases_removed = await _load_aliases(write, file, alias_rows)
    return Loaded(tuple(added), tuple(changed), tuple(removed), aliases_added, aliases_removed)


async def catalog_of(connection: AsyncConnection, shipped: Catalog) -> Catalog:
    """The package's catalog with the operator's models and aliases. Its `problems` tell what had to be left out."""
    own, problems = built(await models.listing(connection), shipped.models)
    own_aliases = [alias_of(row) for row in await aliases.listing(connection)]
    return shipped.with_overrides(own, own_aliases, problems)


def built(
    rows: Iterable[ModelRow], shipped: Mapping[str, Model]
) -> tuple[tuple[Model, ...], tuple[str, ...]]:
    """The models of the rows. A row that this version of the package cannot make a model of is left out: the second
    value says so, a sentence each."""
    found: list[Model] = []
    problems: list[str] = []
    for row in rows:
        try:
            check_apart(row.slug, shipped)
            found.append(build(read_stored(row.definition), shipped, row.created_at // _US))
        except WrongDefinition as error:
            problems.append(f"the model {row.slug} is left out: {error.field}: {error}")
        except msgspec.ValidationError as error:
            problems.append(f"the model {row.slug} is left out: {error}")
    return tuple(found), tuple(problems)


def alias_of(row: AliasRow) -> Alias:
    return Alias(row.pattern, row.model, row.thinking, row.substitute)


def _checked(
    definition: ModelDefinition, shipped: Mapping[str, Model], others: Iterable[str], now_us: int
) -> Model:
    try:
        check_apart(definition.slug, [*shipped, *others])
        return build(definition, shipped, now_us // _US)
    except WrongDefinition as error:
        raise InvalidRequest(str(error), param=error.field) from None


def _own_row(row: ModelRow) -> ModelDefinition:
    """Raises `InvalidRequest`: it is the catalog file's, or this version cannot read it."""
    _check_own(row)
    try:
        return read_stored(row.definition)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{row.slug} cannot be read: {error}; remove it", param="slug") from None


def _check_own(row: ModelRow) -> None:
    if row.source == "file":
        raise InvalidRequest(
            f"{row.slug} is the catalog file's: change it there, and load the file", param="slug"
        )


def _fields(definition: ModelDefinition) -> list[str]:
    return [
        name for name, value in structs.asdict(definition).items() if value is not UNSET and name != "slug"
    ]


async def _drop(write: Write, slug: str) -> None:
    await models.remove(write.connection, slug)
    await write.note("models.remove", slug, "model")


def _check_together(file: CatalogFile, shipped: Catalog, rows: Mapping[str, ModelRow]) -> None:
    """That the file's models and aliases stand beside those that commands made."""
    problems: list[str] = []
    kept = [row for row in rows.values() if row.source == "command"]
    for definition in file.models:
        try:
            check_apart(definition.slug, [row.slug for row in kept])
        except WrongDefinition as error:
            problems.append(f"{file.name}: {definition.slug}: {error.field}: {error}")
    own = {definition.slug: build(definition, shipped.models, 0) for definition in file.models}
    others = {model.slug: model for model in built(kept, shipped.models)[0]}
    catalog = shipped.with_overrides([*{**others, **own}.values()], file.aliases)
    for problem in catalog.problems:
        pattern = next((each for each in file.lines if f" {each} " in problem), None)
        where = f"{file.name}, line {file.lines[pattern]}" if pattern is not None else file.name
        problems.append(f"{where}: {problem}")
    if problems:
        raise CatalogFileError(tuple(problems))


async def _load_aliases(
    write: Write, file: CatalogFile, rows: Mapping[str, AliasRow]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    wanted = {alias.pattern: alias for alias in file.aliases}
    before = {pattern: row for pattern, row in rows.items() if row.source == "file" or pattern in wanted}
    same = {
        pattern
        for pattern, row in before.items()
        if row.source == "file" and wanted.get(pattern) == alias_of(row)
    }
    for pattern, row in before.items():
        if pattern not in same:
            await alias_service.drop(write, row)
    added = [pattern for pattern in wanted if pattern not in same]
    for pattern in added:
        await alias_service.add(write, wanted[pattern], "file")
    return tuple(added), tuple(sorted(before.keys() - wanted.keys()))
