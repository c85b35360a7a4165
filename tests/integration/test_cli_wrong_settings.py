"""A wrong setting stops the boot, by name: as a process sees it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine

KEPT = {name: value for name, value in os.environ.items() if not name.startswith("BYTESPIKE_")}


def bytespike(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bytespike.cli.main", *words],
        env={**KEPT, "DATA_DIR": str(folder), "PORT": "0", **env},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.mark.slow
def test_serve_stops_with_every_problem_on_a_line_of_its_own_and_nothing_made(tmp_path: Path) -> None:
    done = bytespike(
        *(tmp_path / "data", "serve", "--log-level", "loud"),
        PORT="eighty",
        BYTESPIKE_MASTER_KEY="hunter2",
        BYTESPIKE_DATABASE_ULR="sqlite:///x",
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert sorted(done.stderr.splitlines()) == [
        "bytespike: --log-level: 'loud' is not acceptable; expected debug, info, warning or error",
        "bytespike: BYTESPIKE_DATABASE_ULR: not a setting; did you mean BYTESPIKE_DATABASE_URL?",
        "bytespike: BYTESPIKE_MASTER_KEY: the value (hidden) is not acceptable; expected 32 bytes in base64 or "
        "hexadecimal",
        "bytespike: PORT: 'eighty' is not acceptable; expected an integer from 0 to 65535",
    ]
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_master_key_that_others_may_read_stops_the_boot(tmp_path: Path) -> None:
    CommandLine(tmp_path).answer("init")
    (tmp_path / "master.key").chmod(0o644)
    done = bytespike(tmp_path, "serve")
    assert done.returncode == 1
    assert "chmod 600" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_object_store_that_cannot_be_used_stops_the_boot(tmp_path: Path, workers: str) -> None:
    """Its account is in none of the provider's variables."""
    done = bytespike(
        tmp_path, "serve", "--workers", workers, BYTESPIKE_OBJECT_STORE_URL="az://container/media"
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()[-1:]
    assert line.startswith("bytespike: object_store_url: ")
    assert "Account" in line
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_another_master_key_stops_the_boot(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    line.answer("init")
    told = line.refusal("keys", "list", env={"BYTESPIKE_MASTER_KEY": "ab" * 32})
    assert "master key is not the one" in told
    assert "ab" * 32 not in told


@pytest.mark.slow
def test_a_wrong_command_is_a_usage_error(tmp_path: Path) -> None:
    for words in (("keys", "list", "--colour"), ("keys", "create")):
        CommandLine(tmp_path).refusal(*words, code=2)
    done = bytespike(tmp_path, "keys", "lst")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr


@pytest.mark.slow
def test_a_port_that_is_taken_is_told_and_ends_with_1(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = bytespike(tmp_path, "serve", PORT=str(taken.getsockname()[1]))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("bytespike: address already in use")
