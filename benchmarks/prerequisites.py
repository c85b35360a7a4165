"""Programs that are not Python's: found, or installed from Debian's packages, or asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

#: Debian keeps nginx out of an ordinary user's PATH.
_SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"])
#: A program, and the packages that hold it, the lightest first.
_PACKAGES = {"nginx": ("nginx-light", "nginx"), "wrk": ("wrk",), "node": ("nodejs",), "npm": ("npm",)}
_BENCHMARK = ("nginx", "wrk")
_INSTALL_SECONDS_MAX = 240


class Missing(RuntimeError):
    """Something that is needed is not there; the message says what to install."""


def programs() -> dict[str, str]:
    """Paths of nginx, wrk and taskset. Installs the first two where they are missing and that is possible.

    Raises Missing.
    """
    provide(_BENCHMARK)
    return {name: need(name) for name in (*_BENCHMARK, "taskset")}


def provide(names: Sequence[str]) -> None:
    """Install those of `_PACKAGES` that are missing. Raises Missing."""
    absent = [name for name in names if which(name) is None]
    if absent:
        _install(absent)


def which(name: str) -> str | None:
    """A program's path, with the folders of system programs searched too."""
    return shutil.which(name, path=_SEARCH)


def need(name: str) -> str:
    """A program's path. Raises Missing."""
    path = which(name)
    if path is None:
        packages = " or ".join(_PACKAGES.get(name, ("util-linux" if name == "taskset" else name,)))
        raise Missing(f"{name} is missing: install the package {packages} (apt-get install {packages})")
    return path


def _install(names: Sequence[str]) -> None:
    apt = which("apt-get")
    prefix = _as_root()
    wanted = ", ".join(names)
    if apt is None or prefix is None:
        why = "there is no apt-get here" if apt is None else "that takes root or sudo"
        raise Missing(f"{wanted}: missing, and not installed because {why}. Install: {wanted}")
    print(f"installing {wanted} …", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run([*prefix, apt, "update", "-qq"], environment)
    install = [*prefix, apt, "install", "-y", "-qq", "--no-install-recommends"]
    for name in names:
        if not any(_run([*install, package], environment) for package in _PACKAGES[name]):
            raise Missing(f"{name}: apt-get could not install {' or '.join(_PACKAGES[name])}")


def _as_root() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    sudo = which("sudo")
    if sudo is not None and _run([sudo, "-n", "true"], dict(os.environ)):
        return [sudo, "-n"]
    return None


def _run(command: Sequence[str], environment: dict[str, str]) -> bool:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=_INSTALL_SECONDS_MAX, check=False
    )
    if done.returncode:
        print(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}", flush=True)
    return done.returncode == 0
