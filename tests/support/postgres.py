"""A PostgreSQL of the tests' own: on a Unix socket in a temporary folder, gone when the block ends."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

#: Where Debian's packages put it, beside the search path.
_PLACES = (Path("/usr/local/bin"), *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
#: Who runs it where we are root, which it refuses.
_USERS = ("postgres", "nobody")


def program(name: str) -> str | None:
    """The path of one of PostgreSQL's programs."""
    found = shutil.which(name)
    if found is not None:
        return found
    return next((str(place / name) for place in _PLACES if (place / name).exists()), None)


def installed() -> bool:
    return program("initdb") is not None and program("pg_ctl") is not None


class Server:
    """One that runs, and may be stopped and started again. `url`: an empty database of it."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self.url = f"postgresql://bytespike@/postgres?host={folder}"
        self._folder = folder
        self._user = user
        self._data = folder / "data"

    def make(self, *words: str) -> None:
        """Its folder; `words` for initdb."""
        who = ["-U", "bytespike", "-A", "trust", "-E", "UTF8", "--no-sync"]
        _run(["initdb", "-D", str(self._data), *who, *words], self._user)

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off -c max_connections=200"
        log = str(self._folder / "log")
        _run(["pg_ctl", "-D", str(self._data), "-o", options, "-l", log, "-w", "start"], self._user)

    def stop(self) -> None:
        """As if its machine went down: nobody is waited for."""
        _run(["pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop"], self._user)

    def limit_files(self, size: str) -> None:
        """From now on it makes no file larger than this, bytes, or "unlimited"."""
        for pid in self.processes():
            # By its own user: root of a container may not do this to others.
            _run(["prlimit", f"--pid={pid}", f"--fsize={size}:unlimited"], self._user)

    def processes(self) -> list[int]:
        """Process ids: the one that accepts, then those that it has started."""
        first = int((self._data / "postmaster.pid").read_text("ascii").split("\n", 1)[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text("ascii")
        return [first, *(int(word) for word in children.split())]


@contextmanager
def server(*words: str) -> Generator[Server]:
    """Runs one; `words` for initdb."""
    folder = Path(tempfile.mkdtemp(prefix="bytespike-pg-"))
    user = _user()
    if user is not None:
        shutil.chown(folder, user)
    try:
        running = Server(folder, user)
        running.make(*words)
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres() -> Generator[str]:
    """Runs a server; gives the URL of an empty database."""
    with server() as running:
        yield running.url


def _user() -> str | None:
    if os.getuid() != 0:
        return None
    known = {each.pw_name for each in pwd.getpwall()}
    return next(name for name in _USERS if name in known)


def _run(words: list[str], user: str | None) -> None:
    path = program(words[0])
    assert path is not None
    done = subprocess.run(
        [path, *words[1:]],
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        cwd="/",
        check=False,
    )
    assert done.returncode == 0, f"{words[0]} failed with {done.returncode}"
