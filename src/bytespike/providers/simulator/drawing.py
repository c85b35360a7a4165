"""What the vendors' APIs for images have in common: the order's directives, the pictures that are drawn, what is seen of those
that are given.

Every picture of an order is another one. Words say what was seen of the pictures that came along ("from 2 pictures, the first
64x64"), so that a test can tell that they arrived.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from msgspec import Struct

from bytespike.core.json_types import JSON
from bytespike.providers.simulator import directives, pictures, profile
from bytespike.providers.simulator.directives import Directives
from bytespike.providers.simulator.exchange import Fault, Incoming, World
from bytespike.providers.simulator.pictures import MediaType, NotAPicture, Picture, Seen

MEDIA_TYPES: dict[str, MediaType] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
#: How clear pictures are on their way to being finished.
CLARITY = (0.1, 0.3, 0.6)


class Look(Struct, frozen=True):
    """How pictures shall be: `width`, `height` in pixels."""

    width: int
    height: int
    media_type: MediaType = "image/png"
    transparent: bool = False
    quality: int = 80


def ordered(incoming: Incoming, world: World, prompt: str) -> tuple[str, Directives]:
    """The prompt without directives, and what holds for its pictures. Raises `directives.BadDirective`, and the `Fault` that
    was asked for."""
    words, _ = directives.split(prompt)
    sim = directives.resolve(world.defaults, incoming.headers.get(directives.HEADER), (prompt,), False)
    profile.fail_if_asked(sim, world, incoming.ordinal)
    return words, sim


def drawn(words: str, look: Look, number: int, world: World, clarity: float = 1.0) -> str:
    """Picture `number` (from 0) of an order, as base64."""
    picture = Picture(
        f"{words} #{number}" if number else words,
        look.width,
        look.height,
        look.media_type,
        look.transparent,
        look.quality,
        clarity,
    )
    return base64.b64encode(pictures.draw(picture, world.seed)).decode("ascii")


def count(sim: Directives, asked: int) -> int:
    """How many pictures are drawn: all of them, unless fewer were asked for by a directive."""
    return asked if sim.images is None else min(sim.images, asked)


def seen_in(urls: Sequence[JSON]) -> list[Seen]:
    """What `data:` URLs hold. Raises NotAPicture."""
    found: list[Seen] = []
    for url in urls:
        head, comma, data = str(url).partition(",")
        if not comma or not head.startswith("data:") or not head.endswith(";base64"):
            raise NotAPicture("it is no data: URL")
        found.append(looked_at(data))
    return found


def looked_at(data: str) -> Seen:
    """What base64 text holds. Raises NotAPicture."""
    try:
        return pictures.look(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError) as error:
        raise NotAPicture("it is not base64 of a picture") from error


def told(seen: Sequence[Seen]) -> str:
    """What was seen, in words."""
    if not seen:
        return "from words"
    several = "picture" if len(seen) == 1 else "pictures"
    return f"from {len(seen)} {several}, the first {seen[0].width}x{seen[0].height}"


def seeded(seed: JSON) -> str:
    """What a seed adds to the words that a picture is drawn from."""
    return "" if seed is None else f", seed {seed}"


def spoilt(sim: Directives) -> str | None:
    """How the order fails: "moderation", "error" or another word; None if it does not."""
    if sim.refusal is not None:
        return "moderation"
    return sim.fail


def failed(message: str) -> Fault:
    """A breakdown of the vendor's own."""
    return Fault(500, message)
