"""Memory of an idle worker, per open stream and after the load; and how late events are while many streams are open."""

from __future__ import annotations

import resource
import select
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks import procfs
from benchmarks.cases import EVENT_DELAY_P99_MS, IDLE_MB, OPEN_INTERVAL_MS, OPEN_STREAM_KB, open_streams
from benchmarks.figures import Figure
from benchmarks.load import settle
from benchmarks.processes import NotMeasured
from benchmarks.rounds import Run, target_of
from benchmarks.stream_client import Spread
from benchmarks.subjects.subject import Subject
from benchmarks.work import Target, Work

_OPEN_SECONDS_MAX = 30.0
#: In which the streams begin, one after the other: while the last one begins, the first one must still be there.
_OPENING_SECONDS = 3.0
#: Descriptors that a server needs besides two per stream.
_SPARE_FILES = 500


def measure_idle(subject: Subject) -> Figure:
    """PSS of the process tree after its start, before any load."""
    settle(subject)
    memory = procfs.memory(subject.process.pid)
    return Figure(
        case="memory/idle",
        value=memory.pss / 1e6,
        unit="MB",
        budget=IDLE_MB,
        detail={"pss_bytes": memory.pss, "rss_bytes": memory.rss},
    )


def measure_after(subject: Subject, idle: Sequence[Figure], answered: int) -> Figure:
    """PSS after the load of this run, which was `answered` requests, beside what it was before.

    Told, not judged: caches fill, once.
    """
    settle(subject)
    memory = procfs.memory(subject.process.pid)
    return Figure(
        case="memory/after-load",
        value=memory.pss / 1e6,
        unit="MB",
        budget=None,
        detail={
            "pss_bytes": memory.pss,
            "rss_bytes": memory.rss,
            "idle_mb": [figure.value for figure in idle],
            "answered": answered,
        },
    )


def measure_open_streams(run: Run) -> list[Figure]:
    """Opens many streams, each with an event a second: the growth per stream, and the delay of the events.

    Clients come one after the other, so their events are due at any time of the second: that is what the budgets are of.
    Told beside it is how late events are when all streams have begun in one moment, and so all their events are due in one.

    Raises NotMeasured.
    """
    work = open_streams(run.effort.open_events)
    target = target_of(run, run.subject, work)
    streams = min(run.effort.open_streams, _files_allow())
    apart = _open(run, work, target, streams, pace=streams / _OPENING_SECONDS)
    together = _open(run, work, target, streams, pace=0.0)
    shape = f"{streams:,} streams"
    return [
        Figure(
            case="open-streams/memory",
            value=(apart.during_pss - apart.before_pss) / streams / 1000,
            unit="KB",
            budget=OPEN_STREAM_KB,
            rate=shape,
            detail={"streams": streams, "before_pss": apart.before_pss, "during_pss": apart.during_pss},
        ),
        _delay("open-streams/event-delay-p99", apart, shape, EVENT_DELAY_P99_MS),
        _delay("open-streams/event-delay-p99, begun at once", together, shape, None),
    ]


class _Opened(NamedTuple):
    """`cpu_seconds`: the gateway's, while the streams were open."""

    before_pss: int
    during_pss: int
    cpu_seconds: float
    events: int
    delay: Spread


def _open(run: Run, work: Work, target: Target, streams: int, *, pace: float) -> _Opened:
    """`pace`: streams that begin in a second; 0: all at once. Raises NotMeasured."""
    pid = run.subject.process.pid
    settle(run.subject)
    before = procfs.memory(pid)
    cpu_before = procfs.cpu_seconds(pid)
    with run.loader.begun(
        target, work, connections=streams, requests=streams, pace=pace, announce=True
    ) as client:
        _wait_open(client)
        during = procfs.memory(pid)
        counts = run.loader.finished(
            client, target, work, _OPEN_SECONDS_MAX + 2 * work.manner.events * OPEN_INTERVAL_MS / 1000
        )
    expected = streams * work.manner.events
    if counts.events != expected or counts.delay is None:
        raise NotMeasured(f"{run.subject.name} relayed {counts.events} events of {expected}")
    cpu = procfs.cpu_seconds(pid) - cpu_before
    return _Opened(before.pss, during.pss, cpu, counts.events, counts.delay)


def _delay(case: str, opened: _Opened, shape: str, budget: float | None) -> Figure:
    return Figure(
        case=case,
        value=opened.delay.p99,
        unit="ms",
        budget=budget,
        rate=shape,
        detail={
            "delay_p50_ms": opened.delay.p50,
            "delay_max_ms": opened.delay.max,
            "events": opened.events,
            "cpu_seconds": opened.cpu_seconds,
        },
    )


def _files_allow() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (soft - _SPARE_FILES) // 2


def _wait_open(client: subprocess.Popen[bytes]) -> None:
    """Until the client says that every stream has begun. Raises NotMeasured."""
    assert client.stdout is not None
    ready, _, _ = select.select([client.stdout], [], [], _OPEN_SECONDS_MAX)
    line = client.stdout.readline() if ready else b""
    if line != b"open\n":
        counts = "" if not ready else line + client.stdout.read(300)
        raise NotMeasured(f"not every stream began within {_OPEN_SECONDS_MAX:.0f} s: {counts!r}")
