"""What a task costs: the same arithmetic for the estimate, which is set aside, and for what was made.

The price is fixed when the task is submitted. What is set aside is the most that the order can cost at it, so what was
made never costs more.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from bytespike.catalog.models import ImageRate, Model
from bytespike.core.usage import NO_USAGE, Usage
from bytespike.errors import NoAvailableChannel
from bytespike.media.images.plan import bound
from bytespike.media.order import Order
from bytespike.media.sizes import AUTO
from bytespike.media.tasks.record import Piece, Task
from bytespike.pricing.image_rates import at_rate, image_rate, images_cost
from bytespike.pricing.price import ONE_PPM, Price
from bytespike.pricing.video_rates import video_cost, video_rate


class Charge(Struct, frozen=True):
    """`credits` micro-dollars for the caller, `cost` what the provider takes. `billed`: there is something to bill at all.
    `price`: with the row that holds."""

    billed: bool = False
    credits: int = 0
    cost: int = 0
    usage: Usage = NO_USAGE
    price: Price = Price()


NO_CHARGE = Charge()


def estimate(model: Model, order: Order, price: Price, multiplier_ppm: int) -> int:
    """What is set aside: all that is ordered, micro-dollars. Raises NoAvailableChannel: nobody has set a price for it."""
    if order.kind == "image":
        rate = bound(price, model, order)
        if rate is not None:
            return images_cost(order.n, rate, multiplier_ppm)
    else:
        rate = video_rate(price, order.resolution)
        if rate is not None:
            return video_cost(price, rate, order.seconds, multiplier_ppm)
    raise NoAvailableChannel(f"no price is set for {model.slug}; its operator has to look")


def of_order(task: Task, model: Model | None) -> Charge:
    """All that was ordered."""
    if task.kind == "video":
        return _video(task, task.seconds)
    rate = None if model is None else bound(task.price, model, task.order)
    if rate is None:
        return Charge(billed=True, credits=task.held, usage=Usage(images=task.order.n), price=task.price)
    return _images(task, task.order.n, rate)


def of_output(task: Task, model: Model | None, output: Sequence[Piece], said_seconds: int | None) -> Charge:
    """What was made, and never more than was ordered: images by their number, quality and size; video by its seconds, as
    its file says, else its provider."""
    if task.kind == "video":
        lengths = [piece.duration_seconds for piece in output if piece.duration_seconds is not None]
        made = round(sum(lengths)) if lengths else said_seconds
        return _video(task, task.seconds if made is None else min(max(made, 1), task.seconds))
    order = task.order
    quality = order.quality
    if quality == AUTO:
        quality = "" if model is None else model.media.quality_default
    ordered = order.width * order.height
    sizes = {piece.width * piece.height for piece in output}
    rates = [
        rate
        for pixels in {min(size or ordered, ordered or size) for size in sizes}
        if (rate := image_rate(task.price, quality, pixels)) is not None
    ]
    if not rates:
        return of_order(task, model)
    rate = min(rates, key=lambda each: each.price)
    # Where a model bills by the turn, each picture was a turn of its own (`media/images/make.py`).
    return _images(task, min(len(output), order.n), rate)


def _video(task: Task, seconds: int) -> Charge:
    rate = video_rate(task.price, task.order.resolution)
    usage = Usage(seconds=seconds)
    if rate is None:
        return Charge(billed=True, credits=task.held, usage=usage, price=task.price)
    return Charge(
        billed=True,
        credits=min(video_cost(task.price, rate, seconds, task.multiplier_ppm), task.held),
        cost=video_cost(task.price, rate, seconds, ONE_PPM),
        usage=usage,
        price=task.price,
    )


def _images(task: Task, count: int, rate: ImageRate) -> Charge:
    return Charge(
        billed=True,
        credits=min(images_cost(count, rate, task.multiplier_ppm), task.held),
        cost=images_cost(count, rate, ONE_PPM),
        usage=Usage(images=count),
        price=at_rate(task.price, rate),
    )
