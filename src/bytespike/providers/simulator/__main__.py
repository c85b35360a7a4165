"""`python -m bytespike.providers.simulator`: the simulator as a process of its own."""

from __future__ import annotations

import argparse
import sys

from bytespike.providers.simulator.directives import BadDirective
from bytespike.providers.simulator.server import run


def _announce(base_url: str) -> None:
    sys.stdout.write(f"simulator at {base_url}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop. Returns 2 if the profile is wrong, 1 if the port cannot be had."""
    parser = argparse.ArgumentParser(
        prog="python -m bytespike.providers.simulator",
        description="A stand-in provider that speaks Anthropic Messages, OpenAI Chat Completions and Responses, and Gemini, and makes images and videos.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=8099, help="port to listen on, 0 for a free one (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same answers (%(default)s)")
    parser.add_argument(
        "--profile", default="", help='options for every request, such as "delay=0.2 pace=0.01"'
    )
    parser.add_argument(
        "--observe", action="store_true", help="keep the last requests and serve /_sim/requests"
    )
    chosen = parser.parse_args(arguments)
    try:
        run(
            chosen.host,
            chosen.port,
            chosen.seed,
            profile=chosen.profile,
            observe=chosen.observe,
            announce=_announce,
        )
    except BadDirective as error:
        sys.stderr.write(f"--profile: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"cannot listen on {chosen.host}:{chosen.port}: {error.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
