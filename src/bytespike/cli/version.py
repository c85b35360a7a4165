"""`bytespike version`."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version as installed_version

import typer

from bytespike.cli.command import AsJSON


def add_to(app: typer.Typer) -> None:
    """Declare the command on the program itself: it is no group."""
    app.command("version")(version)


def version(as_json: AsJSON = False) -> None:
    """Print the version."""
    number = installed_version("bytespike")
    sys.stdout.write((json.dumps({"version": number}) if as_json else number) + "\n")
