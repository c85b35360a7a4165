"""How a process is set that has been put together and begins to serve: its collector, its threads, its heap.

**Heap.** A request with a long conversation has half a megabyte, and what is made of it a few times that. glibc gives the
kernel back what was freed at the end of its heap, as soon as that is a megabyte or two, and takes it again for the next
such request: then each page is cleared and mapped anew, which cost as much as everything else about that request. So a
process keeps `KEPT_BYTES` that are free, and only what is larger than `APART_BYTES` lies apart from the heap, where it
goes back at once.

**Collector.** It stops everything while it looks. How long, depends on how much has been made since: thousands of streams
that open are half a million objects. Looked through a few thousand at a time they hold nobody up; in large portions it was a
third of a second.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Final

#: For so long a thread may keep the interpreter from the loop: the drain's has work for it that takes milliseconds.
SWITCH_S: Final = 0.0002
#: Containers that may be made, and not freed again, before the youngest are looked through; how often that, before those
#: that have survived it are; and how often those, before all are.
GC_THRESHOLDS: Final = (10_000, 2, 100)
KEPT_BYTES: Final = 32 << 20
APART_BYTES: Final = 4 << 20

#: glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def settle() -> None:
    """What has been made up to now lives as long as the process: the collector need not look at it again, request
    after request. Requests leave no cycles, so it may also look less often at what has survived."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_S)
    keep_freed()


def keep_freed() -> bool:
    """Keep memory that is free, up to a bound. False where the C library is not glibc: others know no such bounds."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt") or not hasattr(libc, "gnu_get_libc_version"):
        return False
    set_option = libc.mallopt
    set_option.argtypes = (ctypes.c_int, ctypes.c_int)
    set_option.restype = ctypes.c_int
    return bool(set_option(_M_TRIM_THRESHOLD, KEPT_BYTES) and set_option(_M_MMAP_THRESHOLD, APART_BYTES))
