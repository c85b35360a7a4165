"""A gateway whose simulator draws: every image model of the catalog, on the channels that its vendor would have."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from bytespike.accounts import channels
from bytespike.accounts.channels import NewChannel
from bytespike.catalog.resolve import load_catalog
from bytespike.store import tables
from bytespike.store.engine import reading
from tests.support.media_gateway import MediaGateway

_MODELS = load_catalog().models
#: Every image model of the catalog.
IMAGE_MODELS = tuple(model.slug for model in _MODELS.values() if model.kind == "image")
#: Where a family is asked, and what follows the simulator's address there.
_PLACES = {
    "gpt-image": {"openai_images": "/openai/v1", "openai_chat": "/openai/v1"},
    "nano-banana": {"gemini": "/gemini"},
    "seedream": {"ark_images": "/ark/api/v3"},
}


class ImageGateway(MediaGateway):
    """`with ImageGateway(tmp_path) as gateway`."""

    def add_first(self, family: str, *, credential: str = "sim-good", base_url: str = "") -> str:
        """A channel of that family which is asked before the one that is there; its name. `base_url`: another server's."""
        name = f"first-{family}"

        async def add() -> None:
            async with self.application.control.writing("test") as write:
                await channels.create(
                    write,
                    NewChannel(
                        name=name,
                        platform="simulator",
                        credential=credential,
                        base_urls={
                            surface: base_url or self.sim.base_url + path
                            for surface, path in _PLACES[family].items()
                        },
                        models={
                            model.slug: model.vendor_id
                            for model in _MODELS.values()
                            if model.kind == "image" and model.family == family
                        },
                        group_ids=(self._group_id,),
                        priority=-1,
                    ),
                )
            await self.application.parts.directory.poll()

        self.run(add())
        return name

    def without(self, family: str) -> None:
        """The channels of that family are gone."""

        async def remove() -> None:
            async with self.application.control.writing("test") as write:
                for view in await channels.listing(write.connection):
                    if any(_MODELS[slug].family == family for slug in view.models):
                        await channels.remove(write, view.channel.id)

            await self.application.parts.directory.poll()

        self.run(remove())

    def add_only(self, family: str, base_url: str) -> None:
        """A channel at another server in place of the one that is there."""
        self.without(family)
        self.add_first(family, base_url=base_url)

    def limit(self, family: str, rpm: int) -> None:
        """So many requests a minute for the channel of that family."""

        async def limit() -> None:
            async with self.application.control.writing("test") as write:
                for view in await channels.listing(write.connection):
                    if any(_MODELS[slug].family == family for slug in view.models):
                        await channels.update(write, view.channel.id, channels.ChannelChanges(rpm=rpm))
            await self.application.parts.directory.poll()

        self.run(limit())

    def billed(self) -> list[Any]:
        """What was billed, oldest first, once it is in the database."""

        async def rows() -> list[Any]:
            await self.application.parts.ledger.flush()
            async with reading(self.application.engine) as connection:
                found = await connection.execute(select(tables.usage).order_by(tables.usage.c.at))
                return list(found)

        return self.run(rows())

    def attempt_rows(self) -> list[Any]:
        """Every upstream call, oldest first, once it is in the database."""

        async def rows() -> list[Any]:
            await self.application.parts.ledger.flush()
            async with reading(self.application.engine) as connection:
                found = await connection.execute(
                    select(tables.attempts).order_by(tables.attempts.c.at, tables.attempts.c.ordinal)
                )
                return list(found)

        return self.run(rows())
