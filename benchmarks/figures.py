"""The arithmetic: from samples to figures, and from figures and budgets to verdicts."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Literal, TypeAlias

#: x: times nginx in the same run. %: of one core.
Unit: TypeAlias = Literal["x", "us", "ms", "MB", "KB", "%", "/s"]


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One round: CPU seconds of a process tree, and what it did with them."""

    cpu_seconds: float
    requests: int
    seconds: float
    events: int = 0
    reads: int = 0

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU per request."""
        return self.cpu_seconds / self.requests * 1e6

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def per_event_us(few: Sample, many: Sample) -> float:
    """CPU microseconds per event: what streams with many events cost more than streams with few.

    What a request costs besides its events is in both, and falls out.
    """
    more = many.events / many.requests - few.events / few.requests
    if more <= 0:
        raise ValueError("the streams with many events have no more events than those with few")
    return (many.cpu_us - few.cpu_us) / more


def median_ratio(measured: Sequence[float], floor: Sequence[float]) -> float:
    """The median over rounds of measured / floor, each round against its own neighbour."""
    if len(measured) != len(floor):
        raise ValueError("rounds of one have no neighbour among the other's")
    return statistics.median(one / other for one, other in zip(measured, floor, strict=True))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. `value` and `budget` in `unit`; `budget` None: told, not judged.

    `floor`: nginx's value in the same run, in `floor_unit`; `ratio`: how many times nginx. `cost`: CPU as measured,
    beside a `value` that is a ratio. `pair`: client and upstream, for the table of pairs. `detail` goes into the JSON only.
    """

    case: str
    value: float
    unit: Unit
    budget: float | None
    cost: str = ""
    floor: str = ""
    ratio: float | None = None
    rate: str = ""
    pair: tuple[str, str] | None = None
    detail: dict[str, object] = dataclasses.field(default_factory=dict)

    @property
    def within(self) -> bool | None:
        """None where there is no budget."""
        return None if self.budget is None else self.value <= self.budget

    @property
    def verdict(self) -> str:
        """`within`, or `over by` how much of the budget."""
        if self.budget is None:
            return ""
        if self.value <= self.budget:
            return "within"
        return f"over by {(self.value / self.budget - 1) * 100:.0f} %"


def told(value: float, unit: Unit) -> str:
    """A value for a person: three digits or so."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    number = f"{value:.{digits}f}"
    return f"{number} ×" if unit == "x" else f"{number} {'µs' if unit == 'us' else unit}"
