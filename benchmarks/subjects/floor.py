"""nginx proxy_pass: what forwarding costs when nothing else is done. Every other figure is told against it."""

from __future__ import annotations

import subprocess

from benchmarks import nginx, prompts
from benchmarks.subjects.subject import Bench
from benchmarks.work import MODELS, UPSTREAM_MODELS, Target, Work, path


class Floor:
    """The work's client dialect is sent, and answered by the upstream in the same: nginx translates nothing."""

    headers: tuple[str, ...] = ()

    def __init__(self, program: str, bench: Bench, name: str = "nginx") -> None:
        done = subprocess.run([program, "-v"], capture_output=True, text=True, check=True)
        self.version = (done.stderr or done.stdout).strip().rpartition("/")[2]
        self.name = name
        self._server = nginx.start_floor(
            name,
            program,
            bench.processes,
            bench.cores.measured,
            static=bench.upstreams.static,
            streams=bench.upstreams.streams,
        )

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self._server.process

    def target(self, work: Work) -> Target:
        """Where a path names the model, it is the upstream's: nginx does not rewrite it."""
        body = prompts.body(work, MODELS[work.client])
        where = path(work.client, UPSTREAM_MODELS[work.client], stream=work.manner.stream)
        headers = (
            ("content-type", "application/json"),
            ("x-api-key", "sk-bench"),
            ("accept", "application/json"),
        )
        return Target(self.port, work.manner.prefix + where, headers, body)
