"""The tables on stdout and the JSON beside them: every figure in groups, and each group's pairs as a square."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.cases import PAIRS
from benchmarks.figures import Figure, told
from benchmarks.work import DIALECTS

COLUMNS = ("case", "budget", "figure", "verdict", "CPU", "nginx", "× nginx", "rate")
#: Behind a figure that is over its budget, in the squares.
OVER = " !"


def table(figures: Sequence[Figure]) -> str:
    """One line per figure, aligned, with an empty line between groups."""
    rows: list[Sequence[str]] = [COLUMNS]
    for group in groups(figures).values():
        rows += [row(figure) for figure in group]
        rows.append([""] * len(COLUMNS))
    return aligned(rows[:-1])


def groups(figures: Sequence[Figure]) -> dict[str, list[Figure]]:
    """The figures by what stands before the slash in their names. What passes through comes before what is translated, and
    both are in the order of the dialects, whatever was measured first."""
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        found.setdefault(figure.case.partition("/")[0], []).append(figure)
    for group in found.values():
        group.sort(key=_place)
    return found


def _place(figure: Figure) -> int:
    return next((place for place, pair in enumerate(PAIRS) if pair == figure.pair), len(PAIRS))


def squares(figures: Sequence[Figure]) -> dict[str, list[Sequence[str]]]:
    """By group, a table of its pairs: clients down, upstreams across, each figure with `OVER` where it is over its budget.

    Only of groups that have figures of more than one pair.
    """
    found: dict[str, list[Sequence[str]]] = {}
    for name, group in groups(figures).items():
        cells = {
            figure.pair: told(figure.value, figure.unit) + (OVER if figure.within is False else "")
            for figure in group
            if figure.pair is not None
        }
        if len(cells) > 1:
            rows = [
                [client, *(cells.get((client, upstream), "") for upstream in DIALECTS)] for client in DIALECTS
            ]
            head = ["client ↓ upstream →", *DIALECTS]
            found[name] = [head, *(cells_of for cells_of in rows if any(cells_of[1:]))]
    return found


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as text, with a line under the first."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def row(figure: Figure) -> tuple[str, ...]:
    """A figure's cells, under `COLUMNS`."""
    return (
        figure.case,
        "" if figure.budget is None else f"≤ {told(figure.budget, figure.unit)}",
        told(figure.value, figure.unit),
        figure.verdict,
        figure.cost,
        figure.floor,
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        figure.rate,
    )


def record(figure: Figure) -> dict[str, object]:
    """A figure for the JSON file."""
    return {
        "case": figure.case,
        "value": figure.value,
        "unit": figure.unit,
        "budget": figure.budget,
        "within": figure.within,
        "ratio_to_nginx": figure.ratio,
        **({} if figure.pair is None else {"client": figure.pair[0], "upstream": figure.pair[1]}),
        **figure.detail,
    }


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One measured server: its figures, and what could not be measured, by case, with the reason."""

    name: str
    version: str
    figures: tuple[Figure, ...]
    failures: Mapping[str, str]


def write(path: Path, machine: Mapping[str, object], command: str, parts: Sequence[Part]) -> None:
    """Writes everything to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "command": command,
        "machine": machine,
        "measured": [
            {
                "name": part.name,
                "version": part.version,
                "figures": [record(figure) for figure in part.figures],
                "not_measured": dict(part.failures),
            }
            for part in parts
        ],
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")


def side_by_side(parts: Sequence[Part]) -> list[Sequence[str]]:
    """The measured servers side by side: CPU and how many times nginx, in the cases that all were asked for."""
    asked = [{*part.failures, *(figure.case for figure in part.figures)} for part in parts]
    cases = [figure.case for figure in parts[0].figures if any(figure.case in one for one in asked[1:])]
    head = ("case", *(f"{part.name} {part.version}" for part in parts))
    rows: list[Sequence[str]] = [head]
    for case in cases:
        cells = [case]
        for part in parts:
            found = next((figure for figure in part.figures if figure.case == case), None)
            if found is None:
                cells.append("not measured" if case in part.failures else "")
            else:
                ratio = "" if found.ratio is None else f" ({found.ratio:.1f} ×)"
                cells.append(f"{found.cost or told(found.value, found.unit)}{ratio}")
        rows.append(cells)
    return rows
