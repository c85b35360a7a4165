"""`python -m benchmarks`: measures the gateway against its budgets. See README.md in this folder."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks import growth, ledger_rows, machine, measured, prerequisites, procfs, report, results, tasks
from benchmarks.cases import FULL, PEERS, QUICK, Effort
from benchmarks.load import Loader
from benchmarks.processes import NotMeasured
from benchmarks.stage import ROOT, WORK, stage
from benchmarks.subjects.floor import Floor
from benchmarks.subjects.gateway import Gateway
from benchmarks.subjects.litellm import LiteLLM
from benchmarks.subjects.portkey import Portkey
from benchmarks.subjects.subject import Bench, Subject

RESULT = ROOT / "benchmarks" / "out" / "latest.json"
PAGE = ROOT / "benchmarks" / "RESULTS.md"

MISSED, FAILED = 1, 2
#: Before and after, the machine is looked at: what else runs disturbs the figures.
_LOOK_SECONDS = 1.0
_BUSY_SHARE = 0.1


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of each case, about a minute")
    parser.add_argument(
        "--only",
        metavar="CASE",
        action="append",
        default=[],
        help="cases whose name contains CASE (repeatable)",
    )
    parser.add_argument(
        "--rows",
        metavar="N",
        type=int,
        help=f"receipts behind the pages of usage (default: {ledger_rows.ROWS:,} in a whole run, else none; 0: none)",
    )
    parser.add_argument(
        "--no-tasks", action="store_true", help="leave tasks out of a whole run (half a minute)"
    )
    parser.add_argument(
        "--no-growth", action="store_true", help="leave the grown gateway out of a whole run (a minute)"
    )
    parser.add_argument("--list", action="store_true", help="list the cases and stop")
    parser.add_argument("--peers", action="store_true", help="measure LiteLLM and Portkey too")
    parser.add_argument(
        "--prove", action="store_true", help="measure nginx against nginx: every ratio must be 1"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a budget is missed")
    parser.add_argument(
        "--results", action="store_true", help="write the figures to benchmarks/RESULTS.md too"
    )
    parser.add_argument("--keep", action="store_true", help="keep the run's files and logs in .bench")
    return parser.parse_args(words)


def main() -> int:
    """0: measured; 1: with --strict, a budget was missed; 2: something could not be measured."""
    options = arguments()
    if options.list:
        print("\n".join(measured.names()))
        return 0
    effort = QUICK if options.quick else FULL
    chosen = measured.chosen(options.only, effort)
    if not chosen:
        print(f"no case is named like {', '.join(options.only)}; --list tells them", file=sys.stderr)
        return FAILED
    began = time.monotonic()
    busy = procfs.busy_share(_LOOK_SECONDS)
    if busy > _BUSY_SHARE:
        print(
            f"the machine is {busy:.0%} busy with other things: CPU figures will be high, latencies worthless"
        )
    try:
        parts = _measure(options, effort, chosen)
        rows = _rows(options)
        if rows:
            parts[0] = _with_rows(parts[0], rows, keep=options.keep)
        if _whole(options) and not options.no_tasks:
            parts[0] = _with_tasks(parts[0], keep=options.keep)
        if _whole(options) and not options.no_growth:
            parts[0] = _with_growth(parts[0], rows or growth.ROWS, keep=options.keep)
    except (prerequisites.Missing, NotMeasured) as problem:
        print(f"not measured: {problem}", file=sys.stderr)
        return FAILED
    facts = {**machine.facts(ROOT), "busy_before": busy, "busy_after": procfs.busy_share(_LOOK_SECONDS)}
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    report.write(RESULT, facts, command, parts)
    if options.results:
        today = datetime.datetime.now(datetime.UTC).date()
        PAGE.write_text(results.page(parts, facts, command, today))
    _tell(parts, facts, time.monotonic() - began)
    own = parts[0]
    if own.failures or (not own.figures):
        return FAILED
    missed = any(figure.within is False for figure in own.figures)
    return MISSED if options.strict and missed else 0


def _measure(options: argparse.Namespace, effort: Effort, chosen: Sequence[str]) -> list[report.Part]:
    with stage(keep=options.keep) as ready:
        bench, floor, loader = ready.bench, ready.floor, ready.loader
        if options.prove:
            second = Floor(ready.nginx, bench, name="nginx-again")
            return [measured.measure(floor, second, loader, effort, chosen)]
        parts = [_gateway(bench, floor, loader, effort, chosen)]
        if options.peers:
            parts += _peers(bench, floor, loader, [name for name in measured.PEER_CASES if name in chosen])
        return parts


def _rows(options: argparse.Namespace) -> int:
    """How many receipts there are to be. A part of a run, and a comparison, go without."""
    if options.rows is not None:
        return options.rows
    return ledger_rows.ROWS if _whole(options) else 0


def _whole(options: argparse.Namespace) -> bool:
    """Not a part of a run, nor a comparison."""
    return not (options.only or options.quick or options.prove)


def _with_rows(part: report.Part, rows: int, *, keep: bool) -> report.Part:
    """What pages of usage take with so many receipts; it is told if that cannot be measured."""
    print(f"pages of usage with {rows:,} receipts (--rows says how many)", flush=True)
    try:
        figures = ledger_rows.measure(rows, keep=keep)
    except NotMeasured as problem:
        return dataclasses.replace(part, failures={**part.failures, "rows": str(problem)})
    return dataclasses.replace(part, figures=(*part.figures, *figures))


def _with_tasks(part: report.Part, *, keep: bool) -> report.Part:
    """What tasks cost; it is told if that cannot be measured."""
    print(f"tasks, and {tasks.IN_FLIGHT:,} of them in flight", flush=True)
    try:
        figures = tasks.measure(keep=keep)
    except NotMeasured as problem:
        return dataclasses.replace(part, failures={**part.failures, "tasks": str(problem)})
    return dataclasses.replace(part, figures=(*part.figures, *figures))


def _with_growth(part: report.Part, rows: int, *, keep: bool) -> report.Part:
    """What a request costs a gateway with a million keys; it is told if that cannot be measured."""
    print(f"a gateway that has grown, with {rows:,} receipts", flush=True)
    try:
        figure = growth.measure(rows, keep=keep)
    except NotMeasured as problem:
        return dataclasses.replace(part, failures={**part.failures, "growth": str(problem)})
    return dataclasses.replace(part, figures=(*part.figures, figure))


def _gateway(
    bench: Bench, floor: Floor, loader: Loader, effort: Effort, chosen: Sequence[str]
) -> report.Part:
    """ByteSpike's figures; and once it has stopped, whether it billed what it answered."""
    gateway = Gateway(bench, measured.works(chosen, effort))
    part = measured.measure(floor, gateway, loader, effort, chosen)
    bench.processes.stop(gateway.process)
    tallies = loader.sent_to(gateway.port)
    answered = sum(tally.answered for tally in tallies.values())
    try:
        billed = gateway.audit(tallies)
    except NotMeasured as problem:
        return dataclasses.replace(part, failures={**part.failures, "audit": str(problem)})
    print(
        f"{gateway.name}: {answered:,} requests answered, {billed:,} billed, the ledger is whole",
        flush=True,
    )
    return part


def _peers(bench: Bench, floor: Floor, loader: Loader, chosen: Sequence[str]) -> list[report.Part]:
    """The peers' figures, one after another. A peer that does not start is told, not hidden."""
    folder = WORK / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    works = measured.works(chosen, PEERS)
    start: dict[str, Callable[[], Subject]] = {
        "LiteLLM": lambda: LiteLLM(bench, works, folder),
        "Portkey": lambda: Portkey(bench, folder),
    }
    parts: list[report.Part] = []
    for name, begin in start.items():
        try:
            peer = begin()
        except (NotMeasured, OSError) as problem:
            parts.append(report.Part(name, "", (), {"start": str(problem)}))
            continue
        parts.append(measured.measure(floor, peer, loader, PEERS, chosen))
        bench.processes.stop(peer.process)
    return parts


def _tell(parts: Sequence[report.Part], facts: dict[str, object], seconds: float) -> None:
    own = parts[0]
    print(f"\n{facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, Python {facts['python']}")
    print(f"{own.name} {own.version}, {facts['data_path']} data path\n")
    print(report.table(own.figures))
    for name, square in report.squares(own.figures).items():
        print(f"\n{name}; `{report.OVER.strip()}`: over its budget\n\n{report.aligned(square)}")
    for part in parts:
        for case, reason in part.failures.items():
            print(f"\nnot measured: {part.name} {case}: {reason}")
    if len(parts) > 1:
        print(f"\n{report.aligned(report.side_by_side(parts))}")
    print(f"\n{RESULT.relative_to(ROOT)} has every round. It took {seconds:.0f} s.")


if __name__ == "__main__":
    sys.exit(main())
