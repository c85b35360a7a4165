"""The run as a page: benchmarks/RESULTS.md, written with `--results`."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from benchmarks.report import COLUMNS, Part, groups, row, side_by_side, squares


def page(parts: Sequence[Part], machine: Mapping[str, object], command: str, day: datetime.date) -> str:
    """Machine, versions, command, the pairs, a table for each group, what was not measured, and the peers beside."""
    own = parts[0]
    missed = [figure for figure in own.figures if figure.within is False]
    lines = [
        "# Results",
        "",
        f"Measured on {day.isoformat()} with `{command}`; [README.md](README.md) says what the cases are.",
        "",
        f"- Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"Linux {machine['kernel']}; {machine['busy_before']:.0%} busy with other things before, "
        f"{machine['busy_after']:.0%} after",
        f"- {own.name} {own.version} ({machine['data_path']} data path), commit `{str(machine['commit'])[:12]}`"
        + (f" with {machine['changed_files']} changed files" if machine["changed_files"] else ""),
        f"- nginx {machine['nginx']}, Python {machine['python']}, {_versions(machine)}",
        f"- {len(missed)} of {sum(figure.budget is not None for figure in own.figures)} budgets are missed"
        + (": " + ", ".join(f"{figure.case} {figure.verdict}" for figure in missed) if missed else "")
        + "; [why](../docs/explain/performance.md)",
    ]
    pairs = squares(own.figures)
    if pairs:
        lines += ["", "## All pairs", "", "Clients down, upstreams across; `!`: over its budget."]
    for name, (head, *rows) in pairs.items():
        lines += ["", f"### {name}", "", *_table(head, rows)]
    lines += ["", "## Every figure"]
    for name, group in groups(own.figures).items():
        lines += ["", f"### {name}, by case", "", *_table(COLUMNS, [row(figure) for figure in group])]
    if len(parts) > 1:
        head, *rows = side_by_side(parts)
        lines += ["", "## Beside the peers", "", "CPU per request or per event, and times nginx.", ""]
        lines += _table(head, rows)
    failures = [(part.name, case, reason) for part in parts for case, reason in part.failures.items()]
    if failures:
        lines += ["", "## Not measured", ""]
        lines += [f"- {name}, {case}: {reason}" for name, case, reason in failures]
    return "\n".join(lines) + "\n"


def _versions(machine: Mapping[str, object]) -> str:
    packages = machine["packages"]
    assert isinstance(packages, dict)
    return ", ".join(f"{name} {version}" for name, version in packages.items())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
