"""The program's commands by name, each loaded when it is called.

Together they import the whole gateway, which takes longer than most of them run. So what `--help` and completion show of
each command stands here, and its module is imported when its name is on the command line. A test holds that the texts are
those of the commands themselves.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, cast

import typer
from msgspec import Struct
from typer.core import TyperCommand, TyperGroup


class Entry(Struct, frozen=True):
    """`module`: of `bytespike.cli`. A group of commands is the `typer.Typer` there that has the entry's name; the module of
    a command that stands alone declares it with `add_to`."""

    module: str
    about: str
    alone: bool = False


ENTRIES: dict[str, Entry] = {
    "init": Entry(
        "init",
        "Make the database, the master key and a first group; does no harm where they are.",
        alone=True,
    ),
    "serve": Entry(
        "serve",
        "Run the gateway until it is told to stop (SIGINT, SIGTERM). With several workers, SIGHUP restarts it without a gap.",
        alone=True,
    ),
    "simulator": Entry(
        "simulator",
        "Run the simulator alone: a stand-in provider for trying things out. It is no real model.",
        alone=True,
    ),
    "version": Entry("version", "Print the version.", alone=True),
    "demo": Entry(
        "demo",
        "Run the gateway with the simulator as its upstream, and print a login, a key, and calls that work when pasted.",
        alone=True,
    ),
    "reconcile": Entry(
        "reconcile",
        "Add up what providers will charge: every upstream call, failed ones too, by provider and model.",
        alone=True,
    ),
    "doctor": Entry(
        "doctor",
        "Check the ledger, secrets, channels, prices, and the models and aliases that were added.",
        alone=True,
    ),
    "users": Entry("users", "The people who sign in and own keys and wallets."),
    "orgs": Entry("members", "Organisations: a wallet that several users' keys may draw on."),
    "groups": Entry(
        "groups",
        "Routing groups: which channels a key's requests can reach, and at what multiple of the price.",
    ),
    "keys": Entry("keys", "API keys: what clients send, and what each may spend."),
    "channels": Entry("channels", "Channels: upstream accounts, with their credential, models and price."),
    "models": Entry(
        "models", "The catalog's models, those that you add, other names for them, and what they cost."
    ),
    "wallet": Entry("events", "Wallets of users and organisations, and every entry in them."),
    "usage": Entry("attempts", "What was billed: a row per request, and sums."),
    "events": Entry("events", "What has happened that somebody may want to be told of."),
    "borrowers": Entry("borrowers", "The gateway processes that spend from this database."),
}


class Loaded(Mapping[str, Any]):
    """The commands themselves, by name, in the order of `--help`. To take one out imports its module."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = _load(name, ENTRIES[name])
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(ENTRIES)

    def __len__(self) -> int:
        return len(ENTRIES)


def _load(name: str, entry: Entry) -> Any:
    module = _imported(f"bytespike.cli.{entry.module}")
    if not entry.alone:
        return typer.main.get_group(cast("typer.Typer", getattr(module, name)))
    app = typer.Typer(add_completion=False)
    module.add_to(app)
    return typer.main.get_command(app)


def _imported(name: str) -> ModuleType:
    """The garbage collector rests meanwhile: what modules make is there to stay, and to look through it again and again takes
    a sixth of the time."""
    resting = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        if resting:
            gc.enable()


class Program(TyperGroup):
    """`bytespike`. What is asked of it for help or completion loads nothing."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast("Any", Loaded())

    def list_commands(self, ctx: Any) -> list[str]:
        return list(ENTRIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in that has the name and the help, and nothing else."""
        entry = ENTRIES.get(cmd_name)
        return None if entry is None else TyperCommand(cmd_name, help=entry.about)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, found, rest = super().resolve_command(ctx, args)
        return name, self.commands[name] if name in ENTRIES else found, rest
