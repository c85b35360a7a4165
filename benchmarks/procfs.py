"""What the kernel says about a process tree: CPU time and memory, from /proc.

CPU of a process is `utime + stime` of all its threads, and `cutime + cstime` of children that have ended and were
reaped (proc_pid_stat(5), fields 14 to 17). The kernel gives them in ticks, 10 ms as a rule; the sum of the two is exact
to a tick, so a sample should last a second or more. Memory is PSS (smaps_rollup): a page shared by n processes counts 1/n.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclasses.dataclass(frozen=True, slots=True)
class Stat:
    """One process. `ticks` includes ended children."""

    pid: int
    parent: int
    ticks: int


def parse_stat(text: str) -> Stat:
    """/proc/<pid>/stat. The command's name stands in brackets and may itself hold spaces and brackets."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    # `fields` begins at the manual's field 3 (state).
    return Stat(
        pid=int(head.split(" ", 1)[0]),
        parent=int(fields[1]),
        ticks=sum(int(fields[number - 3]) for number in (14, 15, 16, 17)),
    )


def parse_sizes(text: str) -> dict[str, int]:
    """The `Name:   123 kB` lines of smaps_rollup or status, in bytes."""
    sizes: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB" and words[0].isdigit():
            sizes[name] = int(words[0]) * 1024
    return sizes


def descendants(root: int, parents: Mapping[int, int]) -> list[int]:
    """`root` and everything below it; `parents` is pid → parent's pid."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _stats() -> dict[int, Stat]:
    stats: dict[int, Stat] = {}
    for entry in os.listdir(_PROC):
        if entry.isdigit():
            try:
                stat = parse_stat((_PROC / entry / "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue
            stats[stat.pid] = stat
    return stats


def tree(root: int) -> list[int]:
    """The living processes at and below `root`. Raises ProcessLookupError when `root` has ended."""
    stats = _stats()
    if root not in stats:
        raise ProcessLookupError(f"process {root} has ended")
    return descendants(root, {pid: stat.parent for pid, stat in stats.items()})


def cpu_seconds(root: int) -> float:
    """CPU used so far by the tree at `root`."""
    stats = _stats()
    if root not in stats:
        raise ProcessLookupError(f"process {root} has ended")
    pids = descendants(root, {pid: stat.parent for pid, stat in stats.items()})
    return sum(stats[pid].ticks for pid in pids) / TICKS_PER_SECOND


def parse_busy(text: str) -> tuple[int, int]:
    """The first line of /proc/stat (proc_stat(5)): ticks in which the machine was busy, and all ticks."""
    ticks = [int(word) for word in text.splitlines()[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, sum(ticks)


def busy_share(seconds: float) -> float:
    """Share of all cores that was in use over the next `seconds`."""
    before = parse_busy((_PROC / "stat").read_text())
    time.sleep(seconds)
    after = parse_busy((_PROC / "stat").read_text())
    return (after[0] - before[0]) / max(1, after[1] - before[1])


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """Bytes."""

    pss: int
    rss: int


def memory(root: int) -> Memory:
    """Memory of the tree at `root` now."""
    pss = rss = 0
    for pid in tree(root):
        sizes = parse_sizes((_PROC / str(pid) / "smaps_rollup").read_text())
        pss += sizes["Pss"]
        rss += sizes["Rss"]
    return Memory(pss, rss)
