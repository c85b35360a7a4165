"""Deletes objects whose time is over, in every process that serves; whoever comes first does it."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bytespike.media.objects.backends import StoreUnavailable
from bytespike.media.objects.store import ObjectStore

log = structlog.get_logger("bytespike.media")

SWEEP_SECONDS: Final = 60.0
#: Deleted in one go; a full batch is followed by the next at once.
BATCH: Final = 200


async def sweep(store: ObjectStore, pause_s: float = SWEEP_SECONDS) -> None:
    """Until cancelled."""
    while True:
        deleted = BATCH
        try:
            while deleted == BATCH:
                deleted = await store.delete_expired(BATCH)
        except (StoreUnavailable, SQLAlchemyError, OSError) as error:
            log.warning("expired objects cannot be deleted, trying again", error=str(error)[:200])
        await asyncio.sleep(pause_s)
