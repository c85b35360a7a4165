"""`bytespike models alias`: other names for the catalog's models."""

from __future__ import annotations

from typing import Annotated

import typer

from bytespike.accounts import aliases as service
from bytespike.catalog.load import Alias
from bytespike.cli.answer import Answer, listing, record
from bytespike.cli.command import command, group
from bytespike.cli.desk import Desk
from bytespike.cli.options import ModelArgument
from bytespike.errors import InvalidRequest
from bytespike.http.management.views import AliasView
from bytespike.store import aliases as stored_aliases

alias = group("alias", "Other names for the catalog's models.")


@command(
    alias,
    "add",
    epilog="Example: bytespike models alias add 'claude-opus-5*' claude-opus-4-8 --substitute",
)
async def add_alias(
    desk: Desk,
    pattern: Annotated[str, typer.Argument(help="A name, or a pattern with * and ?.")],
    model: ModelArgument,
    substitute: Annotated[
        bool,
        typer.Option(
            "--substitute",
            help="It is the name of another model: the caller is told which one answers instead.",
        ),
    ] = False,
    thinking: Annotated[bool, typer.Option("--thinking", help="The name also asks for thinking.")] = False,
) -> Answer:
    """Let another name, or every name that fits a pattern, mean a model."""
    async with desk.writing() as write:
        slug = await desk.slug(write.connection, model)
        await service.add(write, Alias(pattern, slug, thinking, substitute))
        catalog = await desk.catalog(write.connection)
        # A name that means a model already cannot be given away: the catalog leaves such an alias out.
        for problem in catalog.problems:
            if f" {pattern} " in problem:
                raise InvalidRequest(problem, param="pattern")
    return record({"pattern": pattern, "model": slug, "substitute": substitute, "thinking": thinking})


@command(alias, "list")
async def list_aliases(desk: Desk) -> Answer:
    """List the aliases that were added (the catalog ships more)."""
    async with desk.reading() as connection:
        rows = await stored_aliases.listing(connection)
    return listing([AliasView.of(row) for row in rows], ("pattern", "model", "source", "created_at"))


@command(alias, "remove")
async def remove_alias(
    desk: Desk, pattern: Annotated[str, typer.Argument(help="The pattern as it was added.")]
) -> Answer:
    """Remove an alias that a command added."""
    async with desk.writing() as write:
        await service.remove(write, pattern)
    return record({"pattern": pattern, "removed": True})
