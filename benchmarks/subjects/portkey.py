"""Portkey's gateway on Node: `peers/portkey/package-lock.json` pins it and all that it needs.

It has no keys of its own: each request names its provider, upstream and the upstream's credential. The newest
`@hono/node-server` in its range breaks its streams ("TypeError: immutable"), so the pins hold an older one.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec

from benchmarks import prompts
from benchmarks.prerequisites import which
from benchmarks.processes import NotMeasured, free_port
from benchmarks.subjects.subject import Bench
from benchmarks.work import UPSTREAM_MODELS, Target, Work, path

PINS = Path(__file__).resolve().parent.parent / "peers" / "portkey"
_PACKAGE = "@portkey-ai/gateway"
_INSTALL_SECONDS_MAX = 600


class Portkey:
    """Started once; requests say where they go."""

    name = "Portkey"
    headers: tuple[str, ...] = ()

    def __init__(self, bench: Bench, folder: Path) -> None:
        """Raises NotMeasured."""
        node = which("node")
        if node is None:
            raise NotMeasured("Portkey needs Node.js: install the package nodejs")
        home = folder / "portkey"
        _install(home)
        self.version = pinned()
        self._upstreams = bench.upstreams
        self.port = free_port()
        script = home / "node_modules" / _PACKAGE / "build" / "start-server.js"
        command = [node, str(script), f"--port={self.port}", "--headless"]
        self._process = bench.processes.start(self.name, command, bench.cores.measured)
        bench.processes.ready(self.name, self._process, self.port)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self._process

    def target(self, work: Work) -> Target | None:
        """It does not translate Anthropic requests for OpenAI upstreams ("messages is not supported by openai")."""
        if work.client == "anthropic" and work.translated:
            return None
        model = UPSTREAM_MODELS[work.upstream]
        body = prompts.body(work, model)
        headers = (
            ("content-type", "application/json"),
            ("x-portkey-provider", "anthropic" if work.upstream == "anthropic" else "openai"),
            ("x-portkey-custom-host", f"{self._upstreams.base(work)}/v1"),
            ("authorization", "Bearer sk-upstream"),
            ("anthropic-version", "2023-06-01"),
        )
        return Target(self.port, path(work.client, model, stream=work.manner.stream), headers, body)


def pinned() -> str:
    """The version that the pins name."""
    lock = msgspec.json.decode((PINS / "package-lock.json").read_bytes())
    return str(lock["packages"][f"node_modules/{_PACKAGE}"]["version"])


def _install(home: Path) -> None:
    """`npm ci` with the pins. Made anew when they have changed."""
    npm = which("npm")
    if npm is None:
        raise NotMeasured("Portkey needs npm: install the package npm")
    stamp = home / "pins.json"
    pins = (PINS / "package-lock.json").read_text()
    if stamp.exists() and stamp.read_text() == pins:
        return
    print(f"installing Portkey {pinned()} …", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINS / name, home / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            command, cwd=home, capture_output=True, text=True, timeout=_INSTALL_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotMeasured(f"npm: {error}") from None
    if done.returncode:
        raise NotMeasured(f"npm ci failed: {done.stderr.strip()[-500:]}")
    stamp.write_text(pins)
