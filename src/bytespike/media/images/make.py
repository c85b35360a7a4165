"""Images for the tasks' worker: the same upstream calls as a synchronous request makes, on one channel that is given.

The worker has the money, the channel's health and the order of tries in its own hands (`media/tasks/`); here pictures are
drawn, and it is told if that failed and whether the provider may have drawn all the same.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct, structs

from bytespike.accounts.records import Channel
from bytespike.catalog.models import Model
from bytespike.errors import GatewayError
from bytespike.media.images.attempt import DrawFailed, Site, draw
from bytespike.media.images.inputs import inlined
from bytespike.media.images.keep import taken
from bytespike.media.images.parts import ImageParts
from bytespike.media.images.plan import surface_of
from bytespike.media.order import Order
from bytespike.providers.endpoint import Endpoint
from bytespike.upstream.failures import about_of


class Made(Struct, frozen=True):
    """An image that was made. `pixels`: width times height, 0 where its bytes do not say."""

    data: bytes
    media_type: str
    pixels: int = 0


async def make(
    parts: ImageParts, channel: Channel, endpoint: Endpoint, model: Model, order: Order, seconds: float
) -> list[Made]:
    """The pictures of an order, at least one, within so many seconds. Raises DrawFailed. Cancelled, its calls are cut."""
    site = Site(channel, endpoint, model)
    try:
        order = await inlined(parts, structs.replace(order, stream=False, partial_images=0), endpoint.proxy)
        asked = site.adapter.ask(order, site.upstream_model)
    except GatewayError as error:
        # Nothing has been sent.
        raise DrawFailed(error, about_of(error)) from error
    outcome = await draw(parts, site, order, asked, seconds)
    pictures = await taken(parts, site, outcome.drawing.images, seconds)
    return [Made(each.data, each.facts.content_type, each.pixels) for each in pictures]


def asked_on(spoken: Collection[str], model: Model) -> str | None:
    """On which of a channel's surfaces an image model is asked; None: on none of them."""
    return surface_of(spoken, model)
