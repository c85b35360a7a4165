"""`kill -9` while requests are posted: what a caller was told of is in the books, once.

A child process posts in a loop and writes each request id to its standard output after `post` has returned, as a
gateway hands over the last byte after it. The drain runs all the while, so that the kill also hits it at work.
"""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from bytespike.ledger import doctor
from tests.support.ledger_house import USD, House, house, key_record, running

ROUNDS = 6
CREDITS = 3
#: Reported before each kill, at least, however slow the machine is.
REPORTED = 101

POSTER = """
import asyncio, os, sys
from pathlib import Path
from bytespike.clock import SystemClock
from bytespike.ledger.ledger import Ledger
from bytespike.observe.logs import configure_logs
from tests.support.ledger_house import House, attempt_for, key_record, receipt_for

configure_logs("error", "json")  # to standard error

async def main(folder, name):
    built = House(Path(folder))
    built.clock = SystemClock()
    spool = built.spool(segment_bytes_max=30_000)
    ledger = Ledger(built.engine, spool, built.clock, drain_interval_ms=3, sync_interval_ms=20)
    await ledger.start()
    account = await ledger.open(key_record())
    os.write(1, b"started\\n")
    for number in range(1_000_000):
        request = f"{name}-{number:06d}"
        hold = ledger.hold(account, request, 5)
        now_us = built.clock.now_us()
        if number % 10 == 9:
            ledger.void(hold, (attempt_for(hold, now_us, outcome="failed", status=500),))
        else:
            ledger.post(hold, receipt_for(hold, now_us, 3), (attempt_for(hold, now_us),))
            os.write(1, request.encode() + b"\\n")
        if number % 5 == 0:
            await asyncio.sleep(0.002)

asyncio.run(main(*sys.argv[1:]))
"""


def posted_until_killed(folder: Path, name: str, seconds: float) -> list[str]:
    """The ids that the child had reported when it was killed."""
    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", POSTER, str(folder), name], stdout=subprocess.PIPE, cwd=root
    )
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == b"started\n"
        until = time.monotonic() + seconds
        reported: list[str] = []
        while time.monotonic() < until or len(reported) < REPORTED:
            reported.append(child.stdout.readline().decode().strip())
        child.send_signal(signal.SIGKILL)
        reported += child.stdout.read().decode().split()
    assert child.returncode == -signal.SIGKILL
    return reported


async def assert_each_once(built: House, reported: list[str]) -> None:
    found = Counter(await built.usage_ids())
    assert not [request for request in reported if found[request] != 1]
    # A receipt may be durable without its caller having been told: one for each death.
    assert len(found) - len(reported) <= ROUNDS
    assert await built.balance() == 100 * USD - CREDITS * len(found)
    assert await built.spent() == CREDITS * len(found)
    assert (await doctor.examine(built.engine, built.spool_dir)).ok


@pytest.mark.slow
def test_what_was_reported_before_a_kill_is_in_the_books_exactly_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(100 * USD)
            await built.add_key(key_record())
            reported: list[str] = []
            for number in range(ROUNDS):
                seconds = random.Random(number).uniform(0.1, 0.7)
                reported += await asyncio.to_thread(posted_until_killed, tmp_path, f"life{number}", seconds)
                if number % 2:  # else the next child recovers, or the one after it
                    async with running(built):
                        await assert_each_once(built, reported)
            assert len(reported) >= REPORTED * ROUNDS
            async with running(built):
                pass
            await assert_each_once(built, reported)
            assert list(built.spool_dir.glob("*.log")) == []

    asyncio.run(main())
