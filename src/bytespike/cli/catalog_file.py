"""The operator's catalog file on its way into the database: at a start, and by `bytespike models load`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import structlog

from bytespike.accounts import models as service
from bytespike.accounts.models import Loaded
from bytespike.catalog.file import FILE_BYTES_MAX, CatalogFile, CatalogFileError, read_catalog_file
from bytespike.catalog.models import Model
from bytespike.cli.desk import Desk, open_desk
from bytespike.errors import InvalidRequest
from bytespike.settings import Settings

log = structlog.get_logger("bytespike.catalog")

#: In the data directory, where no setting names another file.
FILE_NAME = "catalog.toml"
#: Who the audit log says it was, when a gateway starts.
STARTING = "serve"


async def load_standing_file(settings: Settings, given: Mapping[str, object]) -> None:
    """Load the file that the settings name, or that is in the data directory, if there is one. `given`: values of the
    command line, as for `open_desk`.

    Raises CatalogFileError, and what `open_desk` raises.
    """
    path = standing_file(settings)
    if path is None:
        return
    async with open_desk(given, first_run=True) as desk:
        file = read_file(path, desk.shipped.models)
        try:
            changes = await loaded(desk, file, STARTING)
        except InvalidRequest:
            # Another gateway that starts at this moment loads the same: what it has loaded is there now.
            changes = await loaded(desk, file, STARTING)
    log.info(
        "catalog.loaded",
        file=str(path),
        added=len(changes.added),
        changed=len(changes.changed),
        removed=len(changes.removed),
        aliases_added=len(changes.aliases_added),
        aliases_removed=len(changes.aliases_removed),
    )


def standing_file(settings: Settings) -> Path | None:
    """The file that a start loads; None: there is none. Raises `CatalogFileError`: a setting names one that is not
    there."""
    if settings.catalog_file is not None:
        path = settings.catalog_file.expanduser().absolute()
        if not path.is_file():
            raise CatalogFileError((f"catalog_file: {str(path)!r} is not a file",))
        return path
    path = settings.data_dir / FILE_NAME
    return path if path.is_file() else None


def read_file(path: Path, shipped: Mapping[str, Model]) -> CatalogFile:
    """Raises: CatalogFileError, OSError."""
    with path.open("rb") as opened:
        read = opened.read(FILE_BYTES_MAX + 1)
    if len(read) > FILE_BYTES_MAX:
        raise CatalogFileError((f"{path}: longer than {FILE_BYTES_MAX} bytes",))
    try:
        text = read.decode("utf-8")
    except UnicodeDecodeError:
        raise CatalogFileError((f"{path}: not UTF-8",)) from None
    return read_catalog_file(str(path), text, shipped)


async def loaded(desk: Desk, file: CatalogFile, actor: str | None = None) -> Loaded:
    """What the file changed, in one transaction. Raises `CatalogFileError`."""
    async with desk.writing(actor) as write:
        return await service.load(write, file, desk.shipped)
