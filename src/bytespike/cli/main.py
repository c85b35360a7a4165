"""The command line: `bytespike`. docs/reference/cli.md describes every command."""

from __future__ import annotations

import typer

from bytespike.cli import demo, doctor, reconcile, serve
from bytespike.cli.attempts import usage
from bytespike.cli.borrowers import borrowers
from bytespike.cli.channels import channels
from bytespike.cli.events import events, wallet
from bytespike.cli.groups import groups
from bytespike.cli.keys import keys
from bytespike.cli.members import orgs
from bytespike.cli.models import models
from bytespike.cli.users import users
from bytespike.observe.logs import configure_logs

app = typer.Typer(
    name="bytespike",
    help="A self-hosted multi-model gateway: one key, one wallet, every dialect.",
    epilog="Try it: bytespike demo. Set it up: bytespike init, then channels, keys, wallet, serve.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

serve.add_to(app)
demo.add_to(app)
for group in (users, orgs, groups, keys, channels, models, wallet, usage, events, borrowers):
    app.add_typer(group)
reconcile.add_to(app)
doctor.add_to(app)


def main() -> None:
    """Run a command; ends the process with its exit code."""
    # To standard error: what commands print is for programs too.
    configure_logs("warning", "text")
    app()


if __name__ == "__main__":
    main()
