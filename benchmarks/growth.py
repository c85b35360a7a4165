"""`python -m benchmarks.growth`: what a request costs a gateway that has grown, beside one that is new.

Both are started side by side on the same core and are asked in turns. The new one has a key and five channels; the grown one has a million keys, five thousand
channels that serve the model asked for, and a million receipts (or as many as are asked for). The figure is its CPU per
request, times the other's.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sqlite3
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from benchmarks import prerequisites, report
from benchmarks.cases import FULL, GROWTH, GROWTH_WORK
from benchmarks.figures import Figure, Sample, median_ratio, told
from benchmarks.generated_rows import generate
from benchmarks.load import Loader
from benchmarks.processes import NotMeasured
from benchmarks.rounds import Run, target_of
from benchmarks.stage import stage
from benchmarks.subjects.gateway import Gateway
from benchmarks.work import Target
from bytespike.accounts.master_key import read_private
from bytespike.accounts.routes import channel_place
from bytespike.accounts.secrets import SecretBox
from bytespike.settings.kinds import decode_key

KEYS = 1_000_000
CHANNELS = 5_000
#: What a new installation has. With one alone there would be nothing to choose from.
FEW_CHANNELS = 5
ROWS = 1_000_000
ROUNDS = 3
SECONDS = 2
CONNECTIONS = 32
_CREDENTIAL = "sk-upstream"


def measure(rows: int = ROWS, *, keep: bool = False) -> Figure:
    """Raises NotMeasured, Missing."""
    with stage(keep=keep) as ready:
        new = Gateway(
            ready.bench, [GROWTH_WORK], folder="new", furnish=partial(_with_channels, count=FEW_CHANNELS)
        )
        grown = Gateway(ready.bench, [GROWTH_WORK], folder="grown", furnish=partial(_grow, rows=rows))
        sides = [
            (each, target_of(Run(ready.floor, each, ready.loader, FULL), each, GROWTH_WORK))
            for each in (new, grown)
        ]
        found: list[list[Sample]] = [[], []]
        for each, target in sides:
            _load(ready.loader, each, target, 1)
        for number in range(ROUNDS):
            order = (0, 1) if number % 2 == 0 else (1, 0)
            for side in order:
                found[side].append(_load(ready.loader, *sides[side], SECONDS))
        before, after = ([one.cpu_us for one in each] for each in found)
        _audited(ready.loader, grown)
        ratio = median_ratio(after, before)
        return Figure(
            case=f"growth/unary, {KEYS:,} keys, {CHANNELS:,} channels, {rows:,} receipts",
            value=ratio,
            unit="x",
            budget=GROWTH,
            cost=told(statistics.median(after), "us"),
            rate=f"new: {told(statistics.median(before), 'us')}",
            detail={
                "new": [dataclasses.asdict(one) for one in found[0]],
                "grown": [dataclasses.asdict(one) for one in found[1]],
            },
        )


def _load(loader: Loader, gateway: Gateway, target: Target, seconds: int) -> Sample:
    return loader.whole(gateway, target, GROWTH_WORK, connections=CONNECTIONS, seconds=seconds)


def _audited(loader: Loader, gateway: Gateway) -> None:
    """It answered with what the provider said, so that what was measured is what it should be. Raises NotMeasured."""
    tally = loader.sent_to(gateway.port)[GROWTH_WORK]
    if not tally.answered:
        raise NotMeasured(f"{gateway.name}, grown, answered nothing")


# --- growing -------------------------------------------------------------------------------------------------------


def _grow(data_dir: Path, *, rows: int) -> None:
    """Keys and channels like the one that is there, and receipts of them all."""
    began = time.monotonic()
    database = data_dir / "bytespike.db"
    _with_channels(data_dir, count=CHANNELS)
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.row_factory = sqlite3.Row
        key = dict(connection.execute("SELECT * FROM keys").fetchone())
        _copies(connection, "keys", key, {"id": "'key_grown_' || n", "hash": "printf('%064x', n)"}, KEYS)
    generate(database, rows, key["user_id"], [key["id"]], int(time.time()) * 1_000_000)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    print(f"growth: {KEYS:,} keys and the rest made in {time.monotonic() - began:.0f} s", flush=True)


def _with_channels(data_dir: Path, *, count: int) -> None:
    """So many channels in all, like the one that is there."""
    with contextlib.closing(sqlite3.connect(data_dir / "bytespike.db")) as connection, connection:
        connection.row_factory = sqlite3.Row
        channel = dict(connection.execute("SELECT * FROM channels").fetchone())
        box = SecretBox(decode_key(read_private(data_dir / "master.key").strip()))
        connection.executemany(
            _insert("channels", channel), [channel | made for made in _channels(box, count - 1)]
        )
        for table in ("channel_groups", "channel_models"):
            like = dict(
                connection.execute(f"SELECT * FROM {table} WHERE channel_id = ?", [channel["id"]]).fetchone()
            )
            _copies(connection, table, like, {"channel_id": "printf('ch_grown_%d', n)"}, count - 1)


def _channels(box: SecretBox, count: int) -> Iterator[dict[str, object]]:
    for number in range(count):
        id = f"ch_grown_{number}"
        sealed = box.seal(_CREDENTIAL, channel_place(id, "credential"))
        yield {"id": id, "name": f"grown-{number}", "credential": sealed}


def _insert(table: str, row: Mapping[str, object]) -> str:
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"


def _copies(
    connection: sqlite3.Connection,
    table: str,
    row: Mapping[str, object],
    other: Mapping[str, str],
    count: int,
) -> None:
    """So many rows like this one; `other`: columns in which they differ, as SQL over their number `n`."""
    values = ", ".join(other.get(name, f":{name}") for name in row)
    connection.execute(
        f"WITH RECURSIVE counter(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counter WHERE n + 1 < {count}) "
        f"INSERT INTO {table} ({', '.join(row)}) SELECT {values} FROM counter",
        dict(row),
    )


def main() -> int:
    """0: measured; 2: not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--rows", metavar="N", type=int, default=ROWS, help=f"receipts (default: {ROWS:,})")
    parser.add_argument("--keep", action="store_true", help="keep the run's files and logs in .bench")
    options = parser.parse_args()
    try:
        figure = measure(options.rows, keep=options.keep)
    except (prerequisites.Missing, NotMeasured) as problem:
        print(f"not measured: {problem}", file=sys.stderr)
        return 2
    print(report.table([figure]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
