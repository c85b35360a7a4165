"""A large video passes through: from the provider to the store to the client, and the gateway holds next to nothing."""

from __future__ import annotations

import http.client
import json
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.media_gateway import PATIENCE_S, MediaGateway

pytestmark = pytest.mark.slow

SIZE = 60 * 1024 * 1024
#: Parts of 5 MiB fill and go out, small pieces come in, and the allocators keep some.
GROWTH_MB_MAX = 30


@contextmanager
def simulator() -> Iterator[SimpleNamespace]:
    """In a process of its own: what it holds of the video is not ours."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bytespike.providers.simulator", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = None
        while found is None:
            line = process.stdout.readline()
            assert line, "the simulator does not start"
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
        yield SimpleNamespace(base_url=found[0])
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        if process.stdout is not None:
            process.stdout.close()


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1024 / 1024


class Gauge(threading.Thread):
    """What this process holds at most while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = resident_mb()
        self._stop_asked = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._stop_asked.wait(0.005):
            self.peak = max(self.peak, resident_mb())

    def stop(self) -> float:
        self._stop_asked.set()
        self.join()
        return self.peak


@pytest.mark.parametrize("model", ["sora2", "veo3-1", "seedance-2"])
def test_a_video_of_60_mb_passes_through_with_flat_memory(tmp_path: Path, model: str) -> None:
    with simulator() as upstream, MediaGateway(tmp_path, upstream) as gateway:
        # What is made once is made before.
        small = gateway.ended(gateway.submitted(model=model, prompt="a cat")["task_id"])
        gateway.request("GET", gateway.path_of(small["output"][0]["url"]))
        before = resident_mb()
        gauge = Gauge()
        task_id = gateway.submitted(model=model, prompt=f"[[sim: file_bytes={SIZE}]] a cat")["task_id"]
        task = gateway.ended(task_id)
        assert task["status"] == "completed", task
        (output,) = task["output"]
        assert output["bytes"] >= SIZE
        assert (output["width"], output["height"]) != (0, 0)
        received = 0
        for target, headers in (
            (gateway.path_of(output["url"]), {}),
            (f"/v1/videos/{task_id}/content", {"x-api-key": gateway.key}),
        ):
            connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=PATIENCE_S)
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            while block := answer.read(65536):
                received += len(block)
            connection.close()
        assert received == 2 * output["bytes"]
        assert gauge.stop() - before < GROWTH_MB_MAX
        assert json.loads(gateway.query(task_id=task_id).body)["output"] == task["output"]
