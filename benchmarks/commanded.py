"""Commands of `bytespike`, many in one process of their own (`commands.py`), and what they printed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.processes import NotMeasured

_ROOT = Path(__file__).resolve().parent.parent
_SECONDS_MAX = 60


def told_by(commands: list[list[str]], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each command's JSON. Raises NotMeasured."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.commands"],
            cwd=_ROOT,
            env=dict(environment),
            input=msgspec.json.encode(commands),
            capture_output=True,
            timeout=_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotMeasured(f"the gateway's commands: {error}") from None
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip()
        raise NotMeasured(f"a command of the gateway failed: {told[-800:]}")
    return msgspec.json.decode(done.stdout)
