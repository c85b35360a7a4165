"""GET /me/usage: what the caller's requests add up to, by hour, day, model, key or protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Annotated, cast, get_args

from fastapi import APIRouter, Query
from starlette.responses import Response

from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import InvalidRequest
from bytespike.http.management.deps import CallerParam, DepsParam
from bytespike.http.management.money_views import RollupView, answers
from bytespike.http.management.period import Moment, micros
from bytespike.http.management.spreadsheet import FormatParam, csv_response
from bytespike.http.moments import moment
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.rollups import DAY_US, Group, Grouping, Sums, Wanted, summed, total
from bytespike.ledger.windows import HOUR_US
from bytespike.wire.json import encode

router = APIRouter(tags=["me"])

#: What is added up where no time is given.
DAYS = 30
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
_FIELDS: Mapping[Grouping, str] = {
    "hour": "hour",
    "day": "day",
    "model": "model",
    "api_key": "api_key_id",
    "protocol": "protocol",
}


@router.get("/me/usage", response_model=None, responses=answers(RollupView))
async def sums(
    caller: CallerParam,
    deps: DepsParam,
    format: FormatParam,
    since: Moment = None,
    until: Moment = None,
    group_by: Annotated[list[str] | None, Query(description=f"{', '.join(GROUPINGS)}; combinable")] = None,
    model: Annotated[str | None, Query(max_length=200)] = None,
    api_key_id: Annotated[str | None, Query(max_length=100)] = None,
    protocol: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Full hours are counted: `since` is rounded down to one, `until` up, and the answer says what they came to. Without
    them the last 30 days. Days are those of UTC."""
    groups = groupings(group_by or ())
    end = micros(until)
    end = deps.control.clock.now_us() if end is None else end
    begin = micros(since)
    begin = end - DAYS * DAY_US if begin is None else begin
    wanted = Wanted(
        user_id=caller.user.id,
        since=begin // HOUR_US * HOUR_US,
        until=-(-end // HOUR_US) * HOUR_US,
        model=None if model is None else deps.parts.catalog.current.resolve(model).model.slug,
        key_id=api_key_id,
        protocol=protocol,
    )
    found = await summed(deps.control.engine, wanted, groups)
    if format == "csv":
        columns = [*(_FIELDS[name] for name in groups), *shown_sums(Sums())]
        return csv_response("usage-sums", columns, _once(shown(each, groups) for each in found))
    items: list[JSON] = [shown(each, groups) for each in found]
    body: JSONObject = {
        "items": items,
        "total": len(items),
        "sum": shown_sums(total(found)),
        "group_by": [*groups],
        "since": moment(wanted.since),
        "until": moment(wanted.until),
        "time_zone": "UTC",
        "currency": "USD",
    }
    # Thousands of rows: nothing is to be gained from checking them against a model of themselves.
    return Response(encode(body), media_type="application/json")


def groupings(given: Iterable[str]) -> tuple[Grouping, ...]:
    """Names from one or several parameters, with or without commas. Raises `InvalidRequest`."""
    names = [name.strip() for each in given for name in each.split(",")]
    for name in names:
        if name not in GROUPINGS:
            raise InvalidRequest(f"{name[:40]!r} is not one of {', '.join(GROUPINGS)}", param="group_by")
    return cast("tuple[Grouping, ...]", tuple(name for name in GROUPINGS if name in names))


def shown(group: Group, groups: Iterable[Grouping]) -> JSONObject:
    """One group: what it was grouped by, and its sums."""
    start = None if group.start is None else moment(group.start)
    values: Mapping[Grouping, JSON] = {
        "hour": start,
        "day": None if start is None else start[:10],
        "model": group.model,
        "api_key": group.api_key,
        "protocol": group.protocol,
    }
    return {**{_FIELDS[name]: values[name] for name in groups}, **shown_sums(group.sums)}


def shown_sums(sums: Sums) -> JSONObject:
    """Counts, and credits in USD as text."""
    return {**sums._asdict(), "credits": format_usd(sums.credits)}


async def _once(rows: Iterable[JSONObject]) -> AsyncIterator[Iterable[JSONObject]]:
    yield rows
