"""What one program leaves to the next, and the question whether the next one would start."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from bytespike.cli.handover import (
    HELD_BACK,
    VARIABLE,
    Handover,
    hold_back,
    let_in,
    pending,
    program,
    sockets_of,
    taken_over,
)
from bytespike.cli.main import app
from bytespike.cli.workers import listening_sockets, more_sockets
from bytespike.settings.values import ENV_PREFIX


def test_what_is_left_is_taken_once_and_is_no_longer_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        readable, writable = os.pipe()
        shared = os.dup(readable)
        left = Handover(
            address=("127.0.0.1", 0),
            sockets=(os.dup(listening.fileno()),),
            lifeline=readable,
            held=writable,
            shared=shared,
            workers=((0, 101), (1, 102)),
            leaving=((2, 103),),
        )
        for descriptor in left.descriptors:
            os.set_inheritable(descriptor, True)
        monkeypatch.setenv(VARIABLE, msgspec.json.encode(left).decode())
        assert pending()
        taken = taken_over()
        assert taken == left
        assert not pending()
        assert taken_over() is None
        assert not any(os.get_inheritable(descriptor) for descriptor in taken.descriptors)
        (found,) = sockets_of(taken)
        with closing(found):
            assert found.getsockname() == listening.getsockname()
        for descriptor in (readable, writable, shared):
            os.close(descriptor)


def test_the_variable_is_no_setting() -> None:
    assert not VARIABLE.startswith(ENV_PREFIX)


def test_the_next_program_is_this_one_with_its_words() -> None:
    assert Path(program()[0]).name.startswith("python")
    assert len(program()) > 1


def test_signals_wait_in_between_and_come_after() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: came.append(number))
    try:
        hold_back()
        signal.raise_signal(signal.SIGHUP)
        assert came == []
        assert signal.SIGHUP in signal.sigpending()
        assert set(HELD_BACK) == {signal.SIGHUP, signal.SIGTERM, signal.SIGINT}
    finally:
        let_in()
        signal.signal(signal.SIGHUP, before)
    assert came == [signal.SIGHUP]


def test_more_sockets_are_at_the_same_address() -> None:
    first = listening_sockets("127.0.0.1", 0, 1)
    more = more_sockets(first[0], 2)
    try:
        assert {each.getsockname() for each in more} == {first[0].getsockname()}
    finally:
        for each in (*first, *more):
            each.close()


def test_serve_check_starts_nothing(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["serve", "--check", "--data-dir", str(tmp_path / "new")])
    assert done.exit_code == 0
    assert not (tmp_path / "new").exists()


def test_serve_check_names_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "bytespike.toml").write_text("workers = 'many'\n")
    done = CliRunner().invoke(app, ["serve", "--check", "--data-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "workers" in done.output
