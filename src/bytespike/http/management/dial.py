"""POST /dial/test: would a request for this model, in this protocol, with this key, be answered? Tried for real, free.

The steps are those of a request: the key, the model, a channel for it, a tiny answer, the same streamed. As a request does,
it goes on to the next channel when one fails. The operator pays for the tokens, so that each user has a few tries a minute.
What an upstream said is not for users: `bytespike channels test` tells it to the operator.
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from bytespike.accounts.records import Channel, KeyRecord
from bytespike.catalog.models import Model
from bytespike.errors import InvalidRequest, ModelNotFound, NotFound
from bytespike.http.management.deps import Caller, CallerParam, Deps, DepsParam
from bytespike.pipeline.probe import Means, answers
from bytespike.providers.platforms import DIALECTS
from bytespike.routing.candidates import candidates, speaking
from bytespike.routing.values import Candidate
from bytespike.store import groups, keys

router = APIRouter(tags=["dial"])

#: Channels that are tried, at most.
CHANNELS_MAX = 3

Outcome = Literal["ok", "failed"]


class DialRequest(BaseModel):
    """`protocol`: the dialect in which a client would ask. `api_key_id`: one of the caller's keys, with a session; left
    out, whatever any key of the caller's could reach."""

    model: str = Field(min_length=1, max_length=200)
    protocol: str = "openai_chat"
    api_key_id: str | None = None


class DialStep(BaseModel):
    step: Literal["key", "model", "channel", "answer", "stream"]
    result: Outcome
    found: str
    ms: int = 0


class DialReport(BaseModel):
    """`ok`: a request would be answered. `model`: the catalog's name for it, `support`: how its bytes go; null where it did
    not come so far."""

    ok: bool
    model: str | None
    protocol: str
    support: Literal["native", "translated"] | None
    steps: list[DialStep]


@router.post("/dial/test")
async def dial_test(asked: DialRequest, caller: CallerParam, deps: DepsParam) -> DialReport:
    """Raises: InvalidRequest (no such protocol), NotFound (no such key of the caller's), RateLimited."""
    if asked.protocol not in DIALECTS:
        raise InvalidRequest(f"protocol is one of {', '.join(DIALECTS)}", param="protocol")
    deps.dials.take(caller.user.id)
    report = _Report(asked.protocol)
    allowed, group_ids = await _reach(asked, caller, deps, report)
    if group_ids:
        model = _model(asked.model, allowed, deps, report)
        if model is not None:
            await _call(model, group_ids, deps, report)
    return report.told()


class _Report:
    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.model: str | None = None
        self.support: Literal["native", "translated"] | None = None
        self.steps: list[DialStep] = []

    def add(
        self,
        step: Literal["key", "model", "channel", "answer", "stream"],
        result: Outcome,
        found: str,
        ms: int = 0,
    ) -> None:
        self.steps.append(DialStep(step=step, result=result, found=found, ms=ms))

    def told(self) -> DialReport:
        ok = self.steps[-1].step == "stream" and self.steps[-1].result == "ok"
        return DialReport(
            ok=ok, model=self.model, protocol=self.protocol, support=self.support, steps=self.steps
        )


async def _reach(
    asked: DialRequest, caller: Caller, deps: Deps, report: _Report
) -> tuple[tuple[str, ...] | frozenset[str] | None, list[int]]:
    """The models that the key allows (None: all) and the groups that it reaches; no group if it may not be used."""
    key: KeyRecord | None = caller.key
    if asked.api_key_id is not None and (key is None or asked.api_key_id != key.id):
        async with deps.control.reading() as connection:
            row = await keys.get(connection, asked.api_key_id)
        if row is None or row.user_id != caller.user.id:
            raise NotFound("you have no such key")
        expired = row.expires_at is not None and row.expires_at <= deps.control.clock.now_us()
        if row.status != "active" or expired:
            report.add("key", "failed", "the key has expired" if expired else f"the key is {row.status}")
            return None, []
        report.add("key", "ok", f"the key {row.name} may be used")
        return (None if row.allowed_models is None else tuple(row.allowed_models)), [row.group_id]
    if key is not None:
        report.add("key", "ok", "the key that asks may be used")
        return key.allowed_models, [key.group_id]
    async with deps.control.reading() as connection:
        group_ids = [row.id for row in await groups.open_to(connection, caller.user.id)]
    report.add("key", "ok" if group_ids else "failed", f"{len(group_ids)} groups are open to your keys")
    return None, group_ids


def _model(
    name: str, allowed: tuple[str, ...] | frozenset[str] | None, deps: Deps, report: _Report
) -> Model | None:
    try:
        model = deps.parts.catalog.current.resolve(name).model
    except ModelNotFound as error:
        report.add("model", "failed", error.message)
        return None
    report.model = model.slug
    if model.kind != "text":
        report.add("model", "failed", f"{model.slug} makes no text; only text models are tried")
        return None
    if allowed is not None and model.slug not in allowed:
        report.add("model", "failed", f"this key may not use the model {model.slug}")
        return None
    report.add("model", "ok", f"it is {model.slug}")
    return model


async def _call(model: Model, group_ids: list[int], deps: Deps, report: _Report) -> None:
    parts = deps.parts
    protocol = report.protocol
    routes = parts.directory.routes
    group_ids = [
        each for each in group_ids if each in routes.groups and routes.groups[each].status == "active"
    ]
    by_group = routes.by_group_model
    serving: dict[str, Channel] = {
        channel.id: channel
        for group_id in group_ids
        for channel in by_group.get(group_id, {}).get(model.slug, ())
    }
    if deps.settings.strict_protocol_matrix and protocol not in model.published:
        report.add("channel", "failed", f"{model.slug} is not offered in this protocol")
        return
    able = list(serving.values())
    found = candidates(able, protocol, now_us=parts.clock.now_us(), health=parts.health)
    if not found:
        report.add("channel", "failed", _none(len(able), len(speaking(able, protocol))))
        return
    report.support = "native" if found[0].endpoint.dialect == protocol else "translated"
    report.add("channel", "ok", f"{len(found)} of {len(able)} channels can answer, {report.support}")
    await _ask(found[:CHANNELS_MAX], model, deps, report)


def _none(serving: int, able: int) -> str:
    if not serving:
        return "no channel of the key's group serves it"
    return (
        "every channel for it is resting"
        if able
        else "no channel that serves it can be asked in this protocol"
    )


async def _ask(found: list[Candidate[Channel]], model: Model, deps: Deps, report: _Report) -> None:
    parts = deps.parts
    means = Means(parts.upstream, parts.tokens, parts.clock, parts.dialects, parts.timeouts)
    failed = 0
    for candidate in found:
        channel = candidate.channel
        served = channel.models[model.slug].upstream_model
        steps = await answers(means, channel, candidate.endpoint, model, served)
        if steps[-1].outcome != "ok":
            failed += 1
            continue
        report.support = "native" if candidate.endpoint.dialect == report.protocol else "translated"
        report.add("answer", "ok", steps[0].found, steps[0].ms)
        report.add("stream", "ok", steps[1].found, steps[1].ms)
        return
    report.add(
        "answer", "failed", f"{failed} channels were tried, and none answered; the operator has to look"
    )
