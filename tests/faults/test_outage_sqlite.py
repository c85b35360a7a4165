"""SQLite taken away from running gateways under load, and given back: no request fails for it, and no row is missing.

`OUTAGE_SECONDS` says for how long; a minute by hand, less where it runs with all the others.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import outages
from tests.support.outage_load import no_request_fails_and_no_row_is_missing
from tests.support.outages import Outage

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "outage",
    [
        outages.sqlite_locked,
        outages.disk_full,
        outages.sqlite_file_moved,
        outages.sqlite_files_moved,
        outages.sqlite_copied_away_and_back,
    ],
    ids=["locked", "disk full", "file moved", "all its files moved", "copied away and back"],
)
def test_without_the_database_no_request_fails_and_no_row_is_missing(tmp_path: Path, outage: Outage) -> None:
    no_request_fails_and_no_row_is_missing(tmp_path, f"sqlite:///{tmp_path / 'bytespike.db'}", outage)
