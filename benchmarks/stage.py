"""Everything that stands before a server can be measured: a folder, the upstreams, the load, nginx as the floor."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import prerequisites
from benchmarks.load import Loader
from benchmarks.nginx import start_static
from benchmarks.processes import Cores, Processes, free_port, terminated_as_exit
from benchmarks.subjects.floor import Floor
from benchmarks.subjects.subject import Bench, Upstreams
from benchmarks.wrk import Wrk

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench"


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """Ready to start servers on `bench` and to load them."""

    bench: Bench
    floor: Floor
    loader: Loader
    nginx: str


@contextlib.contextmanager
def stage(*, keep: bool) -> Iterator[Stage]:
    """Set up, and taken down however the block ends. `keep`: leave the run's files and logs in .bench.

    Raises Missing, NotMeasured.
    """
    programs = prerequisites.programs()
    cores = Cores.choose(sorted(os.sched_getaffinity(0)))
    with (
        terminated_as_exit(),
        _folder(keep=keep) as work,
        Processes(programs["taskset"], work, ROOT) as processes,
    ):
        static = start_static(programs["nginx"], processes, cores.upstream)
        streams_port = free_port()
        command = [sys.executable, "-m", "benchmarks.stream_upstream", str(streams_port)]
        processes.ready("streams", processes.start("streams", command, cores.upstream), streams_port)
        bench = Bench(processes, cores, Upstreams(static.port, streams_port))
        prefix = tuple(processes.pinned([], cores.load))
        loader = Loader(Wrk((*prefix, programs["wrk"]), work), prefix, work, ROOT)
        yield Stage(bench, Floor(programs["nginx"], bench), loader, programs["nginx"])


@contextlib.contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    """A folder of this run's own."""
    work = WORK / f"run-{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        if not keep:
            shutil.rmtree(work, ignore_errors=True)
