"""An account's requests in flight follow its tier, unless they are set."""

from __future__ import annotations

import pytest

from bytespike.accounts.directory import key_record
from bytespike.store.keys import KeyAndOwner


def row(tier: str, concurrency: int | None = None, rpm: int | None = None) -> KeyAndOwner:
    return KeyAndOwner(
        id="key_1",
        name="k",
        masked="",
        user_id="u1",
        org_id=None,
        group_id=1,
        quota=0,
        limit_5h=0,
        limit_1d=0,
        limit_7d=0,
        ip_whitelist=(),
        ip_blacklist=(),
        allowed_models=None,
        status="active",
        expires_at=None,
        spent=0,
        created_at=0,
        hash="h",
        owner_status="active",
        tier=tier,
        concurrency=concurrency,
        rpm=rpm,
        org_status=None,
    )


@pytest.mark.parametrize(
    ("tier", "in_flight"), [("free", 5), ("pro", 25), ("max", 100), ("enterprise", 1000)]
)
def test_each_tier_has_its_requests_in_flight(tier: str, in_flight: int) -> None:
    assert key_record(row(tier)).concurrency == in_flight


def test_what_is_set_on_the_user_goes_before_the_tier() -> None:
    record = key_record(row("free", concurrency=7, rpm=30))
    assert (record.concurrency, record.rpm) == (7, 30)


def test_a_tier_that_is_not_known_is_the_least() -> None:
    assert key_record(row("gold")).concurrency == 5
