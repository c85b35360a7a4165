"""LiteLLM's proxy, one worker, one key, no database: `peers/litellm.txt` pins it and all that it needs.

Its own defaults, but for these: no retries and no cool-downs (a benchmark's upstream never fails), and Anthropic requests for
OpenAI models go to chat completions as ours do, not to the Responses API.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import prompts
from benchmarks.prerequisites import which
from benchmarks.processes import NotMeasured, free_port
from benchmarks.subjects.subject import Bench
from benchmarks.work import MODELS, UPSTREAM_MODELS, Manner, Target, Work, path

PINS = Path(__file__).resolve().parent.parent / "peers" / "litellm.txt"
_KEY = "sk-bench-litellm"
_INSTALL_SECONDS_MAX = 600
_START_SECONDS_MAX = 120.0


class LiteLLM:
    """Started in front of the upstreams, with a deployment for every upstream and manner."""

    name = "LiteLLM"
    headers: tuple[str, ...] = ()

    def __init__(self, bench: Bench, works: Iterable[Work], folder: Path) -> None:
        """Raises NotMeasured."""
        python = _install(folder / "litellm")
        self.version = pinned("litellm")
        self.port = free_port()
        config = bench.processes.work / "litellm.yaml"
        # JSON is YAML too.
        config.write_bytes(msgspec.json.encode(_config(bench, works)))
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "LITELLM_MASTER_KEY": _KEY,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        command = [str(python.parent / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--num_workers", "1"]
        self._process = bench.processes.start(self.name, command, bench.cores.measured, environment)
        bench.processes.ready(self.name, self._process, self.port, _START_SECONDS_MAX)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self._process

    def target(self, work: Work) -> Target:
        model = model_name(work)
        body = prompts.body(work, model)
        headers = (("content-type", "application/json"), ("authorization", f"Bearer {_KEY}"))
        return Target(self.port, path(work.client, model, stream=work.manner.stream), headers, body)


def model_name(work: Work) -> str:
    """A name per upstream and manner: LiteLLM picks the deployment by it."""
    return f"{MODELS[work.upstream]}{_suffix(work.manner)}"


def _suffix(manner: Manner) -> str:
    return manner.prefix.replace("/", "-") or "-static"


def _config(bench: Bench, works: Iterable[Work]) -> dict[str, Any]:
    deployments: dict[str, dict[str, str]] = {}
    for work in works:
        vendor = "anthropic" if work.upstream == "anthropic" else "openai"
        base = bench.upstreams.base(work)
        deployments[model_name(work)] = {
            "model": f"{vendor}/{UPSTREAM_MODELS[work.upstream]}",
            "api_base": base if vendor == "anthropic" else f"{base}/v1",
            "api_key": "sk-upstream",
        }
    return {
        "model_list": [
            {"model_name": name, "litellm_params": params} for name, params in deployments.items()
        ],
        "litellm_settings": {"telemetry": False, "use_chat_completions_url_for_anthropic_messages": True},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    }


def pinned(package: str) -> str:
    """The version that the pins name."""
    for line in PINS.read_text().splitlines():
        name, _, version = line.partition("==")
        if name == package:
            return version.strip()
    raise NotMeasured(f"{PINS.name} does not pin {package}")


def _install(folder: Path) -> Path:
    """A virtual environment with exactly the pins; its Python. Made anew when the pins have changed."""
    python = folder / "bin" / "python"
    stamp = folder / "pins.txt"
    pins = PINS.read_text()
    if stamp.exists() and stamp.read_text() == pins:
        return python
    print(f"installing LiteLLM {pinned('litellm')} …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    uv = which("uv") or str(Path(sys.executable).parent / "uv")
    if Path(uv).exists():
        _run([uv, "pip", "install", "--quiet", "--python", str(python), "--no-deps", "-r", str(PINS)])
    else:
        _run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(PINS)])
    stamp.write_text(pins)
    return python


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_INSTALL_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotMeasured(f"{command[0]}: {error}") from None
    if done.returncode:
        raise NotMeasured(f"{' '.join(command[:4])} failed: {done.stderr.strip()[-500:]}")
