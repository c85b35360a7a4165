"""The command line: `bytespike`. docs/reference/cli.md describes every command."""

from __future__ import annotations

import typer

from bytespike.cli.program import Program
from bytespike.observe.logs import configure_logs


def _nothing() -> None:
    """Typer wants commands of its own, or this, to make a group."""


app = typer.Typer(
    cls=Program,
    name="bytespike",
    callback=_nothing,
    help="A self-hosted multi-model gateway: one key, one wallet, every dialect.",
    epilog="Try it: bytespike demo. Set it up: bytespike init, then channels, keys, wallet, serve.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run a command; ends the process with its exit code."""
    # To standard error: what commands print is for programs too.
    configure_logs("warning", "text")
    app()


if __name__ == "__main__":
    main()
