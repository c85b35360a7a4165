"""What the vendors' APIs for videos have in common: the order's directives, looking at a render, and its file."""

from __future__ import annotations

import base64
import binascii
import hashlib

from bytespike.providers.simulator import directives, films, pictures, profile
from bytespike.providers.simulator.directives import PLAIN, Directives
from bytespike.providers.simulator.exchange import Fault, Incoming, Reply, World
from bytespike.providers.simulator.pictures import NotAPicture, Seen
from bytespike.providers.simulator.renders import Render

MP4_TYPE = "video/mp4"
#: How a file's life ends, for those vendors that say when: a day.
FILE_S = 24 * 3600


def ordered(incoming: Incoming, world: World, prompt: str) -> tuple[str, Directives]:
    """The prompt without directives, and what holds for its render. Raises `directives.BadDirective`, and the `Fault` that was
    asked for."""
    words, _ = directives.split(prompt)
    sim = directives.resolve(world.defaults, incoming.headers.get(directives.HEADER), (prompt,), False)
    profile.fail_if_asked(sim, world, incoming.ordinal)
    return words, sim


def new_id(incoming: Incoming, world: World, length: int) -> str:
    """An id of so many characters, of this request and no other."""
    ordinal = incoming.ordinal.to_bytes(8, "big")
    return hashlib.blake2b(ordinal, key=world.seed[:64], digest_size=32).hexdigest()[:length]


def looked_at(render: Render | None, missing: Fault) -> Render:
    """A render that was polled. Raises `missing` where there is none, and the `Fault` that was asked for."""
    if render is None:
        raise missing
    sim = render.sim
    if sim.poll_error is not None and render.polls <= sim.poll_errors:
        message = f"The simulator was asked for an error {sim.poll_error}."
        raise Fault(sim.poll_error, message, retry_after=sim.retry_after)
    return render


def file_of(render: Render, seed: bytes) -> Reply:
    """The render's file. Raises the `Fault` that was asked for."""
    sim = render.sim
    render.fetches += 1
    refused = sim.fetch_errors if sim.fetch_error is not None else 0
    if sim.fetch_error is not None and render.fetches <= refused:
        message = f"The simulator was asked for an error {sim.fetch_error}."
        raise Fault(sim.fetch_error, message, retry_after=sim.retry_after)
    film = films.make(render.clip, seed)
    delivery = PLAIN
    if sim.fetch_cut is not None and render.fetches == refused + 1:
        delivery = Directives(break_after=sim.fetch_cut // films.CHUNK_BYTES)
    return Reply(frames=film.chunks(), length=film.length, stream_type=MP4_TYPE, delivery=delivery)


def still_of(render: Render, seed: bytes, media_type: pictures.MediaType) -> Reply:
    """A picture in place of the film."""
    picture = pictures.Picture(render.clip.words, render.clip.width, render.clip.height, media_type)
    return file(pictures.draw(picture, seed), media_type)


def file(data: bytes, media_type: str) -> Reply:
    """A file that is at hand."""
    return Reply(frames=iter((data,)), length=len(data), stream_type=media_type)


def seen(data: str) -> Seen:
    """What base64 text holds. Raises `NotAPicture`."""
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise NotAPicture("it is not base64") from None
    return pictures.look(decoded)


def even(side: int) -> int:
    """Films have even sides."""
    return max(side - side % 2, 2)
