"""The facts without which a figure means nothing: machine, versions, commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

from benchmarks import procfs
from benchmarks.prerequisites import which

_PACKAGES = ("uvicorn", "uvloop", "httptools", "msgspec", "sqlalchemy", "aiosqlite")


def facts(root: Path) -> dict[str, object]:
    """Machine, kernel, Python, packages, and the commit of the checkout at `root`."""
    memory = procfs.parse_sizes(Path("/proc/meminfo").read_text())
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory["MemTotal"] / 1e9, 1),
        "kernel": platform.release(),
        "nginx": _first_line("nginx", "-v").rpartition("/")[2],
        "wrk": _first_line("wrk", "-v").split("[")[0].strip(),
        "python": platform.python_version(),
        "data_path": _data_path(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "commit": _git(root, "rev-parse", "HEAD"),
        "changed_files": len(_git(root, "status", "--porcelain", "--", "src").splitlines()),
        "load_average": os.getloadavg()[0],
    }


def _data_path() -> str:
    """In which form the gateway's own modules are measured."""
    origin = find_spec("bytespike.pipeline.life")
    compiled = origin is not None and (origin.origin or "").endswith(EXTENSION_SUFFIXES[0])
    return "compiled" if compiled else "interpreted"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _first_line(name: str, option: str) -> str:
    """What a program says about itself; wrk does so with exit code 1."""
    path = which(name)
    if path is None:
        return "absent"
    done = subprocess.run([path, option], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).partition("\n")[0]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 else "unknown"
