"""`python -m benchmarks.tasks`: tasks, from the request that submits one to 10,000 renders under way.

    submit      how long a client waits for its task, one after the other
    completed   tasks per second that are submitted, polled, fetched (64 KB), settled and billed, many at once
    in-flight   what 10,000 renders cost the worker that asks how they are: CPU of its process while it does nothing else

A real `bytespike serve` with its defaults, on a core of its own; a small provider answers at once. For the last figure the
rows are put into the database as the worker itself would have written them: to submit so many would take minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import json
import os
import queue
import shutil
import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import prerequisites, procfs, report
from benchmarks.commanded import told_by
from benchmarks.figures import Figure
from benchmarks.processes import Cores, NotMeasured, Processes, free_port, terminated_as_exit
from benchmarks.stage import ROOT, WORK

#: What the issue asks for.
IN_FLIGHT = 10_000
IN_FLIGHT_CPU_PERCENT = 50.0
#: Of a render in flight: a poll every tenth of it.
ESTIMATED_S = 120
SUBMITTED = 101
CROWD = 150
CLIENTS = 8
#: The worker has found its rhythm; it is then watched for so long. Seconds.
SETTLE_S = 2.5
WATCH_S = 6.0
_ENDS_WITHIN_S = 60.0
_MODEL = "sora2"
_MICROSECONDS = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class House:
    """A gateway's folder, its key, and where it listens."""

    folder: Path
    environment: dict[str, str]
    port: int
    key: str

    @property
    def database(self) -> Path:
        return self.folder / "data" / "bytespike.db"


def measure(*, keep: bool = False) -> tuple[Figure, ...]:
    """Raises NotMeasured, Missing."""
    folder = WORK / f"tasks-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cores = Cores.choose(sorted(os.sched_getaffinity(0)))
    taskset = prerequisites.programs()["taskset"]
    everywhere = os.sched_getaffinity(0)
    try:
        with terminated_as_exit(), Processes(taskset, folder, ROOT) as processes:
            provider = free_port()
            words = [sys.executable, "-m", "benchmarks.render_upstream", str(provider)]
            processes.ready("provider", processes.start("provider", words, cores.upstream), provider)
            house = _house(folder, provider)
            os.sched_setaffinity(0, {cores.load})
            return (*_submitted(processes, cores, house), _in_flight(processes, cores, house))
    finally:
        os.sched_setaffinity(0, everywhere)
        if not keep:
            shutil.rmtree(folder)


def _house(folder: Path, provider: int) -> House:
    port = free_port()
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "PORT": str(port),
        "DATA_DIR": str(folder / "data"),
        "UPSTREAM_CREDENTIAL": "sk-upstream",
    }
    base_url = f"openai_videos=http://127.0.0.1:{provider}/v1"
    channel = ["channels", "create", "--name", "renders", "--platform", "openai", "--base-url", base_url]
    found = told_by(
        [
            ["init"],
            ["users", "create", "--email", "bench@example.com", "--tier", "enterprise"],
            ["wallet", "topup", "1000000", "--user", "bench@example.com"],
            [
                *channel,
                "--model",
                f"{_MODEL}=sora-2",
                "--group",
                "default",
                "--credential-env",
                "UPSTREAM_CREDENTIAL",
            ],
            ["keys", "create", "--name", "bench", "--user", "bench@example.com"],
        ],
        environment,
    )
    return House(folder, environment, port, str(found[-1]["key"]))


# --- submitting ----------------------------------------------------------------------------------------------------


def _submitted(processes: Processes, cores: Cores, house: House) -> tuple[Figure, ...]:
    words = [str(Path(sys.executable).parent / "bytespike"), "serve"]
    # Everything at once: what the provider carries is not what is measured.
    environment = {**house.environment, "BYTESPIKE_RENDERS_PER_CHANNEL_MAX": "1000000"}
    gateway = processes.start("gateway", words, cores.measured, environment)
    processes.ready("gateway", gateway, house.port)
    waited: list[float] = []
    for number in range(SUBMITTED):
        _submit(house, number, waited)
    waited.sort()
    latency = Figure(
        case="tasks/submit",
        value=statistics.median(waited),
        unit="ms",
        budget=None,
        rate=f"p99 {waited[len(waited) * 99 // 100]:.1f} ms",
        detail={"tasks": SUBMITTED, "milliseconds": waited},
    )
    numbers: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    for number in range(SUBMITTED, SUBMITTED + CROWD):
        numbers.put(number)
    for _ in range(CLIENTS):
        numbers.put(None)
    problems: list[NotMeasured] = []
    began, cpu = time.monotonic(), procfs.cpu_seconds(gateway.pid)
    clients = [threading.Thread(target=_client, args=(house, numbers, problems)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    if problems:
        raise problems[0]
    _until_over(house, SUBMITTED + CROWD)
    seconds, cpu = time.monotonic() - began, procfs.cpu_seconds(gateway.pid) - cpu
    processes.stop(gateway)
    ends = _ends(house)[SUBMITTED:]
    # The first and the last tenth are the crowd's coming and going.
    tenth = len(ends) // 10
    middle = (ends[-tenth] - ends[tenth]) / _MICROSECONDS
    throughput = Figure(
        case="tasks/completed",
        value=(len(ends) - 2 * tenth) / middle,
        unit="/s",
        budget=None,
        cost=f"{cpu / CROWD * 1e3:.1f} ms",
        rate=f"{CROWD} in {seconds:.1f} s",
        detail={"tasks": CROWD, "seconds": seconds, "cpu_seconds": cpu, "middle_seconds": middle},
    )
    return latency, throughput


def _client(house: House, numbers: queue.SimpleQueue[int | None], problems: list[NotMeasured]) -> None:
    while (number := numbers.get()) is not None and not problems:
        try:
            _submit(house, number, [])
        except NotMeasured as problem:
            problems.append(problem)


_local = threading.local()


def _submit(house: House, number: int, waited: list[float]) -> str:
    """One task; how long that took, in milliseconds, goes to `waited`."""
    connection = getattr(_local, "connection", None)
    if connection is None or _local.port != house.port:
        connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=_ENDS_WITHIN_S)
        _local.connection, _local.port = connection, house.port
    body = json.dumps({"model": _MODEL, "prompt": f"number {number}", "seconds": 4})
    headers = {"authorization": f"Bearer {house.key}", "content-type": "application/json"}
    began = time.perf_counter()
    connection.request("POST", "/v1/tasks/submit", body, headers)
    answer = connection.getresponse()
    said = answer.read()
    waited.append((time.perf_counter() - began) * 1e3)
    if answer.status != 200:
        raise NotMeasured(f"a submission was answered with {answer.status}: {said[:300]!r}")
    return str(json.loads(said)["task_id"])


def _until_over(house: House, count: int) -> None:
    """Until so many tasks are completed. Raises NotMeasured."""
    deadline = time.monotonic() + _ENDS_WITHIN_S
    with sqlite3.connect(house.database) as database:
        while time.monotonic() < deadline:
            states = dict(database.execute("SELECT state, count(*) FROM tasks GROUP BY state").fetchall())
            if states.get("failed"):
                (why,) = database.execute("SELECT error_message FROM tasks WHERE state = 'failed'").fetchone()
                raise NotMeasured(f"a task failed: {why}")
            if states.get("completed", 0) >= count:
                return
            time.sleep(0.1)
    raise NotMeasured(f"of {count} tasks {states} after {_ENDS_WITHIN_S:.0f} s")


def _ends(house: House) -> list[int]:
    with sqlite3.connect(house.database) as database:
        found = database.execute("SELECT finished_at FROM tasks ORDER BY finished_at").fetchall()
    return [int(finished_at) for (finished_at,) in found]


# --- in flight -----------------------------------------------------------------------------------------------------


def _in_flight(processes: Processes, cores: Cores, house: House) -> Figure:
    _fill(house.database)
    words = [str(Path(sys.executable).parent / "bytespike"), "serve"]
    gateway = processes.start("gateway", words, cores.measured, house.environment)
    processes.ready("gateway", gateway, house.port)
    time.sleep(SETTLE_S)
    told, cpu, began = _told(house), procfs.cpu_seconds(gateway.pid), time.monotonic()
    time.sleep(WATCH_S)
    seconds = time.monotonic() - began
    cpu, told = procfs.cpu_seconds(gateway.pid) - cpu, _told(house) - told
    memory = procfs.memory(gateway.pid).pss
    late_us = _late(house)
    processes.stop(gateway)
    if told < IN_FLIGHT / ESTIMATED_S * seconds:
        raise NotMeasured(f"{told} renders were asked for in {seconds:.0f} s")
    return Figure(
        case=f"tasks/{IN_FLIGHT:,} in flight",
        value=cpu / seconds * 100,
        unit="%",
        budget=IN_FLIGHT_CPU_PERCENT,
        cost=f"{cpu / told * 1e6:.0f} µs",
        rate=f"{told / seconds:.0f} polls/s",
        detail={
            "polls": told,
            "seconds": seconds,
            "cpu_seconds": cpu,
            "pss_bytes": memory,
            "latest_s": late_us / _MICROSECONDS,
        },
    )


def _told(house: House) -> int:
    """Events so far: each poll finds another progress."""
    with sqlite3.connect(house.database) as database:
        return int(database.execute("SELECT count(*) FROM task_events").fetchone()[0])


def _late(house: House) -> int:
    """How long the render that is due for longest has been due, microseconds."""
    with sqlite3.connect(house.database) as database:
        first = database.execute("SELECT min(due_at) FROM tasks WHERE due_at IS NOT NULL").fetchone()[0]
    return max(0, time.time_ns() // 1000 - int(first))


def _fill(path: Path) -> None:
    """Copies of a task that is over, as renders under way: begun over the last estimate, due over the next pause."""
    now_us = time.time_ns() // 1000
    with sqlite3.connect(path) as database:
        names = [str(row[1]) for row in database.execute("PRAGMA table_info(tasks)")]
        pattern = dict(zip(names, database.execute("SELECT * FROM tasks LIMIT 1").fetchone(), strict=True))
        pattern |= {"state": "running", "step": "poll", "ending": "", "output": "null", "found": "null"}
        pattern |= {"credits": 0, "finished_at": None, "claimed_by": None, "claimed_until": 0, "progress": 0}
        pattern |= {"estimated_seconds": ESTIMATED_S, "expires_at": now_us + 86_400 * _MICROSECONDS, "seq": 1}
        rows = []
        for number in range(IN_FLIGHT):
            begun = now_us - ESTIMATED_S * _MICROSECONDS * number // IN_FLIGHT
            due = now_us + ESTIMATED_S * _MICROSECONDS // 10 * number // IN_FLIGHT
            own = {"id": f"task_slow{number:022d}", "upstream_id": f"slow_{number}", "due_at": due}
            own |= {"started_at": begun, "created_at": begun, "updated_at": begun}
            rows.append([{**pattern, **own}[name] for name in names])
        columns = ", ".join(f'"{name}"' for name in names)
        marks = ", ".join("?" * len(names))
        database.executemany(f"INSERT INTO tasks ({columns}) VALUES ({marks})", rows)


def main(words: Sequence[str] | None = None) -> int:
    """0: within the budget; 1: not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tasks", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the folder in .bench")
    began = time.monotonic()
    figures = measure(keep=parser.parse_args(words).keep)
    print(report.table(figures))
    print(f"\nIt took {time.monotonic() - began:.0f} s.")
    return 0 if all(figure.within is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
