"""A PostgreSQL of the tests' own: on a Unix socket in a temporary folder, gone when the block ends."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
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

        def limit(pid: int) -> None:
            # By its own user: root of a container may not do this to others.
            words = ["prlimit", f"--pid={pid}", f"--fsize={size}:unlimited"]
            code = _tried(words, self._user)
            assert code == 0 or not Path(f"/proc/{pid}").exists(), f"prlimit failed with {code}"

        self._to_each(limit)

    def signal(self, number: signal.Signals) -> None:
        """To all of its processes."""

        def send(pid: int) -> None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

        self._to_each(send)

    def _to_each(self, action: Callable[[int], None]) -> None:
        """Of its processes: to the one that starts all others first, so that none comes later that was not seen. Others
        end when they like."""
        first = int((self._data / "postmaster.pid").read_text("ascii").split("\n", 1)[0])
        action(first)
        for word in Path(f"/proc/{first}/task/{first}/children").read_text("ascii").split():
            action(int(word))


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
    code = _tried(words, user)
    assert code == 0, f"{words[0]} failed with {code}"


def _tried(words: list[str], user: str | None) -> int:
    """Its return code."""
    path = program(words[0])
    assert path is not None, f"{words[0]} is not installed"
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
    return done.returncode
