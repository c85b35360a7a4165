"""`bytespike simulator`: the stand-in provider alone."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from bytespike.cli.command import AsJSON, errors_told
from bytespike.errors import InvalidRequest
from bytespike.providers.simulator.directives import BadDirective
from bytespike.providers.simulator.server import run as run_simulator


def add_to(app: typer.Typer) -> None:
    """Declare the command on the program itself: it is no group."""
    app.command("simulator", epilog="Example: bytespike simulator --port 8099 --seed 7")(simulator)


def simulator(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8099,
    seed: Annotated[int, typer.Option(help="Same seed, same answers.")] = 0,
    profile: Annotated[
        str, typer.Option(help='Options for every request, such as "delay=0.2 pace=0.01".')
    ] = "",
    as_json: AsJSON = False,
) -> None:
    """Run the simulator alone: a stand-in provider for trying things out. It is no real model."""

    def announce(base_url: str) -> None:
        text = json.dumps({"base_url": base_url}) if as_json else f"The simulator listens at {base_url}"
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    with errors_told():
        try:
            run_simulator(host, port, seed, profile=profile, announce=announce)
        except BadDirective as error:
            raise InvalidRequest(str(error), param="--profile") from None
