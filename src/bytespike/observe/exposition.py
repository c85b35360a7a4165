"""Prometheus's text format, written straight from the counts.

A page is written on the event loop, between requests: with a sample object for each line, as client libraries have it, a
gateway that serves twenty models would stand still for some twenty milliseconds at each scrape. Source: Prometheus,
"Exposition formats", text format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from bytespike.observe.families import PREFIX, Family
from bytespike.observe.tallies import Histogram

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Page:
    """Families are written one after the other, each with all of its samples."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def write(self, family: Family, samples: Iterable[tuple[tuple[str, ...], float]]) -> None:
        """A counter or a gauge. `samples`: the values of the labels, in the family's order, and the figure."""
        name = PREFIX + family.name + ("_total" if family.kind == "counter" else "")
        self._head(name, family)
        for values, value in samples:
            labels = _labels(family.labels, values)
            self._lines.append(f"{name}{{{labels}}} {value}" if labels else f"{name} {value}")

    def write_histogram(
        self,
        family: Family,
        bounds_ms: tuple[int, ...],
        samples: Iterable[tuple[tuple[str, ...], Histogram]],
    ) -> None:
        """A histogram of durations that were counted in milliseconds, in seconds."""
        name = PREFIX + family.name
        self._head(name, family)
        ends = [f'le="{bound / 1000:g}"}}' for bound in bounds_ms] + ['le="+Inf"}']
        for values, histogram in samples:
            labels = _labels(family.labels, values)
            before = f"{name}_bucket{{{labels}," if labels else f"{name}_bucket{{"
            count = 0
            for end, count in zip(ends, accumulate(histogram.counts), strict=True):
                self._lines.append(f"{before}{end} {count}")
            around = f"{{{labels}}}" if labels else ""
            self._lines.append(f"{name}_sum{around} {histogram.total / 1000}")
            self._lines.append(f"{name}_count{around} {count}")

    def done(self) -> bytes:
        self._lines.append("")
        return "\n".join(self._lines).encode()

    def _head(self, name: str, family: Family) -> None:
        about = family.about.replace("\\", "\\\\").replace("\n", "\\n")
        self._lines.append(f"# HELP {name} {about}\n# TYPE {name} {family.kind}")


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))


def _escaped(value: str) -> str:
    if value.isalnum():
        return value
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
