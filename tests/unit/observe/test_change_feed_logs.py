"""A database that is gone is told once when it goes and once when it is back, not at every look."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from bytespike.accounts import directory
from bytespike.accounts.directory import Directory


class Feed(Directory):
    """A feed whose looks come to what it was given, in turn; then it is over."""

    def __init__(self, looks: list[Exception | None]) -> None:
        self._looks = looks
        self._next_price_at = None
        self._poll_s = 0.0

    async def poll(self) -> None:
        if not self._looks:
            raise asyncio.CancelledError
        outcome = self._looks.pop(0)
        if outcome is not None:
            raise outcome


def told(monkeypatch: pytest.MonkeyPatch, looks: list[Exception | None]) -> list[tuple[str, str, str]]:
    """Level, event, and the error's kind of what was logged."""
    monkeypatch.setattr(directory, "RETRY_S", 0.0)

    async def follow() -> None:
        with pytest.raises(asyncio.CancelledError):
            await Feed(looks).run()

    with capture_logs() as events:
        asyncio.run(follow())
    return [(each["log_level"], each["event"], each.get("error", "")) for each in events]


GONE = OSError("connection refused")
ALSO_GONE = OperationalError("SELECT 1", {}, Exception("server closed the connection"))


def test_an_outage_is_two_lines_however_long_it_is(monkeypatch: pytest.MonkeyPatch):
    assert told(monkeypatch, [None, GONE, GONE, ALSO_GONE, GONE, None, None]) == [
        ("error", "the change feed cannot be followed, trying again", "OSError"),
        ("info", "the change feed is followed again", ""),
    ]


def test_each_outage_is_told(monkeypatch: pytest.MonkeyPatch):
    assert len(told(monkeypatch, [GONE, None, GONE, GONE, None])) == 4


def test_a_fault_of_ours_is_told_with_all_there_is_to_know(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(directory, "RETRY_S", 0.0)
    with capture_logs() as events, pytest.raises(asyncio.CancelledError):
        asyncio.run(Feed([KeyError("x"), None]).run())
    assert isinstance(events[0]["exc_info"], KeyError)
