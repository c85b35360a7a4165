"""PostgreSQL taken away from running gateways under load, and given back: no request fails for it, and no row is missing.

`OUTAGE_SECONDS` says for how long; a minute by hand, less where it runs with all the others.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import outages, postgres
from tests.support.outage_load import no_request_fails_and_no_row_is_missing
from tests.support.outages import Outage
from tests.support.postgres import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not postgres.installed(), reason="PostgreSQL is not installed"),
]


@pytest.mark.parametrize(
    "outage_of",
    [outages.tables_locked, outages.server_frozen, outages.server_full, outages.server_stopped],
    ids=["locked", "frozen", "disk full", "stopped and started"],
)
def test_without_the_database_no_request_fails_and_no_row_is_missing(
    tmp_path: Path, outage_of: Callable[[Server], Outage]
) -> None:
    with postgres.server("--wal-segsize=1") as server:
        no_request_fails_and_no_row_is_missing(tmp_path, server.url, outage_of(server))
