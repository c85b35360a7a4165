"""/v1/images/generations and /v1/images/edits, and the turns of conversations that models draw in.

    POST generations   JSON; a form is taken too
    POST edits         multipart/form-data: image or image[] files, a mask file, fields; or JSON: images, mask

Errors are in OpenAI's envelope.
"""

from __future__ import annotations

from bytespike.core.dialect import Dialect
from bytespike.core.json_types import JSONObject
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.forms import is_form, read_form
from bytespike.http.inbound.gateway import Handler, Route
from bytespike.http.inbound.head import base_url_of, flag
from bytespike.http.inbound.request import Inbound
from bytespike.http.inbound.tasks import caller, read_members
from bytespike.http.inbound.text import arrival_of
from bytespike.media.images.call import ImageCall
from bytespike.media.images.chat import serve_turn
from bytespike.media.images.life import serve_images
from bytespike.media.images.parts import ImageParts
from bytespike.pipeline.life import serve
from bytespike.pipeline.not_text import NotText
from bytespike.pipeline.parts import Parts


def image_routes(parts: Parts, images: ImageParts, dialect: Dialect) -> dict[str, Route]:
    """By path. `dialect`: Chat Completions, in whose envelope they tell errors."""
    return {
        "/v1/images/generations": Route("image_generations", dialect, POST=_serve(parts, images, edit=False)),
        "/v1/images/edits": Route("image_edits", dialect, POST=_serve(parts, images, edit=True)),
    }


def serve_chat(parts: Parts, images: ImageParts, dialect: Dialect) -> Handler:
    """POST /v1/chat/completions: a text model's, or a turn of one that draws."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        arrival = arrival_of(parts, dialect, inbound, exchange)
        try:
            await serve(parts, arrival, exchange)
        except NotText as found:
            if "openai_chat" not in found.model.protocols:
                raise
            account = parts.ledger.account(found.key) or await parts.ledger.open(found.key)
            call = ImageCall(
                request_id=exchange.request_id,
                key=found.key,
                account=account,
                params=read_members(found.call.body),
                edit=False,
                dry_run=arrival.dry_run,
                started_ns=arrival.started_ns,
                base_url=base_url_of(inbound.headers, images.links.base_url),
                protocol="openai_chat",
            )
            await serve_turn(images, call, exchange)

    return handler


def _serve(parts: Parts, images: ImageParts, *, edit: bool) -> Handler:
    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        started_ns = parts.clock.monotonic_ns()
        key, account = await caller(parts, inbound, exchange)
        dry_run = flag(inbound.headers, b"x-bytespike-dry-run")
        call = ImageCall(
            request_id=exchange.request_id,
            key=key,
            account=account,
            params=await _members(inbound, exchange),
            edit=edit,
            dry_run=dry_run,
            started_ns=started_ns,
            base_url=base_url_of(inbound.headers, images.links.base_url),
        )
        await serve_images(images, call, exchange)

    return handler


async def _members(inbound: Inbound, exchange: Exchange) -> JSONObject:
    """The body's members. Raises: BodyTooLarge, RequestTimeout, InvalidRequest, ClientGone."""
    if is_form(inbound.headers):
        return (await read_form(exchange.pieces(), inbound.headers)).members()
    return read_members(await exchange.body())
