"""What a run starts, where, and that nothing of it is left."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks import prerequisites, procfs
from benchmarks.cases import AGENT_CASES, FULL, LONG_PAIRS, PAIRS, QUICK, STREAM_CASES, WHOLE_CASES
from benchmarks.measured import PEER_CASES, chosen, names, works
from benchmarks.prerequisites import Missing
from benchmarks.processes import Cores, NotMeasured, Processes, free_port
from benchmarks.subjects import litellm, portkey
from benchmarks.subjects.gateway import assign
from benchmarks.work import Work

FORKS = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)"


def _processes(folder: Path) -> Processes:
    return Processes("taskset", folder, folder)


@pytest.mark.parametrize(
    ("available", "cores"),
    [([0], Cores(0, 0, 0)), ([0, 1], Cores(0, 1, 1)), ([7, 3, 5, 9], Cores(3, 5, 7))],
)
def test_the_measured_server_has_a_core_to_itself_where_there_are_two(
    available: list[int], cores: Cores
) -> None:
    assert Cores.choose(available) == cores


def test_a_process_and_its_children_are_gone_when_the_block_fails(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    tree: list[int] = []
    with pytest.raises(ZeroDivisionError), _processes(tmp_path) as processes:
        process = processes.start("forks", [sys.executable, "-c", FORKS], core)
        deadline = time.monotonic() + 20
        while len(tree) < 2 and time.monotonic() < deadline:
            tree = procfs.tree(process.pid)
            time.sleep(0.02)
        assert len(tree) == 2
        assert os.sched_getaffinity(process.pid) == {core}
        raise ZeroDivisionError
    deadline = time.monotonic() + 10
    while any(_alive(pid) for pid in tree) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(_alive(pid) for pid in tree)


def _alive(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    with _processes(tmp_path) as processes:
        command = [sys.executable, "-c", "import sys; sys.exit('no such setting')"]
        process = processes.start("server", command, min(os.sched_getaffinity(0)))
        with pytest.raises(NotMeasured, match="server ended with 1: no such setting"):
            processes.ready("server", process, free_port())


def test_what_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(prerequisites, "_SEARCH", str(tmp_path))
    with pytest.raises(Missing, match="apt-get install wrk"):
        prerequisites.need("wrk")
    with pytest.raises(Missing, match=r"nginx, wrk: missing.*no apt-get here"):
        prerequisites.programs()


def test_cases_are_chosen_by_a_part_of_their_name() -> None:
    assert chosen(["agent", "idle"], FULL) == ["memory/idle", *(name for name in names() if "agent" in name)]
    assert chosen([], FULL) == names()
    assert set(chosen([], QUICK)) == set(names()) - set(QUICK.left_out)
    assert set(QUICK.left_out) < set(names())
    assert set(PEER_CASES) < set(names())


def test_every_pair_is_measured_whole_and_streamed() -> None:
    for kind in ("unary", "stream-burst"):
        found = {
            case.pair: case
            for case in (*WHOLE_CASES, *STREAM_CASES)
            if case.name.startswith(f"{kind}/") and case.pair is not None
        }
        assert set(found) == set(PAIRS)
        assert {pair for pair, case in found.items() if not case.brief} == set(LONG_PAIRS)


def test_a_case_is_the_work_that_its_pair_says() -> None:
    assert len(PAIRS) == len(set(PAIRS)) == 16
    for case in (*WHOLE_CASES, *AGENT_CASES):
        if case.pair is not None:
            assert case.pair == (case.work.client, case.work.upstream)
            assert case.budget == (8.0 if case.unit == "ms" else 10.0) or not case.work.translated
            assert not case.work.store
    for case in STREAM_CASES:
        assert case.pair == (case.few.client, case.few.upstream) == (case.many.client, case.many.upstream)


def test_a_full_run_measures_every_case_and_a_part_of_the_name_chooses_pairs() -> None:
    assert chosen(["-to-gemini"], FULL) == [name for name in names() if name.endswith("-to-gemini")]
    assert len(chosen(["unary/"], FULL)) == len(PAIRS) + 1
    assert len(names()) == len(set(names()))


def test_the_gateway_has_a_model_for_every_upstream_and_manner() -> None:
    work = works(names(), FULL)
    models = assign(work)
    assert {(one.upstream, one.manner) for one in work} == set(models)
    assert len(set(models.values())) == len(models)


def test_peers_deployments_have_names_of_their_own() -> None:
    work: list[Work] = works(PEER_CASES, FULL)
    names_of = {(one.upstream, one.manner): litellm.model_name(one) for one in work}
    assert len(set(names_of.values())) == len(names_of)


def test_peers_are_pinned() -> None:
    assert all("==" in line for line in litellm.PINS.read_text().split())
    assert litellm.pinned("litellm")[0].isdigit()
    assert portkey.pinned()[0].isdigit()
