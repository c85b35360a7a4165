"""Conversations that the gateway keeps: `previous_response_id`, for every model behind /v1/responses.

A call that goes on from a kept response gets the whole conversation put before its own input, so that any channel and
any dialect can answer it; and money counts all of it, because all of it is sent. Only the channel that made the previous
response is asked as the client asked, with the id: it knows the rest itself.

An answer that shall be kept is kept before its last byte leaves, so that whoever has it whole can go on from it.
"""

from __future__ import annotations

import re

from msgspec import structs

from bytespike.accounts.records import Channel, KeyRecord
from bytespike.conversations.kept import Kept, NoSuchResponse
from bytespike.core.dialect import Tap
from bytespike.core.json_types import JSONObject
from bytespike.core.usage import Usage
from bytespike.errors import GatewayError, NoPreviousResponse
from bytespike.pipeline.call import Call, Thread
from bytespike.pipeline.parts import Parts
from bytespike.protocols.openai_responses import references, stored
from bytespike.protocols.openai_responses.errors import PROOF_PARAM
from bytespike.routing.values import Candidate
from bytespike.wire.json import decode, encode

DIALECT = "openai_responses"
_PREVIOUS = b'"previous_response_id"'
_NO_PREVIOUS = re.compile(_PREVIOUS + rb"\s*:\s*null\b")
#: Of a platform that answers in this dialect and keeps nothing.
KEEPS_NOTHING = "no_store"


async def resumed(parts: Parts, key: KeyRecord, call: Call) -> Call:
    """The call with its place in a conversation, if its dialect has such.

    Raises: InvalidRequest, NoPreviousResponse; Unreadable while the database is away.
    """
    if call.dialect.name != DIALECT:
        return call
    body = await _dereferenced(parts, key, call.body)
    if body is not call.body:
        call = structs.replace(call, body=body)
    peek = call.dialect.peek(call.body)
    previous = peek.previous_id
    if previous is None:
        kept = peek.store or parts.conversations.everything
        thread = Thread(key.id, call.body, None, peek.store) if kept else None
        return structs.replace(call, thread=thread, peek=peek)
    try:
        chain = await parts.conversations.chain(key.id, previous)
    except NoSuchResponse:
        raise NoPreviousResponse(
            f"Previous response with id {previous[:80]!r} not found.", param="previous_response_id"
        ) from None
    items: list[JSONObject] = []
    for link in chain:
        items += _objects(link.input)
        items += stored.output_items(_object(link.body))
    newest = chain[-1]
    thread = Thread(
        key.id,
        call.body,
        previous,
        peek.store,
        made_by=newest.channel_id if newest.upstream_id is not None else None,
    )
    return structs.replace(call, body=stored.expand(call.body, items), thread=thread)


async def _dereferenced(parts: Parts, key: KeyRecord, body: bytes) -> bytes:
    """The body with kept items in place of references to them; references to what is not kept stay."""
    items: dict[str, JSONObject] = {}
    for name in references.named_responses(body):
        try:
            kept = await parts.conversations.get(key.id, name, fresh=False)
        except NoSuchResponse:
            continue
        items.update((str(item.get("id")), item) for item in stored.output_items(_object(kept.body)))
    return references.with_items(body, items) if items else body


def original_of(call: Call) -> bytes:
    """The body as the client sent it."""
    return call.body if call.thread is None else call.thread.original


def knows_previous(call: Call, candidate: Candidate[Channel]) -> bool:
    """The channel made the previous response: it is asked to go on from it."""
    thread = call.thread
    return (
        thread is not None
        and thread.made_by == candidate.channel.id
        and candidate.endpoint.dialect == DIALECT
    )


def retold(call: Call, candidate: Candidate[Channel], error: GatewayError) -> Call | None:
    """The call as the channel that has refused it may take it after all; None if there is no other way to tell it.

    It has forgotten the previous response: then it gets the whole conversation. It cannot read a piece of encrypted
    reasoning, which was made for another account: then it gets the conversation without.
    """
    if call.dialect.name != DIALECT or candidate.endpoint.dialect != DIALECT:
        return None
    if error.param == "previous_response_id" and call.thread is not None and knows_previous(call, candidate):
        return structs.replace(call, thread=structs.replace(call.thread, made_by=None))
    if error.param == PROOF_PARAM:
        body = stored.without_proofs(call.body)
        if body is call.body:
            return None
        thread = call.thread
        if thread is not None:
            thread = structs.replace(thread, made_by=None)
        return structs.replace(call, body=body, thread=thread)
    return None


def continued(data: bytes, call: Call) -> bytes:
    """A native answer, or whole events of one, with the id of the response that it goes on from: a channel that was sent
    the whole conversation knows none. A text that quotes such a member has its quotes escaped."""
    thread = call.thread
    if thread is None or thread.previous_id is None or _PREVIOUS not in data:
        return data
    told = b"%b:%b" % (_PREVIOUS, encode(thread.previous_id))
    return _NO_PREVIOUS.sub(lambda _: told, data)


class Continued:
    """The same of a stream: what its tap lets pass."""

    __slots__ = ("_call", "_tap")

    def __init__(self, tap: Tap, call: Call) -> None:
        self._tap = tap
        self._call = call

    @property
    def complete(self) -> bool:
        return self._tap.complete

    @property
    def ended(self) -> bool:
        return self._tap.ended

    @property
    def failure(self) -> GatewayError | None:
        return self._tap.failure

    @property
    def usage(self) -> Usage | None:
        return self._tap.usage

    @property
    def produced_chars(self) -> int:
        return self._tap.produced_chars

    def feed(self, data: bytes) -> bytes:
        return continued(self._tap.feed(data), self._call)

    def cut(self, usage: Usage) -> bytes:
        return continued(self._tap.cut(usage), self._call)

    def end(self) -> bytes:
        return continued(self._tap.end(), self._call)


class Keeping:
    """Watches an answer on its way to the client, and keeps it."""

    __slots__ = ("_call", "_candidate", "_keeper", "_native", "_parts")

    def __init__(self, parts: Parts, call: Call, candidate: Candidate[Channel], *, native: bool) -> None:
        """`native`: its bytes pass through, so its id is the provider's own."""
        self._parts = parts
        self._call = call
        self._candidate = candidate
        self._native = (
            native
            and call.thread is not None
            and call.thread.store
            and KEEPS_NOTHING not in candidate.endpoint.quirks
        )
        self._keeper = stored.Keeper()

    def feed(self, data: bytes) -> None:
        """More of a stream."""
        self._keeper.feed(data)

    def cut(self) -> None:
        """The gateway ends the stream: its provider knows of another end, or of none."""
        self._native = False

    async def streamed(self) -> None:
        """The stream is whole."""
        self._keeper.end()
        if self._keeper.response is not None:
            await self._keep(self._keeper.response, encode(self._keeper.response))

    async def whole(self, body: bytes) -> None:
        """A unary answer."""
        response = stored.response_of(body)
        if response is not None:
            await self._keep(response, body)

    async def _keep(self, response: JSONObject, body: bytes) -> None:
        thread = self._call.thread
        assert thread is not None
        now_us = self._parts.clock.now_us()
        id = str(response["id"])
        await self._parts.conversations.keep(
            Kept(
                id=id,
                key_id=thread.key_id,
                previous_id=thread.previous_id,
                channel_id=self._candidate.channel.id,
                upstream_id=id if self._native else None,
                input=encode(stored.input_items(thread.original, id)),
                body=body,
                created_at=now_us,
                expires_at=self._parts.conversations.expiry(now_us),
            ),
            durable=thread.store,
        )


def keeping(parts: Parts, call: Call, candidate: Candidate[Channel], *, native: bool) -> Keeping | None:
    """None where nothing is to be kept."""
    if call.thread is None or not (call.thread.store or parts.conversations.everything):
        return None
    return Keeping(parts, call, candidate, native=native)


def _objects(data: bytes) -> list[JSONObject]:
    value = decode(data)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _object(data: bytes) -> JSONObject:
    value = decode(data)
    return value if isinstance(value, dict) else {}
