"""What the ledger is doing, in figures."""

from __future__ import annotations

from msgspec import Struct


class LedgerStats(Struct, frozen=True):
    """`held` micro-dollars in open holds. `spool_*`: not drained yet; `unwritten` of them wait in memory for the disk.
    `drain_lag_ms`: age of the oldest record that is not drained, at most. `alone`: 1 where no other process
    spends from this database. The rest are counts since the start."""

    accounts: int
    open_holds: int
    held: int
    spool_records: int
    spool_bytes: int
    unwritten: int
    drain_lag_ms: int
    posted: int
    voided: int
    expired: int
    drained: int
    set_aside: int
    drain_failures: int
    alone: int
    borrowings: int
