"""http/moments.py: one form for every time that is shown."""

import re
from pathlib import Path

import bytespike.http.moments
from bytespike.http.moments import moment

PACKAGE = Path(bytespike.http.moments.__file__).parents[1]


def test_a_moment_is_utc_with_milliseconds_and_a_z() -> None:
    assert moment(1_795_276_740_123_999) == "2026-11-21T15:59:00.123Z"
    assert moment(0) == "1970-01-01T00:00:00.000Z"


def test_nothing_else_at_the_edges_writes_times_with_an_offset() -> None:
    for path in (*(PACKAGE / "http").rglob("*.py"), *(PACKAGE / "cli").rglob("*.py")):
        assert not re.search(r"\.isoformat\(", path.read_text("utf-8")), path
