"""Command-line clients, run without a terminal: each run has a home and a work folder of its own.

They reach the gateway and nothing else: everything that is not on loopback goes to a proxy that is not there.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: A run takes one to ten seconds where nothing else runs.
RUN_SECONDS_MAX = 150
_NOWHERE = "http://127.0.0.1:9"
_LOOPBACK = "127.0.0.1,localhost"


@dataclass(frozen=True)
class Ran:
    """A run that is over. `said`: what it wrote to standard output."""

    code: int
    said: str
    complained: str

    def __str__(self) -> str:
        return f"exit {self.code}\n{self.said[-4000:]}\n--- standard error\n{self.complained[-4000:]}"


class Desk:
    """A home, and a work folder with a note in it that no prompt knows."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.work = folder / "work"
        self.home.mkdir()
        self.work.mkdir()
        self.secret = f"sesame-{secrets.token_hex(4)}"
        (self.work / "note.txt").write_text(f"{self.secret}\n")

    def write(self, path: str, text: str) -> None:
        """A file under the home."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> Ran:
        """Fails the test if it takes too long. Leaves none of its processes behind."""
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=self.work,
            env={**self._surroundings(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        timed_out = False
        try:
            said, complained = process.communicate(timeout=RUN_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            _end(process.pid)
        if timed_out:
            said, complained = process.communicate()
        ran = Ran(process.returncode, said, complained)
        assert not timed_out, f"not done after {RUN_SECONDS_MAX} s: {ran}"
        return ran

    def _surroundings(self) -> dict[str, str]:
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), _NOWHERE)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "NO_PROXY": _LOOPBACK,
            "no_proxy": _LOOPBACK,
            **proxies,
        }


def _end(group: int) -> None:
    """Whatever is left of a process group of ours."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
