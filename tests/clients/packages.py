"""The clients' packages: pinned with hashes in this folder, installed in place, beside their pins.

`python -m tests.clients.packages` installs all of them, with `--quick` those that are there in a minute; either says what
it left out and why. The tests of a client that is not installed skip, saying so.

No install script is run. What the packages would link or fetch with one are native binaries that come as packages of
their own, and the tests start those.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.prerequisites import Missing, provide

HERE = Path(__file__).resolve().parent
INSTALL_SECONDS_MAX = 900
_NPM = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


@dataclass(frozen=True)
class Package:
    """`pins`: the file that pins it, in a folder of its own. `program`: what shows that it is there, in that folder.

    `quick`: it and its tests belong to `make test`. `only_on`: platforms, as `sys.platform` begins; empty means all.
    """

    name: str
    pins: Path
    program: str
    quick: bool = True
    only_on: str = ""

    @property
    def folder(self) -> Path:
        return self.pins.parent

    @property
    def installed(self) -> Path:
        """Where it is installed."""
        return self.folder / ("node_modules" if self.needs_node else ".venv")

    @property
    def needs_node(self) -> bool:
        return self.pins.name == "package-lock.json"

    @property
    def path(self) -> Path:
        """The program."""
        return self.folder / self.program

    def absent(self) -> str:
        """Why it cannot be used; "" if it can."""
        if self.needs_node and shutil.which("node") is None:
            return "node is not installed"
        if not self.path.exists():
            return f"{self.name} is not installed: `make test-clients` does it"
        if _stamp(self) != self.pins.read_text():
            return f"{self.name} is not the pinned one: `make test-clients` installs it"
        return ""


NODE_SDKS = Package("the Node SDKs", HERE / "node/package-lock.json", "node_modules/ai/package.json")
CLAUDE_CODE = Package(
    "Claude Code",
    HERE / "cli/claude-code/package-lock.json",
    "node_modules/@anthropic-ai/claude-code-linux-x64/claude",
    only_on="linux",
)
CODEX = Package(
    "Codex",
    HERE / "cli/codex/package-lock.json",
    "node_modules/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex",
    only_on="linux",
)
GEMINI_CLI = Package(
    "Gemini CLI",
    HERE / "cli/gemini-cli/package-lock.json",
    "node_modules/@google/gemini-cli/bundle/gemini.js",
    quick=False,
)
OPENCODE = Package(
    "opencode",
    HERE / "cli/opencode/package-lock.json",
    "node_modules/opencode-linux-x64/bin/opencode",
    quick=False,
    only_on="linux",
)
AIDER = Package("aider", HERE / "cli/aider/requirements.txt", ".venv/bin/aider", quick=False)
ALL = (NODE_SDKS, CLAUDE_CODE, CODEX, GEMINI_CLI, OPENCODE, AIDER)


class NotInstalled(RuntimeError):
    """The package cannot be had here; the message says why."""


def install(package: Package) -> None:
    """Exactly the pins; nothing happens if they are there. Raises NotInstalled."""
    if not package.absent():
        return
    if package.only_on and not sys.platform.startswith(package.only_on):
        raise NotInstalled(f"its pins are for {package.only_on}")
    shutil.rmtree(package.installed, ignore_errors=True)
    if package.needs_node:
        npm = shutil.which("npm")
        if npm is None:
            raise NotInstalled("npm is not installed")
        _run([npm, *_NPM], package.folder)
    else:
        uv = str(Path(sys.executable).parent / "uv")
        python = str(package.installed / "bin" / "python")
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(package.installed)], package.folder)
        pinned = ["--require-hashes", "-r", str(package.pins)]
        _run([uv, "pip", "install", "--quiet", "--python", python, *pinned], package.folder)
    if not package.path.exists():
        raise NotInstalled(f"its package has no {package.program} for this platform")
    (package.installed / "pins").write_text(package.pins.read_text())


def _stamp(package: Package) -> str:
    stamp = package.installed / "pins"
    return stamp.read_text() if stamp.exists() else ""


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from None
    if done.returncode:
        raise NotInstalled(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-500:]}")


def _say(line: str) -> None:
    sys.stdout.write(f"clients: {line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description="Install the pinned clients.")
    parser.add_argument(
        "--quick", action="store_true", help="those of `make test`; node is not installed for them"
    )
    quick = parser.parse_args().quick
    if not quick:
        try:
            provide(("node", "npm"))
        except Missing as error:
            _say(str(error))
    elif shutil.which("npm") is None:
        _say("npm is not installed, so no client from npm is tested (`make test-clients` installs it)")
        return
    for package in ALL:
        if quick and not package.quick:
            continue
        began = time.monotonic()
        try:
            install(package)
        except NotInstalled as error:
            _say(f"{package.name} is left out: {error}")
        else:
            _say(f"{package.name} is there ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
