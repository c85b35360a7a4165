"""Trying a channel for real: can it be reached, is its credential taken, does a model answer, in each dialect that it speaks.

The request is tiny and the same for all; it goes through the same writers, carriages and readers as everybody's. No hold is
made and nothing is billed to anybody, but the upstream charges its operator. What is found is told without secrets: an
upstream's own words are quoted, with the channel's credential taken out wherever it stands in them.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from msgspec import Struct, structs

from bytespike.accounts.records import Channel
from bytespike.catalog.models import Model
from bytespike.clock import Clock
from bytespike.core import events as e
from bytespike.core.content import TextPart, Turn
from bytespike.core.dialect import Dialect, Target
from bytespike.core.request import ChatRequest
from bytespike.core.usage import Usage
from bytespike.errors import GatewayError, UpstreamError
from bytespike.pipeline.carrying import signature, unframed
from bytespike.providers.abilities import quirks_of, spoken
from bytespike.providers.access_tokens import AccessTokens, TokenRefused, TokenUnavailable
from bytespike.providers.carriage import Parcel
from bytespike.providers.choice import filled
from bytespike.providers.endpoint import Endpoint
from bytespike.providers.platforms import DIALECTS
from bytespike.upstream.answer import Answer
from bytespike.upstream.client import Client
from bytespike.upstream.errors import TransportError
from bytespike.upstream.limits import Timeouts
from bytespike.upstream.reach import Step, reach
from bytespike.wire import json
from bytespike.wire.limits import ANSWER_BYTES_MAX, ERROR_BYTES_MAX

PROMPT = "Answer with the word OK."
#: Enough for models that think first.
OUTPUT_TOKENS = 512
#: No longer than this for one step: somebody waits.
SECONDS_MAX = 60.0
CONNECT_SECONDS_MAX = 10.0
#: Of an upstream's words.
QUOTED_CHARS_MAX = 240
#: A part of a credential that is shorter is no secret.
_SECRET_CHARS_MIN = 8

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa1-\uffff]+")


@dataclass(frozen=True, slots=True)
class Means:
    """What a probe works with."""

    upstream: Client
    tokens: AccessTokens
    clock: Clock
    dialects: Mapping[str, Dialect]
    timeouts: Timeouts


class _Refused(Exception):
    """An answer that is no success. `words`: the upstream's."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class _Asked(Struct, frozen=True):
    path: bytes
    head: bytes
    body: bytes
    dialect: Dialect


async def probe(
    means: Means,
    tls: ssl.SSLContext,
    channel: Channel,
    model: Model | None,
    upstream_model: str,
    only: str | None = None,
) -> AsyncIterator[Step]:
    """The steps, as they are taken. `tls`: the context that the upstream client has too. `model`: which is asked, under the
    name `upstream_model`; None where the channel has no text model. `only`: in this dialect alone."""
    text = [
        (name, channel.endpoints[name])
        for name in DIALECTS
        if name in channel.endpoints and (only is None or name == only)
    ]
    # One that speaks no text at all can be reached at least.
    tried = text if text or only in DIALECTS else channel.endpoints.items()
    reached: set[object] = set()
    for name, endpoint in tried:
        where = (endpoint.origin, endpoint.proxy)
        if where not in reached:
            reached.add(where)
            async for step in reach(endpoint.origin, endpoint.proxy, tls, CONNECT_SECONDS_MAX):
                yield step
                if step.outcome == "failed":
                    return
        if not text:
            yield Step(
                "answer", "skipped", "images and videos are not made for a try: they cost", dialect=name
            )
            continue
        probing = _Probing(means, channel, endpoint)
        if endpoint.models_target is not None:
            yield await probing.models(endpoint.models_target, upstream_model if model else "")
        if model is None:
            yield Step("answer", "skipped", "the channel serves no text model", dialect=name)
            continue
        yield await probing.answer(model, upstream_model)
        yield await probing.stream(model, upstream_model)


async def answers(
    means: Means, channel: Channel, endpoint: Endpoint, model: Model, upstream_model: str
) -> tuple[Step, ...]:
    """One endpoint alone: a whole answer, and a streamed one if that came."""
    probing = _Probing(means, channel, endpoint)
    whole = await probing.answer(model, upstream_model)
    return (whole, await probing.stream(model, upstream_model)) if whole.outcome == "ok" else (whole,)


class _Probing:
    """One endpoint."""

    def __init__(self, means: Means, channel: Channel, endpoint: Endpoint) -> None:
        self._means = means
        self._channel = channel
        self._endpoint = endpoint

    async def models(self, target: bytes, wanted: str) -> Step:
        """Whether the list of models comes, which asks for the credential alone."""
        began = self._now()
        try:
            answer = await self._send(b"GET", target, self._defaults(), b"")
            listed = _model_ids(await answer.read(ANSWER_BYTES_MAX))
        except _Refused as refused:
            outcome = "skipped" if refused.status in (404, 405, 501) else "failed"
            found = "it has no list of models" if outcome == "skipped" else self._told(refused)
            return self._step("models", outcome, found, began)
        except (TransportError, TokenRefused, TokenUnavailable) as error:
            return self._step("models", "failed", self._clean(str(error)), began)
        if listed is None:
            return self._step("models", "skipped", "what it lists as models cannot be read", began)
        found = f"it lists {len(listed)} models"
        if wanted and listed and not any(each in (wanted, f"models/{wanted}") for each in listed):
            # No failure: not all that can be asked is listed, or on the first page.
            found += f", {self._clean(wanted)} is not among them"
        return self._step("models", "ok", found, began)

    async def answer(self, model: Model, upstream_model: str) -> Step:
        """A whole answer."""
        began = self._now()
        try:
            asked = self._asked(model, upstream_model, stream=False)
            answer = await self._send(b"POST", asked.path, asked.head, asked.body)
            response = asked.dialect.read_response(await answer.read(ANSWER_BYTES_MAX))
        except _FAILURES as error:
            return self._failed("answer", error, began)
        texts = [part.text for part in response.candidates[0].parts if isinstance(part, TextPart)]
        return self._step("answer", "ok", self._said("".join(texts), response.usage), began)

    async def stream(self, model: Model, upstream_model: str) -> Step:
        """A streamed answer, read to its end."""
        began = self._now()
        first: float | None = None
        texts: list[str] = []
        usage = Usage()
        whole = False
        try:
            asked = self._asked(model, upstream_model, stream=True)
            answer = await self._send(b"POST", asked.path, asked.head, asked.body)
            reader = asked.dialect.stream_reader()
            while not whole:
                data = await answer.next_chunk()
                first = first or self._now()
                for event in reader.feed(data) if data else reader.end():
                    if isinstance(event, e.Failed):
                        raise UpstreamError(event.message)
                    if isinstance(event, e.TextDelta):
                        texts.append(event.text)
                    elif isinstance(event, e.Done):
                        usage = event.usage
                        whole = True
                if not data and not whole:
                    raise UpstreamError("the stream ended before its answer was complete")
            answer.abort()
        except _FAILURES as error:
            return self._failed("stream", error, began)
        waited = round(((first or began) - began) * 1000)
        return self._step(
            "stream", "ok", f"{self._said(''.join(texts), usage)}, first byte after {waited} ms", began
        )

    # --- within --------------------------------------------------------------------------------------------------

    def _asked(self, model: Model, upstream_model: str, *, stream: bool) -> _Asked:
        endpoint = self._endpoint
        quirks = endpoint.quirks | quirks_of(model, endpoint.dialect)
        dialect = spoken(self._means.dialects[endpoint.dialect], quirks)
        tokens = min(OUTPUT_TOKENS, model.max_output_tokens)
        request = ChatRequest(
            model=model.slug,
            turns=(Turn("user", (TextPart(PROMPT),)),),
            max_output_tokens=tokens,
            stream=stream,
        )
        target = Target(
            model=upstream_model,
            family=model.family,
            capabilities=model.capabilities - endpoint.lacks,
            max_output_tokens=model.max_output_tokens,
            quirks=quirks,
            output_tokens_held=tokens,
        )
        written = dialect.write_request(request, target)
        head = b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in written.headers)
        path = filled(endpoint.stream_target if stream else endpoint.target, upstream_model)
        if stream:
            path += endpoint.events_query
        parcel = Parcel(path, head, written.body)
        if endpoint.carriage is not None:
            parcel = endpoint.carriage.packed(parcel)
        return _Asked(parcel.path, parcel.head, parcel.body, dialect)

    async def _send(self, method: bytes, path: bytes, head: bytes, body: bytes) -> Answer:
        """Raises _Refused, TransportError, TokenRefused, TokenUnavailable."""
        means, endpoint = self._means, self._endpoint
        carriage = endpoint.carriage
        whole = endpoint.head + head
        if carriage is not None:
            whole += await signature(carriage, path, whole, body, means.clock, means.tokens)
        answer = await means.upstream.request(
            endpoint.origin, method, path, whole, body, self._timeouts(), proxy=endpoint.proxy
        )
        if answer.status == 200:
            return answer if carriage is None else unframed(carriage, answer)
        raw = await answer.read(ERROR_BYTES_MAX)
        raise _Refused(answer.status, _words(raw))

    def _timeouts(self) -> Timeouts:
        own = {**self._endpoint.timeouts, **self._channel.timeouts}
        timeouts = structs.replace(self._means.timeouts, **own)
        return Timeouts(
            connect=min(timeouts.connect, CONNECT_SECONDS_MAX),
            first_byte=min(timeouts.first_byte, SECONDS_MAX),
            idle=min(timeouts.idle, SECONDS_MAX),
            total=min(timeouts.total, SECONDS_MAX),
        )

    def _defaults(self) -> bytes:
        return b"".join(line for _, line in self._endpoint.default_headers)

    def _failed(self, name: str, error: Exception, began: float) -> Step:
        found = self._told(error) if isinstance(error, _Refused) else self._clean(str(error))
        return self._step(name, "failed", found, began)

    def _told(self, refused: _Refused) -> str:
        what = {
            401: "the credential is refused",
            402: "the account cannot pay",
            403: "the credential may not do this",
            404: "there is no such path or model",
            429: "the account's rate limit is reached",
        }.get(refused.status, "the request is refused" if refused.status < 500 else "the upstream fails")
        words = self._clean(refused.words)
        return f"{what} ({refused.status}){': ' if words else ''}{words}"

    def _said(self, text: str, usage: Usage) -> str:
        quoted = self._clean(text)[:40] or "no text"
        return f'"{quoted}", {usage.prompt_total} tokens in, {usage.output} out'

    def _clean(self, text: str) -> str:
        """On one line, bounded, and without any part of the channel's credential."""
        for secret in re.split(r"[:@\s\"']+", self._channel.credential):
            if len(secret) >= _SECRET_CHARS_MIN:
                text = text.replace(secret, "***")
        text = _UNPRINTABLE.sub(" ", text).strip()
        return text if len(text) <= QUOTED_CHARS_MAX else text[: QUOTED_CHARS_MAX - 3] + "..."

    def _step(self, name: str, outcome: str, found: str, began: float) -> Step:
        ms = round((self._now() - began) * 1000)
        kind = "ok" if outcome == "ok" else "failed" if outcome == "failed" else "skipped"
        return Step(name, kind, found, ms, self._endpoint.dialect)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


_FAILURES = (_Refused, TransportError, TokenRefused, TokenUnavailable, GatewayError)


def _words(body: bytes) -> str:
    """What an error answer says, in any of the envelopes that there are; else its beginning."""
    try:
        value = json.decode(body)
    except json.NotJSON:
        return body[:QUOTED_CHARS_MAX].decode("utf-8", "replace")
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        error = value.get("error")
        holder = error if isinstance(error, dict) else value
        for name in ("message", "Message", "detail", "error"):
            words = holder.get(name)
            if isinstance(words, str) and words:
                return words
    return body[:QUOTED_CHARS_MAX].decode("utf-8", "replace")


def _model_ids(body: bytes) -> list[str] | None:
    """The ids in a list of models, OpenAI's and Anthropic's (`data[].id`) or Gemini's (`models[].name`)."""
    try:
        value = json.decode_object(body)
    except json.NotJSON:
        return None
    for members, name in (("data", "id"), ("models", "name")):
        listed = value.get(members)
        if isinstance(listed, list):
            ids = [each.get(name) for each in listed if isinstance(each, dict)]
            return [each for each in ids if isinstance(each, str)]
    return None
