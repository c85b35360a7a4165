"""The time that is asked for: `since` (included) and `until` (excluded), in ISO 8601; without a zone they are UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from fastapi import Query

Moment: TypeAlias = Annotated[datetime | None, Query(description="ISO 8601; without a zone, UTC")]


def micros(moment: datetime | None) -> int | None:
    """Unix microseconds; None as it is."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
