"""One page of a list that may be too long to count."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from bytespike.core.json_types import JSON, JSONObject
from bytespike.http.management.deps import Paging
from bytespike.wire.json import encode


def page_response(items: Sequence[JSON], total: int, paging: Paging, *, total_is_exact: bool) -> Response:
    """`total`: of all pages; at least so many where `total_is_exact` is false."""
    body: JSONObject = {
        "items": [*items],
        "total": total,
        "total_is_exact": total_is_exact,
        "page": paging.page,
        "page_size": paging.page_size,
    }
    return Response(encode(body), media_type="application/json")
