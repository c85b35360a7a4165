"""wrk as the load for whole answers: a script per target, and one line of figures per run.

The script gives wrk one static request, so that Lua runs only at the end, where it prints what wrk counted as `figures
name=value …`. wrk counts an answer above 399 as an error of status.
"""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

from benchmarks.processes import NotMeasured
from benchmarks.work import Target

_DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    "figures requests=%d duration_us=%d bytes=%d connect=%d read=%d write=%d status=%d timeout=%d\\n",
    summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout))
end
"""
_ERRORS = ("connect", "read", "write", "status", "timeout")
_NAMES = {"requests", "duration_us", "bytes", *_ERRORS}
_TIMEOUT_SECONDS = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """One run of wrk: answers, and the seconds that they took together."""

    requests: int
    seconds: float


def parse(output: str) -> Load:
    """wrk's output to figures. Raises NotMeasured when anything but clean answers came."""
    lines = [line for line in output.splitlines() if line.startswith("figures ")]
    if len(lines) != 1:
        raise NotMeasured(f"wrk printed no figures: {output.strip()[-500:]}")
    figures: dict[str, int] = {}
    for pair in lines[0].split()[1:]:
        name, _, value = pair.partition("=")
        figures[name] = int(value)
    if figures.keys() != _NAMES:
        raise NotMeasured(f"wrk printed other figures than expected: {lines[0]}")
    errors = {name: figures[name] for name in _ERRORS if figures[name]}
    if errors:
        told = ", ".join(f"{count} of {name}" for name, count in errors.items())
        raise NotMeasured(f"wrk counted errors among {figures['requests']} answers: {told}")
    if not figures["requests"]:
        raise NotMeasured("wrk completed no request")
    return Load(figures["requests"], figures["duration_us"] / 1e6)


def script(target: Target, body: Path) -> str:
    """The Lua script that sends `target` with the body in the file `body`."""
    lines = ['wrk.method = "POST"', f"wrk.path = {_lua(target.path)}"]
    lines += [f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in target.headers]
    lines += [
        f'local file = assert(io.open({_lua(str(body))}, "rb"))',
        'wrk.body = file:read("*a")',
        "file:close()",
    ]
    return "\n".join(lines) + "\n" + _DONE


def _lua(text: str) -> str:
    """A Lua string literal."""
    if not text.isprintable() or not text.isascii():
        raise ValueError("only printable ASCII goes into a wrk script")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclasses.dataclass(frozen=True, slots=True)
class Wrk:
    """How wrk is run: pinned to `core` by `prefix`, with scripts in `work`."""

    prefix: tuple[str, ...]
    work: Path

    def run(self, target: Target, *, connections: int, seconds: float) -> Load:
        """Loads `target` with so many connections, each sending its next request when it has its answer.

        Raises NotMeasured.
        """
        command = self.command(target, connections=connections, seconds=seconds)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=seconds + 2 * _TIMEOUT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise NotMeasured("wrk did not end") from None
        if done.returncode:
            raise NotMeasured(
                f"wrk ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-500:]}"
            )
        return parse(done.stdout)

    def command(self, target: Target, *, connections: int, seconds: float) -> list[str]:
        """The command of a run; its files are written."""
        name = hashlib.sha256(repr(target).encode()).hexdigest()[:16]
        body, lua = self.work / f"{name}.body", self.work / f"{name}.lua"
        if not lua.exists():
            body.write_bytes(target.body)
            lua.write_text(script(target, body))
        whole = f"{max(1, round(seconds))}s"
        options: Mapping[str, str] = {"-t": "1", "-c": str(connections), "-d": whole, "-s": str(lua)}
        flat = [word for pair in options.items() for word in pair]
        return [*self.prefix, *flat, "--timeout", f"{_TIMEOUT_SECONDS}s", f"http://127.0.0.1:{target.port}"]
