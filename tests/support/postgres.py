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


@contextmanager
def postgres() -> Generator[str]:
    """Runs a server; gives the URL of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="bytespike-pg-"))
    user = _user()
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    try:
        _run(["initdb", "-D", str(data), "-U", "bytespike", "-A", "trust", "-E", "UTF8", "--no-sync"], user)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=200"
        _run(["pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start"], user)
        try:
            yield f"postgresql://bytespike@/postgres?host={folder}"
        finally:
            _run(["pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop"], user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
