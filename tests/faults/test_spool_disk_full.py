"""A disk that takes no more: receipts wait in memory, then no more work is taken on, and all of it is written later.

The limit is the kernel's own on the size of files (RLIMIT_FSIZE), in a child process: spool and database hit it both.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from bytespike.ledger import doctor
from tests.support.ledger_house import USD, house, key_record, running

LIMITED = """
import asyncio, json, resource, sys
from pathlib import Path
from bytespike.clock import SystemClock
from bytespike.errors import InternalError
from bytespike.ledger.ledger import Ledger
from tests.support.ledger_house import House, key_record

BYTES = 60_000

async def main(folder):
    built = House(Path(folder))
    built.clock = SystemClock()
    ledger = Ledger(built.engine, built.spool(backlog_max=50), built.clock, drain_interval_ms=10**6, sync_interval_ms=10**6)
    await ledger.start()
    account = await ledger.open(key_record())
    resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES, resource.RLIM_INFINITY))
    served = 0
    try:
        while True:
            built.spend(ledger, account, f"r{served:04d}", 2)
            served += 1
    except InternalError as error:
        refused = str(error)
    full = ledger.stats()
    size = max(path.stat().st_size for path in built.spool_dir.glob("*.log"))
    try:
        await ledger.flush()
        drained = True
    except Exception:
        drained = False
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ledger._spool.retry()
    built.spend(ledger, account, f"r{served:04d}", 2)
    served += 1
    again = ledger.stats()
    await ledger.stop()
    await built.engine.dispose()
    print(json.dumps([served, refused, full.unwritten, full.spool_records, size <= BYTES, drained, again.unwritten]))

asyncio.run(main(sys.argv[1]))
"""


def test_a_full_disk_stops_new_work_and_loses_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(1 * USD)
            await built.add_key(key_record())
            root = Path(__file__).parents[2]
            child = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-c", LIMITED, str(tmp_path)],
                capture_output=True,
                cwd=root,
                check=False,
                timeout=60,
            )
            assert child.returncode == 0, child.stderr.decode()
            served, refused, unwritten, waiting, within, drained, again = json.loads(
                child.stdout.decode().splitlines()[-1]
            )
            assert "spool" in refused
            assert unwritten == 50
            assert waiting == served - 1 > 100
            assert within
            assert not drained  # the database could not grow either
            assert again == 0
            async with running(built):
                assert await built.usage_ids() == [f"r{number:04d}" for number in range(served)]
                assert await built.balance() == 1 * USD - 2 * served
            assert (await doctor.examine(built.engine, built.spool_dir)).ok

    asyncio.run(main())
