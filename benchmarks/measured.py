"""Which cases are measured, in which order, on whom; and what becomes of those that fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from benchmarks import cases
from benchmarks.cases import Effort, StreamCase, WholeCase
from benchmarks.figures import Figure, told
from benchmarks.latency import measure_latency
from benchmarks.load import Loader
from benchmarks.memory import measure_after, measure_idle, measure_open_streams
from benchmarks.processes import NotMeasured
from benchmarks.report import Part
from benchmarks.rounds import Run, measure_stream, measure_whole
from benchmarks.subjects.subject import Subject
from benchmarks.work import Work

_WHOLE = {case.name: case for case in (*cases.WHOLE_CASES, *cases.AGENT_CASES)}
_STREAMS = {case.name: case for case in cases.STREAM_CASES}
_IDLE, _AFTER, _LATENCY, _OPEN = "memory/idle", "memory/after-load", "latency", "open-streams"
#: A server that makes every case wait must not keep the run from ending.
SECONDS_MAX = 600.0
#: What peers are asked to do: the unary and streamed work of Messages and Chat, without the cases of hundreds of streams.
PEER_CASES = (
    _IDLE,
    *(
        case.name
        for case in (*cases.WHOLE_CASES, *cases.STREAM_CASES)
        if case.pair in cases.COMPARED_PAIRS and not case.name.startswith("stream-paced/")
    ),
)


def names() -> list[str]:
    """Every case, in the order in which they are measured: those in brief come after those at length."""
    both = {**_WHOLE, **_STREAMS}
    return [
        _IDLE,
        *(name for name, case in both.items() if not case.brief),
        _LATENCY,
        *(name for name, case in both.items() if case.brief),
        _AFTER,
        _OPEN,
    ]


def chosen(only: Sequence[str], effort: Effort) -> list[str]:
    """The cases whose name contains one of `only`; when there is none, all but those that `effort` leaves out."""
    if only:
        return [name for name in names() if any(word in name for word in only)]
    return [name for name in names() if name not in effort.left_out]


def works(chosen_cases: Iterable[str], effort: Effort) -> list[Work]:
    """All the work in these cases, for whoever must prepare it."""
    found: list[Work] = []
    for name in chosen_cases:
        if name in _WHOLE:
            found.append(_WHOLE[name].work)
        elif name in _STREAMS:
            found += [_STREAMS[name].few, _STREAMS[name].many]
        elif name == _LATENCY:
            found += [cases.LATENCY_WHOLE, cases.LATENCY_STREAM]
        elif name == _OPEN:
            found.append(cases.open_streams(effort.open_events))
    return list(dict.fromkeys(found))


def measure(
    floor: Subject, subject: Subject, loader: Loader, effort: Effort, chosen_cases: Iterable[str]
) -> Part:
    """Measures these cases. A case that fails is told, and the others go on."""
    run = Run(floor, subject, loader, effort)
    figures: list[Figure] = []
    failures: dict[str, str] = {}
    idle: list[Figure] = []
    deadline = time.monotonic() + SECONDS_MAX
    for name in chosen_cases:
        began = time.monotonic()
        if began > deadline:
            failures[name] = "the run had taken too long before its turn came"
            continue
        if subject.process.poll() is not None:
            failures[name] = (
                f"the server had ended, with {subject.process.returncode}: {loader.tail(subject)}"
            )
            continue
        try:
            new = _steps(run, idle)[name]()
        except (NotMeasured, ProcessLookupError) as problem:
            failures[name] = str(problem)
            print(f"{subject.name} {name}: not measured: {problem}", flush=True)
            continue
        if name == _IDLE:
            idle += new
        figures += new
        shown = ", ".join(f"{figure.case} {told(figure.value, figure.unit)}" for figure in new)
        print(f"{subject.name} {shown} ({time.monotonic() - began:.0f} s)", flush=True)
    return Part(subject.name, subject.version, tuple(figures), failures)


def _steps(run: Run, idle: Sequence[Figure]) -> dict[str, Callable[[], list[Figure]]]:
    whole = {name: (lambda case=case: [measure_whole(run, case)]) for name, case in _WHOLE.items()}
    streams = {name: (lambda case=case: [measure_stream(run, case)]) for name, case in _STREAMS.items()}
    answered = sum(tally.answered for tally in run.loader.sent_to(run.subject.port).values())
    return {
        _IDLE: lambda: [measure_idle(run.subject)],
        **whole,
        **streams,
        _LATENCY: lambda: measure_latency(run),
        _AFTER: lambda: [measure_after(run.subject, idle, answered)],
        _OPEN: lambda: measure_open_streams(run),
    }


def profiled() -> dict[str, WholeCase | StreamCase]:
    """The cases that can be looked at with a profiler, by name."""
    return {**_WHOLE, **_STREAMS}
