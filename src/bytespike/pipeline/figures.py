"""The figures that the ledger and the upstream client have of themselves, as metrics (`observe.families.READ`)."""

from __future__ import annotations

from collections.abc import Iterator

from bytespike.ledger.ledger import Ledger
from bytespike.observe.metrics import few_origins
from bytespike.observe.shelf import Reading
from bytespike.upstream.client import Client


def figures_of_ledger(ledger: Ledger) -> Iterator[Reading]:
    """Holds, spool and leases, now and since the start."""
    stats = ledger.stats()
    for name, value in (
        ("holds_open", stats.open_holds),
        ("held_credits", stats.held),
        ("holds_expired", stats.expired),
        ("receipts_posted", stats.posted),
        ("holds_voided", stats.voided),
        ("spool_records", stats.spool_records),
        ("spool_bytes", stats.spool_bytes),
        ("spool_lag_seconds", stats.drain_lag_ms / 1000),
        ("spool_set_aside", stats.set_aside),
        ("drain_failures", stats.drain_failures),
        ("leases_borrowed", stats.borrowings),
        ("spends_alone", stats.alone),
    ):
        yield Reading(name, (), value)


def figures_of_pool(upstream: Client) -> Iterator[Reading]:
    """Connections, by upstream address and state."""
    stats = upstream.stats()
    states = [
        (each.origin.authority, (state,), count)
        for each in stats.origins
        for state, count in (("idle", each.idle), ("in_use", each.in_use), ("connecting", each.connecting))
    ]
    yield from few_origins("upstream_connections", states)
    yield from few_origins(
        "upstream_requests_waiting", ((each.origin.authority, (), each.waiting) for each in stats.origins)
    )
    for name, value in (
        ("upstream_connections_opened", stats.opened),
        ("upstream_connections_reused", stats.reused),
        ("upstream_stale_retries", stats.stale_retries),
    ):
        yield Reading(name, (), value)
