"""The order in which the files of tests are taken up: the longest first, so that all processes end at about the same time.

A file's tests run in one process (`--dist loadfile`); a long one that is begun last would be waited for alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

#: Measured with `--junitxml` on two cores, seconds. The others take less than a minute; it need not be exact.
SECONDS = {
    "integration/test_workers.py": 75,
    "integration/test_workers_wallets.py": 70,
    "faults/test_kill_workers.py": 120,
    "faults/test_graceful_restart.py": 120,
    "faults/test_escrow_kill.py": 60,
    "integration/test_deadlines_silence.py": 55,
    "integration/test_images_billed.py": 50,
    "integration/test_sdk_matrix.py": 48,
    "golden/openai_responses/test_responses_traffic.py": 45,
    "integration/test_cli_demo.py": 45,
    "faults/test_tasks_kill.py": 44,
    "property/test_cross_hostile_bytes.py": 41,
    "faults/test_fault_matrix.py": 39,
    "unit/tasks/test_lives.py": 33,
    "integration/test_routing.py": 31,
    "integration/test_supervisor.py": 30,
    "integration/test_routing_workers.py": 30,
    "property/test_ledger_shared_machine.py": 45,
    "faults/test_outage_sqlite.py": 45,
    "faults/test_outage_postgres.py": 45,
}

TESTS = Path(__file__).parents[1]


def seconds_of(path: Path) -> int:
    """0: not one of the longest."""
    return SECONDS.get(path.relative_to(TESTS).as_posix(), 0) if path.is_relative_to(TESTS) else 0


def absent() -> Iterable[str]:
    """Names in the table that are no files any more."""
    return [name for name in SECONDS if not (TESTS / name).is_file()]
