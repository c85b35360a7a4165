"""ByteSpike itself, with everything on: a key with a quota and a 5-hour window, a wallet, holds, settlement, headers, metrics.

It is set up as an operator does it, with the command line: one user, one key, and a channel for every upstream and manner,
each serving a model of its own, so that the model a request names decides how it is answered. Settings are the defaults,
except the number of connections to one upstream, which 5,000 open streams need.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import audit, prompts
from benchmarks.commanded import told_by
from benchmarks.load import Tally
from benchmarks.processes import free_port
from benchmarks.subjects.subject import Bench
from benchmarks.work import UPSTREAM_MODELS, Dialect, Manner, Target, Work, path

_USER = "bench@example.com"
#: USD: never used up in a run.
_PLENTY = "1000000"
_CONCURRENCY = "50000"
_UPSTREAM_CONNECTIONS = "20000"
#: One manner each, by upstream. The first gets the agent's prompt, so its window must be wide.
_SLUGS: dict[Dialect, tuple[str, ...]] = {
    "anthropic": (
        "claude-sonnet-4-5",
        "claude-sonnet-4-6",
        "claude-haiku-4-5",
        "claude-opus-4-5",
        "claude-opus-4-6",
        "claude-opus-4-7",
        "claude-opus-4-8",
    ),
    "chat": ("gpt-5-mini", "gpt-5-nano", "gpt-5-2", "gpt-5-4", "gpt-4o", "gpt-4o-mini"),
    "responses": ("gpt-5-3-codex", "gpt-5-5", "gpt-5-4-mini", "gpt-5-4-nano"),
    "gemini": ("gemini-3-flash", "gemini-3-5-flash", "gemini-2-5-flash", "gemini-2-5-pro"),
}
_PLATFORMS: dict[Dialect, str] = {
    "anthropic": "anthropic",
    "chat": "openai",
    "responses": "openai",
    "gemini": "gemini",
}
#: What the gateway calls the dialects, and what its base URLs have at the end.
_PROTOCOLS: dict[Dialect, tuple[str, str]] = {
    "anthropic": ("anthropic_messages", ""),
    "chat": ("openai_chat", "/v1"),
    "responses": ("openai_responses", "/v1"),
    "gemini": ("gemini", ""),
}


class Gateway:
    """A data directory of its own, and `bytespike serve` over it."""

    name = "ByteSpike"
    headers = (
        "request-id",
        "x-request-id",
        "x-estimated-credits",
        "x-quota-remaining-credits",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    )

    def __init__(
        self,
        bench: Bench,
        works: Iterable[Work],
        *,
        folder: str = "data",
        furnish: Callable[[Path], None] | None = None,
    ) -> None:
        """`folder`: the name of its data directory. `furnish` puts more into that directory before it starts.

        Raises NotMeasured.
        """
        self.port = free_port()
        self._models = assign(works)
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(bench.processes.work),
            "PORT": str(self.port),
            "DATA_DIR": str(bench.processes.work / folder),
            "BYTESPIKE_UPSTREAM_CONNECTIONS_MAX": _UPSTREAM_CONNECTIONS,
            "UPSTREAM_CREDENTIAL": "sk-upstream",
            # Where the compiled data path is, if that is what is measured.
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }
        self.version = importlib.metadata.version("bytespike")
        self._key = self._set_up(bench)
        if furnish is not None:
            furnish(Path(self._environment["DATA_DIR"]))
        command = [str(Path(sys.executable).parent / "bytespike"), "serve"]
        self._process = bench.processes.start(self.name, command, bench.cores.measured, self._environment)
        bench.processes.ready(self.name, self._process, self.port)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self._process

    def target(self, work: Work) -> Target:
        model = self._models[work.upstream, work.manner]
        headers = [("content-type", "application/json"), ("accept", "application/json")]
        if work.client == "anthropic":
            headers += [("x-api-key", self._key), ("anthropic-version", "2023-06-01")]
        elif work.client == "gemini":
            headers += [("x-goog-api-key", self._key)]
        else:
            headers += [("authorization", f"Bearer {self._key}")]
        where = path(work.client, model, stream=work.manner.stream)
        return Target(self.port, where, tuple(headers), prompts.body(work, model))

    def audit(self, tallies: Mapping[Work, Tally]) -> int:
        """How many requests were billed, once the gateway has stopped.

        Each that was answered and none twice, under its model and the dialects on both its sides, with the upstream's
        figures; what clients wanted kept was kept, and nothing else; the ledger is whole. Raises NotMeasured where that
        is not so.
        """
        self._run([["doctor", "--money"]])
        names = {
            work: audit.Line(
                protocol=_PROTOCOLS[work.client][0],
                upstream_protocol=_PROTOCOLS[work.upstream][0],
                model=self._models[work.upstream, work.manner],
                stream=work.manner.stream,
            )
            for work in tallies
        }
        return audit.billed(Path(self._environment["DATA_DIR"]) / "bytespike.db", tallies, names)

    def _set_up(self, bench: Bench) -> str:
        """Everything but the server; the key."""
        commands = [
            ["init"],
            ["users", "create", "--email", _USER, "--tier", "enterprise"],
            ["users", "update", _USER, "--concurrency", _CONCURRENCY],
            ["wallet", "topup", _PLENTY, "--user", _USER],
        ]
        for number, ((upstream, manner), slug) in enumerate(self._models.items()):
            base = bench.upstreams.base(Work(upstream, upstream, "short", manner))
            # A channel that gives one base URL speaks only that dialect: nothing else can have answered.
            protocol, version = _PROTOCOLS[upstream]
            commands.append(
                [
                    *("channels", "create", "--name", f"bench-{number}", "--platform", _PLATFORMS[upstream]),
                    *(
                        "--base-url",
                        f"{protocol}={base}{version}",
                        "--model",
                        f"{slug}={UPSTREAM_MODELS[upstream]}",
                    ),
                    *("--group", "default", "--credential-env", "UPSTREAM_CREDENTIAL"),
                ]
            )
        limits = ("--quota", _PLENTY, "--limit-5h", _PLENTY)
        commands.append(["keys", "create", "--name", "bench", "--user", _USER, *limits])
        return str(self._run(commands)[-1]["key"])

    def _run(self, commands: list[list[str]]) -> list[dict[str, Any]]:
        """Each command's JSON. Raises NotMeasured."""
        return told_by(commands, self._environment)


def assign(works: Iterable[Work]) -> dict[tuple[Dialect, Manner], str]:
    """A model for every upstream and manner. The long prompts' manner comes first."""
    ordered = sorted(works, key=lambda work: work.prompt != "agent")
    models: dict[tuple[Dialect, Manner], str] = {}
    for work in ordered:
        taken = sum(upstream == work.upstream for upstream, _ in models)
        if (work.upstream, work.manner) not in models:
            models[work.upstream, work.manner] = _SLUGS[work.upstream][taken]
    return models
