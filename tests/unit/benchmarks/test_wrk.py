"""What the harness tells wrk, and what it takes from wrk's output."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import wrk
from benchmarks.processes import NotMeasured
from benchmarks.work import Target

CLEAN = "figures requests=61234 duration_us=3001500 bytes=1 connect=0 read=0 write=0 status=0 timeout=0"
OUTPUT = f"""Running 3s test @ http://127.0.0.1:4711
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.02ms  201.11us   4.01ms   81.10%
  61234 requests in 3.00s, 30.11MB read
Requests/sec:  20401.13
{CLEAN}
"""


def test_figures_are_read_from_the_scripts_own_line() -> None:
    load = wrk.parse(OUTPUT)
    assert load == wrk.Load(requests=61234, seconds=3.0015)


@pytest.mark.parametrize("error", ["connect", "read", "write", "status", "timeout"])
def test_one_error_spoils_the_run(error: str) -> None:
    with pytest.raises(NotMeasured, match=f"1 of {error}"):
        wrk.parse(OUTPUT.replace(f"{error}=0", f"{error}=1"))


def test_no_answer_is_no_figure() -> None:
    with pytest.raises(NotMeasured, match="no request"):
        wrk.parse(OUTPUT.replace("requests=61234", "requests=0"))


@pytest.mark.parametrize(
    "output", ["", "unable to connect", OUTPUT.replace(" timeout=0", ""), OUTPUT + CLEAN]
)
def test_anything_but_one_whole_line_of_figures_is_refused(output: str) -> None:
    with pytest.raises(NotMeasured):
        wrk.parse(output)


def test_the_script_sends_what_the_target_says() -> None:
    target = Target(4711, "/v1/messages", (("x-api-key", 'a"b\\c'),), b"{}")
    script = wrk.script(target, Path("/tmp/body"))
    assert 'wrk.method = "POST"' in script
    assert 'wrk.path = "/v1/messages"' in script
    assert r'wrk.headers["x-api-key"] = "a\"b\\c"' in script
    assert 'io.open("/tmp/body", "rb")' in script


def test_a_header_that_would_leave_its_string_is_refused() -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        wrk.script(Target(1, "/", (("a", "b\nos.exit()"),), b""), Path("/tmp/body"))


def test_a_run_is_one_pinned_thread(tmp_path: Path) -> None:
    command = wrk.Wrk(("taskset", "-c", "1", "wrk"), tmp_path).command(
        Target(4711, "/", (), b"body"), connections=8, seconds=3
    )
    assert command[:6] == ["taskset", "-c", "1", "wrk", "-t", "1"]
    assert command[command.index("-c", 4) + 1] == "8"
    assert command[command.index("-d") + 1] == "3s"
    assert command[-1] == "http://127.0.0.1:4711"
    assert [path.read_bytes() for path in tmp_path.glob("*.body")] == [b"body"]
