"""Where the gateway's CPU goes in one case: `python -m benchmarks.profile CASE [SECONDS]`.

It runs the case's load on the gateway, as `python -m benchmarks` does, with py-spy beside it (installed under .bench at the
first use), and prints which functions were on the CPU, by their own time and with what they called. The stacks are
kept in .bench/profile-<case>.txt, a line each with a count: the format of flame graph tools.
"""

from __future__ import annotations

import collections
import re
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from benchmarks import measured
from benchmarks.cases import PEERS, QUICK, StreamCase, WholeCase
from benchmarks.processes import NotMeasured
from benchmarks.rounds import Run, target_of
from benchmarks.stage import WORK, stage
from benchmarks.subjects.gateway import Gateway

_PY_SPY = "py-spy==0.4.3"
_RATE = 500
_LINES = 45


def main(words: list[str]) -> int:
    """0: profiled; 2: not, and why."""
    if not words or words[0] not in measured.profiled():
        print(f"name one of {', '.join(measured.profiled())}", file=sys.stderr)
        return 2
    seconds = int(words[1]) if len(words) > 1 else 10
    case = measured.profiled()[words[0]]
    stacks = WORK / f"profile-{case.name.replace('/', '-')}.txt"
    try:
        program = _py_spy()
        with stage(keep=False) as ready:
            gateway = Gateway(ready.bench, measured.works([case.name], QUICK))
            run = Run(ready.floor, gateway, ready.loader, PEERS)
            command = [program, "record", "--pid", str(gateway.process.pid), "--format", "raw"]
            command += [
                "--rate",
                str(_RATE),
                "--duration",
                str(seconds),
                "--output",
                str(stacks),
                "--nonblocking",
            ]
            _load(run, case, seconds, command)
    except NotMeasured as problem:
        print(f"not profiled: {problem}", file=sys.stderr)
        return 2
    _tell(stacks.read_text().splitlines())
    print(f"\n{stacks}")
    return 0


def _load(run: Run, case: WholeCase | StreamCase, seconds: int, command: list[str]) -> None:
    """Loads the gateway for a little longer than py-spy looks."""
    spy = threading.Thread(target=subprocess.run, args=(command,), kwargs={"capture_output": True})
    if isinstance(case, WholeCase):
        target = target_of(run, run.subject, case.work)
        run.loader.whole(run.subject, target, case.work, connections=case.connections, seconds=2)
        spy.start()
        run.loader.whole(run.subject, target, case.work, connections=case.connections, seconds=seconds + 1)
    else:
        target = target_of(run, run.subject, case.many)
        spy.start()
        while spy.is_alive():
            run.loader.run(target, case.many, connections=case.connections, requests=case.connections)
    spy.join()


def _tell(lines: Iterable[str]) -> None:
    own: collections.Counter[str] = collections.Counter()
    whole: collections.Counter[str] = collections.Counter()
    total = 0
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if not count.isdecimal():
            # A stack that was read while it changed.
            continue
        # "function (file:line)" without the line.
        frames = [re.sub(r":\d+\)$", ")", frame) for frame in stack.split(";")]
        total += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    for title, counter in (("own time", own), ("with what it called", whole)):
        print(f"\n{title}, of {total} samples")
        for frame, count in counter.most_common(_LINES):
            print(f"{count / total:7.1%}  {frame}")


def _py_spy() -> str:
    """py-spy's path. Raises NotMeasured."""
    folder = WORK / "py-spy"
    program = folder / "bin" / "py-spy"
    if not program.exists():
        uv = Path(sys.executable).parent / "uv"
        steps = (
            [sys.executable, "-m", "venv", str(folder)],
            [str(uv), "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), _PY_SPY],
        )
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                raise NotMeasured(f"{_PY_SPY} could not be installed: {done.stderr.strip()[-300:]}")
    return str(program)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
