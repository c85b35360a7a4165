"""What the harness reads from /proc."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks import procfs


def _line(pid: int, name: str, parent: int, times: tuple[int, int, int, int]) -> str:
    """proc_pid_stat(5): pid, name, state, parent, 9 fields that do not matter, 4 times, and more."""
    between = " ".join(str(900 + number) for number in range(9))
    return f"{pid} ({name}) S {parent} {between} {' '.join(map(str, times))} 20 0 1 0 123456 0 0"


def test_cpu_is_own_time_and_that_of_ended_children() -> None:
    stat = procfs.parse_stat(_line(4242, "nginx", 17, (100, 20, 3, 4)))
    assert stat == procfs.Stat(pid=4242, parent=17, ticks=127)


def test_a_name_with_spaces_and_brackets_does_not_shift_the_fields() -> None:
    stat = procfs.parse_stat(_line(7, "a) S 1 (b", 3, (1, 2, 0, 0)))
    assert (stat.pid, stat.parent, stat.ticks) == (7, 3, 3)


def test_sizes_are_bytes() -> None:
    text = "55df-7ffe ---p 00000000 00:00 0   [rollup]\nRss:    1752 kB\nPss:     301 kB\nVmFlags: rd ex\n"
    assert procfs.parse_sizes(text) == {"Rss": 1752 * 1024, "Pss": 301 * 1024}


def test_waiting_for_a_disk_is_not_being_busy() -> None:
    text = "cpu  100 1 50 800 40 2 3 4 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    assert procfs.parse_busy(text) == (160, 1000)


def test_a_tree_is_a_process_and_all_below_it_and_nothing_beside() -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 10, 13: 11, 20: 1, 21: 20}
    assert sorted(procfs.descendants(10, parents)) == [10, 11, 12, 13]


def test_a_busy_child_counts_for_its_parent_while_it_lives_and_when_it_has_ended() -> None:
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
    parent = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {burn + 'input()'!r}], stdin=subprocess.PIPE)\n"
        "sys.stdin.readline(); child.communicate(b'\\n'); print('reaped', flush=True); sys.stdin.readline()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        deadline = time.monotonic() + 20
        while procfs.cpu_seconds(process.pid) < 0.3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(procfs.tree(process.pid)) == 2
        living = procfs.cpu_seconds(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"reaped\n"
        assert procfs.tree(process.pid) == [process.pid]
        assert procfs.cpu_seconds(process.pid) >= living >= 0.3
    finally:
        process.kill()
        process.communicate()


def test_memory_of_this_process_is_some() -> None:
    memory = procfs.memory(os.getpid())
    assert 1_000_000 < memory.pss <= memory.rss
