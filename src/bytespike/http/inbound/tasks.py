"""/v1/tasks/…: submit, query, cancel. Bodies are JSON of at most 1 MiB; errors are in OpenAI's envelope.

    POST submit             {model, params or the parameters themselves, out_task_id?, callback_url?}
    POST query, GET query   exactly one of task_id and out_task_id, in the body or in the query string
    POST cancel             the same; or POST cancel/{task_id}
    GET  stream/{task_id}   server-sent events: `watching.py`

Another key's task does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from msgspec import structs

from bytespike.accounts.records import KeyRecord
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.notices import Notice
from bytespike.errors import InvalidRequest
from bytespike.http.inbound.exchange import Exchange, notices_line
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.head import base_url_of, flag, secret_of
from bytespike.http.inbound.request import Inbound
from bytespike.ledger.account import KeyAccount
from bytespike.ledger.amounts import format_usd
from bytespike.media.objects.urls import Links
from bytespike.media.rules import read_order
from bytespike.media.tasks.body import task_body
from bytespike.media.tasks.desk import Desk, Submission
from bytespike.media.tasks.record import Surface
from bytespike.pipeline.authenticate import authenticate
from bytespike.pipeline.parts import Parts
from bytespike.wire.fields import kind_of
from bytespike.wire.json import NotJSON, decode_object, encode, nests_deeper
from bytespike.wire.limits import TASK_BODY_BYTES_MAX

_CANCEL: Final = "/cancel/"
_IDS: Final = ("task_id", "out_task_id")
#: What makes sense only while somebody waits for the answer, and what a task has instead.
_WAITED_FOR: Final[Mapping[str, str]] = {
    "stream": "GET /v1/tasks/stream watches a task",
    "partial_images": "a task has none",
    "response_format": "a task's output has URLs",
}


def submit_task(parts: Parts, desk: Desk, links: Links) -> Handler:
    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        key, account = await caller(parts, inbound, exchange)
        members = _flat(read_members(await exchange.body_within(TASK_BODY_BYTES_MAX)))
        wanted = submission(desk, key, "tasks", members)
        if flag(inbound.headers, b"x-bytespike-dry-run"):
            await answer_estimate(desk, key, account, wanted, exchange)
            return
        submitted = await desk.submit(key, account, wanted)
        exchange.held(submitted.task.held)
        body = task_body(submitted.task, links, base_url_of(inbound.headers, links.base_url))
        answer(exchange, body, wanted.order.notices)

    return handler


def query_task(parts: Parts, desk: Desk, links: Links) -> Handler:
    """GET and POST."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        key, _ = await caller(parts, inbound, exchange)
        named = await _named(inbound, exchange)
        task = await desk.query(key.id, **named)
        answer(exchange, task_body(task, links, base_url_of(inbound.headers, links.base_url)))

    return handler


def cancel_task(parts: Parts, desk: Desk, links: Links) -> Handler:
    """POST /v1/tasks/cancel and /v1/tasks/cancel/{task_id}."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        key, _ = await caller(parts, inbound, exchange)
        id = inbound.path.partition(_CANCEL)[2].rstrip("/")
        named = {"task_id": id} if id else await _named(inbound, exchange)
        task = await desk.cancel(key.id, **named)
        answer(exchange, task_body(task, links, base_url_of(inbound.headers, links.base_url)))

    return handler


# --- shared with /v1/videos ------------------------------------------------------------------------------------


async def caller(parts: Parts, inbound: Inbound, exchange: Exchange) -> tuple[KeyRecord, KeyAccount]:
    """Whose request it is. Raises InvalidKey, PermissionDenied."""
    key, account = await authenticate(parts, secret_of(inbound.headers, inbound.query), inbound.client_ip)
    exchange.identified(account)
    return key, account


def submission(desk: Desk, key: KeyRecord, surface: Surface, members: JSONObject) -> Submission:
    """What a request wants made. `members`: its parameters and what is told besides.

    Raises InvalidRequest, UnsupportedFeature, and what `Desk.model_for` raises."""
    name = members.get("model")
    if not isinstance(name, str) or not name:
        raise InvalidRequest("model is required: the name of an image or video model", param="model")
    model = desk.model_for(key, name)
    if model.kind == "text":
        raise InvalidRequest(
            f"{model.slug} is a text model: it answers at once, on the text endpoints", param="model"
        )
    notices = tuple(
        str(Notice(member, "dropped", why))
        for member, why in _WAITED_FOR.items()
        if members.get(member) not in (None, False, 0, "url")
    )
    order = read_order(
        model, {name: value for name, value in members.items() if name not in _WAITED_FOR}, model.kind
    )
    return Submission(
        model=model,
        requested=name,
        order=structs.replace(order, notices=(*order.notices, *notices)),
        surface=surface,
        out_task_id=_text(members, "out_task_id"),
        callback_url=_text(members, "callback_url"),
    )


def answer(exchange: Exchange, body: JSONObject, notices: tuple[str, ...] = (), extra: bytes = b"") -> None:
    """A whole answer. `extra`: more header lines."""
    exchange.plain(200, encode(body), b"application/json", extra + notices_line(notices))


async def answer_estimate(
    desk: Desk, key: KeyRecord, account: KeyAccount, wanted: Submission, exchange: Exchange
) -> None:
    """A dry run: what it would cost and how long it would take, once it is sure that it would be taken."""
    estimate = await desk.estimate(key, account, wanted)
    exchange.held(estimate.credits)
    body: JSONObject = {
        "object": "dry_run",
        "model": wanted.requested,
        "estimated_credits": format_usd(estimate.credits),
        "estimated_seconds": estimate.seconds,
    }
    answer(exchange, body, wanted.order.notices)


def read_members(data: bytes) -> JSONObject:
    """A JSON body. Raises InvalidRequest."""
    try:
        members = decode_object(data)
    except NotJSON as error:
        raise InvalidRequest(f"the body must be a JSON object: {error}") from None
    if nests_deeper(members, text=data):
        raise InvalidRequest("the body nests too deeply")
    return members


# --- within ----------------------------------------------------------------------------------------------------


def _flat(members: JSONObject) -> JSONObject:
    """Parameters may stand in `params` or beside it. Raises InvalidRequest for one that stands in both, with two values."""
    params = members.pop("params", None)
    if params is None:
        return members
    if not isinstance(params, dict):
        raise InvalidRequest(f"params is an object, not {kind_of(params)}", param="params")
    for name, value in params.items():
        if members.setdefault(name, value) != value:
            raise InvalidRequest(
                f"{name} stands in params and beside it, with two values", param=f"params.{name}"[:100]
            )
    return members


async def _named(inbound: Inbound, exchange: Exchange) -> dict[str, str]:
    """Which task is meant: `task_id` or `out_task_id`, by name. Raises InvalidRequest."""
    members: JSONObject = {
        name: values[-1] for name, values in parse_qs(inbound.query.decode("latin-1")).items()
    }
    if inbound.method == "POST":
        body = await exchange.body_within(TASK_BODY_BYTES_MAX)
        if body:
            members |= read_members(body)
    found = {name: text for name in _IDS if (text := _text(members, name)) is not None}
    if len(found) != 1:
        wrong = "both are given" if found else "neither is given"
        raise InvalidRequest(
            f"a task is named by exactly one of task_id and out_task_id; {wrong}", param="task_id"
        )
    return found


def _text(members: Mapping[str, JSON], name: str) -> str | None:
    """A member that is text; None where it is absent or empty. Raises InvalidRequest."""
    value = members.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} is a string, not {kind_of(value)}", param=name)
    return value
