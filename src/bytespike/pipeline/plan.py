"""What was asked, of which model, and which channels can answer: decided before any money moves."""

from __future__ import annotations

from functools import partial

import structlog
from msgspec import structs

from bytespike.accounts.records import Channel, KeyRecord
from bytespike.catalog.models import Model
from bytespike.core.dialect import Peek
from bytespike.core.notices import Notice
from bytespike.errors import (
    ContextTooLong,
    ModelNotInGroup,
    NoAvailableChannel,
    PermissionDenied,
    UnsupportedFeature,
)
from bytespike.pipeline.call import Arrival, Call
from bytespike.pipeline.not_text import NotText
from bytespike.pipeline.parts import Parts
from bytespike.pipeline.values import Cost, Plan
from bytespike.pricing.estimate import estimate_prompt_tokens, worst_case
from bytespike.protocols.anthropic_messages.names import NAME as MESSAGES
from bytespike.routing.candidates import CONSIDERED_MAX, candidates, considered, speaking, told
from bytespike.routing.health import HealthBoard
from bytespike.routing.marks import mark
from bytespike.routing.values import Candidate, Passed, Sticky

log = structlog.get_logger("bytespike.pipeline")

#: The prompt estimate is an upper bound; only a prompt this many times over the window is surely too long.
WINDOW_EXCESS = 3
#: By so much a translation may raise a client's limit, to make room for thinking: the least budget of a Claude.
RAISED_TOKENS_MAX = 1_024


def called(arrival: Arrival, body: bytes) -> Call:
    """The call, once its body is there."""
    return Call(
        arrival.dialect,
        arrival.request_id,
        arrival.headers,
        body,
        arrival.dry_run,
        arrival.started_ns,
        arrival.addressed,
    )


def choose(parts: Parts, call: Call, key: KeyRecord, *, only_priced: bool = False) -> Plan:
    """Read the call, resolve its model, and find the channels that can answer it, best first. `only_priced`: nobody will be asked,
    so that where none can be now, all are candidates that will be again.

    Raises: InvalidRequest, NotText, ModelNotFound, ModelNotInGroup, PermissionDenied, NoAvailableChannel.
    """
    peek = call.peek or call.dialect.peek(call.body)
    if call.addressed is not None:
        where = call.addressed
        peek = structs.replace(peek, model=where.model, stream=where.stream, array=where.array)
    resolution = parts.catalog.current.resolve(peek.model)
    model = resolution.model
    if model.kind != "text":
        raise NotText(call, key, model)
    if key.allowed_models is not None and model.slug not in key.allowed_models:
        raise PermissionDenied(f"this key may not use the model {model.slug}", param="model")
    routes = parts.directory.routes
    group = routes.groups.get(key.group_id)
    if group is None or group.status != "active":
        raise PermissionDenied("this key's group is not active")
    serving = routes.by_group_model.get(key.group_id, {}).get(model.slug, ())
    if not serving:
        if any(model.slug in each.models and group.id in each.group_ids for each in routes.channels.values()):
            raise NoAvailableChannel(
                f"every channel for {model.slug} is disabled; its operator has to look", retry_after=60
            )
        raise ModelNotInGroup(
            f"no channel of the group {group.name} serves {model.slug}; GET /v1/models lists what this key reaches",
            param="model",
        )
    dialect = call.dialect.name
    if parts.limits.strict_protocol_matrix and dialect not in model.published:
        raise UnsupportedFeature(f"{model.slug} is not offered on this endpoint", param="model")
    now_us = parts.clock.now_us()
    passed: list[Passed] = []
    sticky: Sticky | None = None
    if len(serving) == 1:
        found = candidates(
            serving, dialect, now_us=now_us, health=parts.health, ceilings=parts.ceilings, passed=passed
        )
    else:
        found, sticky = _chosen(parts, call, key, peek, model, serving, now_us, passed)
    if not found and only_priced:
        able = [each for each in serving if not parts.health.of(each.id).needs_operator]
        found = candidates(able, dialect, now_us=now_us, health=HealthBoard())
    if not found:
        raise _nobody(parts, model, dialect, serving, passed, now_us, call.request_id)
    # The only dialect whose writer raises a limit: there it must be above what is thought with.
    raised = False
    for each in found:
        if each.endpoint.dialect == MESSAGES and (dialect != MESSAGES or resolution.thinking):
            raised = True
    return Plan(
        peek=peek,
        model=model,
        requested=peek.model,
        thinking=resolution.thinking,
        candidates=tuple(found),
        multiplier_ppm=group.multiplier_ppm,
        output_held=output_held(peek, model, raised=raised),
        notices=(
            (Notice("model", "approximated", f"{model.slug} answers in its place"),)
            if resolution.substitute
            else ()
        ),
        passed=tuple(passed),
        sticky=sticky,
    )


def _chosen(
    parts: Parts,
    call: Call,
    key: KeyRecord,
    peek: Peek,
    model: Model,
    serving: tuple[Channel, ...],
    now_us: int,
    passed: list[Passed],
) -> tuple[list[Candidate[Channel]], Sticky | None]:
    """Where there is a choice: the candidates, best first, and what is to be remembered of the conversation. `passed`
    gets the channels that might have been asked first. Only here it is worth knowing which conversation it is."""
    dialect = call.dialect.name
    conversation = partial(mark, key.account_id, model.slug, dialect, call.headers, peek, call.body)
    turn = conversation() if len(serving) > CONSIDERED_MAX else 0
    found = candidates(
        serving,
        dialect,
        now_us=now_us,
        health=parts.health,
        ceilings=parts.ceilings,
        passed=passed,
        turn=turn,
    )
    if not found:
        return found, None
    if call.thread is not None and call.thread.made_by is not None:
        made_by = call.thread.made_by
        found.sort(key=lambda each: (each.channel.priority, each.channel.id != made_by))
        if found[0].channel.id == made_by:
            found[0] = structs.replace(found[0], reason="thread")
            return found, None
    return parts.affinity.arranged(
        found,
        considered(serving, turn),
        conversation,
        (model.slug, peek.stream),
        parts.health,
        parts.pace,
        now_us,
        passed,
    )


def _nobody(
    parts: Parts,
    model: Model,
    dialect: str,
    serving: tuple[Channel, ...],
    passed: list[Passed],
    now_us: int,
    request_id: str,
) -> UnsupportedFeature | NoAvailableChannel:
    """Why none of the channels can be asked, and when it makes sense to try again."""
    if not speaking(serving, dialect):
        return UnsupportedFeature(f"{model.slug} cannot be reached through this endpoint", param="model")
    full = [each.channel_id for each in passed if each.why == "ceiling"]
    waits = [
        wait
        for each in serving
        if each.id in full and (wait := parts.ceilings.retry_after_s(each)) is not None
    ]
    resting = parts.health.retry_after_s((channel.id for channel in serving), now_us)
    if resting is not None:
        waits.append(resting)
    what = "at its upstream's rate limit" if full and resting is None else "cooling down"
    log.warning("no channel can be asked", request_id=request_id, model=model.slug, passed_over=told(passed))
    return NoAvailableChannel(
        f"every channel for {model.slug} is {what}; try again shortly",
        retry_after=min(waits, default=1 if full else 60),
    )


def worst_cost(call: Call, plan: Plan) -> Cost:
    """What the request can cost at most, on the dearest of its channels. Raises ContextTooLong."""
    model = plan.model
    estimated = fitting_prompt_tokens(call.body, model)
    # More than the window cannot be billed.
    prompt_tokens = min(estimated, model.context_window)
    credits = 0
    for candidate in plan.candidates:
        dearest = worst_case(
            candidate.channel.models[model.slug].price,
            plan.multiplier_ppm,
            prompt_tokens,
            plan.output_held,
            plan.peek.candidates,
            plan.peek.web_search,
        )
        if dearest > credits:
            credits = dearest
    return Cost(credits, prompt_tokens)


def fitting_prompt_tokens(body: bytes, model: Model) -> int:
    """The upper bound of a prompt's tokens. Raises ContextTooLong for one that surely does not fit the model."""
    estimated = estimate_prompt_tokens(body)
    if estimated > model.context_window * WINDOW_EXCESS:
        raise ContextTooLong(
            f"the prompt is about {estimated} tokens and {model.slug} takes {model.context_window}"
        )
    return estimated


def output_held(peek: Peek, model: Model, *, raised: bool) -> int:
    """The tokens of answer that are held for, and that a translated request may ask for at most.

    Where the client set no limit and the bytes pass as they are, the model's own default applies:
    `hold_output_tokens` is the catalog's guess at it. `raised`: some channel may be asked in a dialect whose writer raises a limit.
    """
    asked = peek.max_output_tokens
    if asked is None:
        asked = model.hold_output_tokens
    elif raised and "thinking" in model.capabilities:
        asked += RAISED_TOKENS_MAX
    return min(asked, model.max_output_tokens)
