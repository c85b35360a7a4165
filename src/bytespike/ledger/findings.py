"""What `doctor` tells."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

#: Findings of one check that are listed; the first ones, by time.
FINDINGS_MAX = 20

Severity: TypeAlias = Literal["error", "warning"]


class Finding(Struct, frozen=True):
    """`check`: which of the invariants. `subject`: what it is about, an id. `transfer`: the first transfer that breaks
    it, where one can be named. Amounts are micro-dollars."""

    severity: Severity
    check: str
    subject: str
    message: str
    transfer: str | None = None
    expected: int | None = None
    found: int | None = None
