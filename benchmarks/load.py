"""Load on a measured server, and what the server used for it."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks import answers, procfs
from benchmarks.figures import Sample
from benchmarks.processes import NotMeasured, last_words
from benchmarks.stream_client import Counts, Order
from benchmarks.subjects.subject import Subject
from benchmarks.work import Target, Work
from benchmarks.wrk import Wrk

#: After the last answer a server may still write down what it billed; that is work for these requests too.
_QUIET_SECONDS_MAX = 10.0
_QUIET_STEP_SECONDS = 0.1
_QUIET_STEPS = 2
#: CPU in a step below which a process is idle: one clock tick of 10 ms, or none.
_QUIET_CPU_SECONDS = 0.015
_CLIENT = "stream-client"
_STREAM_SECONDS_MAX = 120.0
#: More requests than any run of wrk completes: what it sent, when it failed, is not known.
_MANY = 10_000_000


@dataclasses.dataclass(slots=True)
class Tally:
    """Requests sent to one server: those with an answer, and at most so many more whose end is not known."""

    answered: int = 0
    cut: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Loader:
    """`prefix` pins the stream client to the load's core; its files are in `work`. `tallies`: by port and work."""

    wrk: Wrk
    prefix: tuple[str, ...]
    work: Path
    root: Path
    tallies: dict[tuple[int, Work], Tally] = dataclasses.field(
        default_factory=lambda: collections.defaultdict(Tally)
    )

    def sent_to(self, port: int) -> dict[Work, Tally]:
        """What one server was sent."""
        return {work: tally for (where, work), tally in self.tallies.items() if where == port}

    def whole(
        self, subject: Subject, target: Target, work: Work, *, connections: int, seconds: float
    ) -> Sample:
        """wrk for `seconds`. Raises NotMeasured."""
        before = procfs.cpu_seconds(subject.process.pid)
        tally = self.tallies[target.port, work]
        tally.cut += _MANY
        load = self.wrk.run(target, connections=connections, seconds=seconds)
        # By the clock: each connection's last request is broken off.
        tally.cut += connections - _MANY
        tally.answered += load.requests
        return Sample(_used(subject, before), load.requests, load.seconds)

    def streams(
        self, subject: Subject, target: Target, work: Work, *, connections: int, requests: int
    ) -> Sample:
        """So many streams, each to its end. Raises NotMeasured, also when an event is missing."""
        sample = self.closed(subject, target, work, connections=connections, requests=requests)
        expected = requests * work.manner.events
        if sample.events != expected:
            raise NotMeasured(f"{subject.name} relayed {sample.events} events of {expected}")
        return sample

    def closed(
        self, subject: Subject, target: Target, work: Work, *, connections: int, requests: int
    ) -> Sample:
        """So many requests, each to its end, the next of a connection when it has its answer. Raises NotMeasured."""
        before = procfs.cpu_seconds(subject.process.pid)
        counts = self.run(target, work, connections=connections, requests=requests)
        used = _used(subject, before)
        return Sample(used, counts.completed, counts.seconds, events=counts.events, reads=counts.reads)

    def run(
        self, target: Target, work: Work, *, connections: int, requests: int, pace: float = 0.0
    ) -> Counts:
        """The stream client, to its end. Raises NotMeasured unless every answer was clean."""
        seconds = _STREAM_SECONDS_MAX + (requests / pace if pace else 0)
        with self.begun(target, work, connections=connections, requests=requests, pace=pace) as client:
            return self.finished(client, target, work, seconds)

    @contextlib.contextmanager
    def begun(
        self,
        target: Target,
        work: Work,
        *,
        connections: int,
        requests: int,
        pace: float = 0.0,
        announce: bool = False,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """The stream client, running. With `announce` its first line is `open` (see `stream_client`)."""
        order = Order(
            port=target.port,
            request=str(self._request_file(target)),
            connections=connections,
            requests=requests,
            pace=pace,
            mark=answers.mark(work.client) if work.manner.stream and not work.manner.stamped else "",
            stamped=work.manner.stamped,
            announce=announce,
        )
        with (self.work / f"{_CLIENT}.log").open("ab") as log:
            client = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "benchmarks.stream_client"],
                cwd=self.root,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # A reader that took more than the line it was asked for would keep the rest from `finished`.
                bufsize=0,
            )
        self.tallies[target.port, work].cut += requests
        try:
            assert client.stdin is not None
            client.stdin.write(msgspec.json.encode(order))
            client.stdin.close()
            client.stdin = None
            yield client
        finally:
            if client.poll() is None:
                client.kill()
                client.wait()
            if client.stdout is not None:
                client.stdout.close()

    def finished(self, client: subprocess.Popen[bytes], target: Target, work: Work, seconds: float) -> Counts:
        """Waits for the figures of a client that has begun. Raises NotMeasured unless every answer was clean."""
        counts = _counts(client, seconds, self.work)
        tally = self.tallies[target.port, work]
        tally.cut -= counts.completed
        tally.answered += counts.completed
        return counts

    def tail(self, subject: Subject) -> str:
        """The last words of a server's log."""
        return last_words(self.work, subject.name)

    def _request_file(self, target: Target) -> Path:
        path = self.work / f"{hashlib.sha256(repr(target).encode()).hexdigest()[:16]}.http"
        if not path.exists():
            path.write_bytes(http_request(target))
        return path


def http_request(target: Target) -> bytes:
    """The whole request, as it goes over the wire."""
    headers = [
        *target.headers,
        ("host", f"127.0.0.1:{target.port}"),
        ("content-length", str(len(target.body))),
    ]
    lines = [f"POST {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + target.body


def _counts(client: subprocess.Popen[bytes], seconds: float, work: Path) -> Counts:
    try:
        output, _ = client.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"the streams did not end within {seconds:.0f} s") from None
    lines = output.splitlines()
    if client.returncode or not lines:
        raise NotMeasured(f"the stream client ended with {client.returncode}: {last_words(work, _CLIENT)}")
    counts = msgspec.json.decode(lines[-1], type=Counts)
    if counts.failure:
        raise NotMeasured(
            f"the stream client saw a failure after {counts.completed} answers: {counts.failure}"
        )
    return counts


def _used(subject: Subject, before: float) -> float:
    settle(subject)
    return procfs.cpu_seconds(subject.process.pid) - before


def settle(subject: Subject) -> None:
    """Waits until the server is idle, for some seconds at most."""
    pid = subject.process.pid
    deadline = time.monotonic() + _QUIET_SECONDS_MAX
    last = procfs.cpu_seconds(pid)
    quiet = 0
    while quiet < _QUIET_STEPS and time.monotonic() < deadline:
        time.sleep(_QUIET_STEP_SECONDS)
        now = procfs.cpu_seconds(pid)
        quiet = quiet + 1 if now - last < _QUIET_CPU_SECONDS else 0
        last = now
