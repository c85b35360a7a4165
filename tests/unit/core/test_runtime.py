from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from bytespike.runtime import KEPT_BYTES

_ROUNDS = 50
_PAGE_BYTES = 4096
#: What a request of half a megabyte makes of it, a few at a time; in a process whose heap nobody else uses.
_PROGRAM = f"""
import resource
from bytespike.runtime import keep_freed

def some_requests():
    pieces = [bytearray(1 << 20) for _ in range(8)]
    for piece in pieces:
        piece[::{_PAGE_BYTES}] = bytes(len(piece) // {_PAGE_BYTES})

keep_freed()
some_requests()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({_ROUNDS}):
    some_requests()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such bounds")
def test_what_one_request_has_freed_the_next_one_gets_without_the_kernel() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    faults = int(done.stdout)
    touched = _ROUNDS * (8 << 20) // _PAGE_BYTES
    assert KEPT_BYTES > 8 << 20
    assert faults < touched // 20
