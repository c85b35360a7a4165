"""Which model is asked for pictures, which channels can draw them, and what they cost at most: before any money moves."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from bytespike.accounts.records import Channel, KeyRecord
from bytespike.catalog.models import ImageRate, Model
from bytespike.core.notices import Notice
from bytespike.errors import (
    InvalidRequest,
    ModelNotInGroup,
    NoAvailableChannel,
    PermissionDenied,
    UnsupportedFeature,
)
from bytespike.media.images.parts import DRAWERS, ImageParts
from bytespike.media.order import Order
from bytespike.media.sizes import AUTO, CLASSES
from bytespike.pricing.image_rates import dearest_image_rate, images_cost
from bytespike.pricing.price import Price
from bytespike.routing.candidates import candidates
from bytespike.routing.health import HealthBoard
from bytespike.routing.values import Candidate, Passed

#: Where the provider decides the size and the catalog knows no bound.
_ANY_PIXELS = 1 << 40
_WHERE = {
    "text": "POST /v1/chat/completions, /v1/messages or /v1/responses",
    "video": "POST /v1/tasks/submit",
    "image": "POST /v1/images/generations",
}


class ImagePlan(Struct, frozen=True):
    """`requested`: the model's name as the client wrote it. `candidates`: best first, at least one."""

    model: Model
    requested: str
    candidates: tuple[Candidate[Channel], ...]
    multiplier_ppm: int
    notices: tuple[Notice, ...] = ()


def choose(parts: ImageParts, key: KeyRecord, name: str, *, only_priced: bool = False) -> ImagePlan:
    """`only_priced`: nobody will be asked, so that where none can be now, all are candidates that will be again.

    Raises: InvalidRequest, ModelNotFound, ModelNotInGroup, PermissionDenied, UnsupportedFeature, NoAvailableChannel."""
    resolution = parts.catalog.current.resolve(name)
    model = resolution.model
    if model.kind != "image":
        raise InvalidRequest(
            f"{model.slug} is a {model.kind} model and draws no images: {_WHERE[model.kind]}", param="model"
        )
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
    passed: list[Passed] = []
    found = _candidates(parts, model, serving, passed)
    if not found and only_priced:
        found = _candidates(parts, model, serving, None)
    if not found:
        if all(surface_of(channel.endpoints, model) is None for channel in serving):
            raise UnsupportedFeature(f"{model.slug} cannot be reached through this endpoint", param="model")
        raise _nobody(parts, model, serving, passed)
    notices = (Notice("model", "approximated", f"{model.slug} answers in its place"),)
    return ImagePlan(
        model,
        name,
        tuple(found),
        group.multiplier_ppm,
        notices if resolution.substitute else (),
    )


def surface_of(spoken: Collection[str], model: Model) -> str | None:
    """On which of a channel's surfaces the model is asked: the first of its own. None: on none of them."""
    return next(
        (surface for surface in model.media.surfaces if surface in spoken and surface in DRAWERS), None
    )


def _nobody(
    parts: ImageParts, model: Model, serving: tuple[Channel, ...], passed: list[Passed]
) -> NoAvailableChannel:
    """Why none of the channels can be asked now, and when it makes sense to try again."""
    full = [each.channel_id for each in passed if each.why == "ceiling"]
    waits = [parts.ceilings.retry_after_s(channel) for channel in serving if channel.id in full]
    resting = parts.health.retry_after_s((channel.id for channel in serving), parts.clock.now_us())
    what = "at its upstream's rate limit" if full and resting is None else "cooling down"
    found = [wait for wait in (*waits, resting) if wait is not None]
    return NoAvailableChannel(
        f"every channel for {model.slug} is {what}; try again shortly",
        retry_after=min(found, default=1 if full else 60),
    )


def _candidates(
    parts: ImageParts, model: Model, serving: tuple[Channel, ...], passed: list[Passed] | None
) -> list[Candidate[Channel]]:
    """By priority; of one surface in the order of their load. `passed` gets those that cannot be used now; None: as if all could
    be, but for those that an operator has to look at."""
    by_surface: dict[str, list[Channel]] = {}
    for channel in serving:
        if passed is None and parts.health.of(channel.id).needs_operator:
            continue
        surface = surface_of(channel.endpoints, model)
        # A cloud that packs requests in its own way is not asked for pictures yet.
        if surface is not None and channel.endpoints[surface].carriage is None:
            by_surface.setdefault(surface, []).append(channel)
    now_us = parts.clock.now_us()
    found: list[Candidate[Channel]] = []
    for surface, channels in by_surface.items():
        found += candidates(
            channels,
            surface,
            now_us=now_us,
            health=HealthBoard() if passed is None else parts.health,
            translate=False,
            ceilings=None if passed is None else parts.ceilings,
            passed=passed,
        )
    found.sort(key=lambda each: each.channel.priority)
    return found


def worst_cost(plan: ImagePlan, order: Order, *, turns: int) -> int:
    """Micro-dollars, on the dearest of the channels. `turns`: how often one that bills by the turn is asked.

    Raises NoAvailableChannel: none of them has a price for it."""
    rates = [rate for each in plan.candidates if (rate := bound(price_of(plan, each), plan.model, order))]
    if not rates:
        raise NoAvailableChannel(f"no price is set for images of {plan.model.slug}; its operator has to look")
    return max(
        images_cost(turns if rate.per == "turn" else order.n, rate, plan.multiplier_ppm) for rate in rates
    )


def price_of(plan: ImagePlan, candidate: Candidate[Channel]) -> Price:
    return candidate.channel.models[plan.model.slug].price


def bound(price: Price, model: Model, order: Order) -> ImageRate | None:
    """The dearest row that may hold for a picture of this order."""
    qualities = (order.quality,)
    if order.quality == AUTO:
        qualities = tuple(each for each in model.media.qualities if each != AUTO)
    pixels = order.width * order.height
    if not pixels:
        side = CLASSES.get(order.resolution, 0)
        pixels = side * side or model.media.pixels_max or _ANY_PIXELS
    return dearest_image_rate(price, qualities, pixels)
