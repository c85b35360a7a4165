"""What was asked, of which model, and which channels can answer: decided before any money moves."""

from __future__ import annotations

from msgspec import Struct

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
from bytespike.pipeline.call import Call
from bytespike.pipeline.parts import Parts
from bytespike.pricing.estimate import estimate_prompt_tokens, worst_case
from bytespike.routing.candidates import Candidate, candidates, speaking

#: The prompt estimate is an upper bound; only a prompt this many times over the window is surely too long.
WINDOW_EXCESS = 3


class Plan(Struct, frozen=True):
    """`requested`: the model name as the client wrote it, which is also the name in the answer. `thinking`: the name
    was an alias that turns thinking on. `candidates`: best first, at least one. `notices`: what the caller is told
    whatever channel answers."""

    peek: Peek
    model: Model
    requested: str
    thinking: bool
    candidates: tuple[Candidate[Channel], ...]
    multiplier_ppm: int
    notices: tuple[Notice, ...] = ()


class Cost(Struct, frozen=True):
    """The worst case: `credits` micro-dollars for a prompt of at most `prompt_tokens` tokens."""

    credits: int
    prompt_tokens: int


def choose(parts: Parts, call: Call, key: KeyRecord) -> Plan:
    """Read the call, resolve its model, and find the channels that can answer it, best first.

    Raises: InvalidRequest, ModelNotFound, ModelNotInGroup, PermissionDenied, NoAvailableChannel.
    """
    peek = call.dialect.peek(call.body)
    resolution = parts.catalog.current.resolve(peek.model)
    model = resolution.model
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
    found = candidates(serving, dialect, now_us=now_us, health=parts.health)
    if not found:
        if not speaking(serving, dialect):
            raise UnsupportedFeature(f"{model.slug} cannot be reached through this endpoint", param="model")
        retry_after = parts.health.retry_after_s((channel.id for channel in serving), now_us)
        raise NoAvailableChannel(
            f"every channel for {model.slug} is cooling down; try again shortly",
            retry_after=retry_after or 60,
        )
    return Plan(
        peek=peek,
        model=model,
        requested=peek.model,
        thinking=resolution.thinking,
        candidates=tuple(found),
        multiplier_ppm=group.multiplier_ppm,
        notices=(
            (Notice("model", "approximated", f"{model.slug} answers in its place"),)
            if resolution.substitute
            else ()
        ),
    )


def worst_cost(call: Call, plan: Plan) -> Cost:
    """What the request can cost at most, on the dearest of its channels. Raises ContextTooLong."""
    model = plan.model
    estimated = estimate_prompt_tokens(call.body)
    if estimated > model.context_window * WINDOW_EXCESS:
        raise ContextTooLong(
            f"the prompt is about {estimated} tokens and {model.slug} takes {model.context_window}"
        )
    # More than the window cannot be billed.
    prompt_tokens = min(estimated, model.context_window)
    asked = plan.peek.max_output_tokens
    output_max = min(model.hold_output_tokens if asked is None else asked, model.max_output_tokens)
    credits = max(
        worst_case(
            candidate.channel.models[model.slug].price,
            plan.multiplier_ppm,
            prompt_tokens,
            output_max,
            plan.peek.candidates,
            plan.peek.web_search,
        )
        for candidate in plan.candidates
    )
    return Cost(credits, prompt_tokens)
