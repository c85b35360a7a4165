"""The simulator as a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from bytespike.providers.simulator.__main__ import main
from bytespike.providers.simulator.server import Simulator
from tests.support.simulator_http import poster

COMMAND = [sys.executable, "-m", "bytespike.providers.simulator"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_serves_and_stops_when_told(number: signal.Signals) -> None:
    command = [*COMMAND, "--port", "0", "--seed", "3", "--profile", "text=as told", "--observe"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().removeprefix("simulator at ").strip()
            post = poster(base_url)
            body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
            answer = post("/v1/chat/completions", body, {"authorization": "Bearer k"})
            assert answer.json["choices"][0]["message"]["content"] == "as told"
            assert len(post("/_sim/requests", method="GET").json["requests"]) == 1
            process.send_signal(number)
            assert process.wait(10) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""
        finally:
            process.kill()


def received(connection: socket.socket) -> tuple[bytes, str]:
    """All that comes, and how the connection ends."""
    data = b""
    try:
        while more := connection.recv(65536):
            data += more
    except ConnectionResetError:
        return data, "reset"
    return data, "closed"


def test_a_broken_stream_is_reset_under_the_process_own_loop_too() -> None:
    command = [*COMMAND, "--port", "0", "--profile", "tokens=100 break_after=3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().removeprefix("simulator at ").strip()
            address = urlsplit(base_url)
            body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"Hello"}]}'
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\ncontent-length: {len(body)}"
            with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
                connection.sendall(head.encode() + b"\r\n\r\n" + body)
                data, how = received(connection)
            assert (data.count(b"data: "), how) == (3, "reset")
        finally:
            process.terminate()
            process.wait(10)
            assert process.stderr is not None
            assert process.stderr.read() == ""


def test_a_wrong_profile_is_named_and_stops_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--profile", "colour=red"]) == 2
    assert "unknown option `colour`" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    assert f"127.0.0.1:{port}" in capsys.readouterr().err


def test_on_a_thread_too_a_port_that_is_taken_is_told() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="address already in use"),
        Simulator(taken.getsockname()[1]),
    ):
        pass


def test_a_simulator_can_be_started_again() -> None:
    simulator = Simulator()
    for _ in range(2):
        with simulator:
            assert (
                poster(simulator.base_url)(
                    "/v1/models", headers={"authorization": "Bearer k"}, method="GET"
                ).status
                == 200
            )
