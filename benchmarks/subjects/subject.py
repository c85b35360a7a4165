"""What every measured server offers."""

from __future__ import annotations

import dataclasses
import subprocess
from typing import Protocol

from benchmarks.processes import Cores, Processes
from benchmarks.work import Target, Work


@dataclasses.dataclass(frozen=True, slots=True)
class Upstreams:
    """Ports of the two upstreams on 127.0.0.1: nginx for small whole answers, ours for everything else."""

    static: int
    streams: int

    def base(self, work: Work) -> str:
        """The origin and path prefix at which the upstream answers in the work's manner, without a slash at the end."""
        port = self.static if work.manner.static else self.streams
        return f"http://127.0.0.1:{port}{work.manner.prefix}"


@dataclasses.dataclass(frozen=True, slots=True)
class Bench:
    """Where a subject is started."""

    processes: Processes
    cores: Cores
    upstreams: Upstreams


class Subject(Protocol):
    """A running server between the load and the upstream."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        ...

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that every answer must carry, in lower case."""
        ...

    @property
    def process(self) -> subprocess.Popen[bytes]: ...

    def target(self, work: Work) -> Target | None:
        """The request that makes it do this work; None when it does not offer it."""
        ...
