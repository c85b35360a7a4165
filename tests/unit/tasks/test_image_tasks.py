"""Images as tasks: one call brings them, inside of the submit step."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path

from msgspec import structs

from bytespike.accounts.records import Channel, ChannelModel
from bytespike.catalog.models import ImageRate, Model
from bytespike.errors import ContentPolicyViolation, RateLimited, UpstreamError
from bytespike.media.order import Order
from bytespike.media.tasks.calling import CallFailed
from bytespike.media.tasks.parts import Image
from bytespike.media.tasks.record import Task
from bytespike.pricing.price import Price
from bytespike.providers.endpoint import Endpoint
from bytespike.wire.address import Proxy
from tests.support.render_upstream import RenderUpstream
from tests.support.task_house import build, channel, process

SLUG = "gpt-image-2"
EACH = 40_000


class Drawer:
    """Draws what it is told, in turn; then what is ordered."""

    def __init__(self, *said: CallFailed | int) -> None:
        self.said = list(said)
        self.calls = 0

    def surface_of(self, spoken: Collection[str], model: Model) -> str | None:
        return "openai_images" if "openai_images" in spoken else None

    async def make(self, channel: Channel, endpoint: Endpoint, model: Model, order: Order) -> Sequence[Image]:
        self.calls += 1
        said = self.said.pop(0) if self.said else order.n
        if isinstance(said, CallFailed):
            raise said
        return [Image(b"image %d" % number, "image/png") for number in range(said)]

    async def inlined(self, order: Order, proxy: Proxy | None) -> Order:
        return order


def place(url: str) -> Channel:
    entry = ChannelModel(SLUG, "upstream-image", Price(images=(ImageRate(EACH),)))
    return structs.replace(channel(url), models={SLUG: entry})


def draw(folder: Path, drawer: Drawer, n: int = 3) -> tuple[Task, int, list[bytes]]:
    """The task as it ended, what it cost, and the files."""

    async def run() -> tuple[Task, int, list[bytes]]:
        house, key = await build(folder)
        with RenderUpstream() as provider:
            before = await house.balance()
            async with process(house, key, place(provider.url), images=drawer) as one:
                (task,) = await one.over((await one.submit("a cat", model=SLUG, n=n)).task.id)
                files = [
                    b"".join(
                        [each async for each in one.parts.store.read(await one.parts.store.find(piece.id))]
                    )
                    for piece in task.output or ()
                ]
            cost = before - await house.balance()
            await house.engine.dispose()
            return task, cost, files

    return asyncio.run(run())


def test_what_one_call_brings_is_kept_and_billed_by_the_image(tmp_path: Path) -> None:
    drawer = Drawer()
    task, cost, files = draw(tmp_path, drawer)
    assert (task.state, task.progress, drawer.calls) == ("completed", 100, 1)
    assert files == [b"image 0", b"image 1", b"image 2"]
    assert cost == task.credits == 3 * EACH
    assert task.held >= cost


def test_fewer_images_than_were_ordered_cost_less(tmp_path: Path) -> None:
    task, cost, files = draw(tmp_path, Drawer(2))
    assert (task.state, len(files), cost) == ("completed", 2, 2 * EACH)


def test_a_drawer_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    busy = CallFailed(RateLimited("too many"), about="channel", refused=True, status=429)
    drawer = Drawer(busy)
    task, cost, _ = draw(tmp_path, drawer)
    assert (task.state, drawer.calls, cost) == ("completed", 2, 3 * EACH)


def test_a_drawing_that_may_have_been_made_is_not_asked_for_again(tmp_path: Path) -> None:
    lost = CallFailed(UpstreamError("it broke"), about="upstream", refused=False, status=502)
    drawer = Drawer(lost)
    task, cost, _ = draw(tmp_path, drawer)
    assert (task.state, task.error_code, drawer.calls, cost) == ("failed", "upstream_error", 1, 0)


def test_a_refused_prompt_fails_and_costs_nothing(tmp_path: Path) -> None:
    refused = CallFailed(ContentPolicyViolation("no"), about="request", refused=True, status=400)
    drawer = Drawer(refused)
    task, cost, _ = draw(tmp_path, drawer)
    assert (task.state, task.error_code, drawer.calls, cost) == ("failed", "content_policy_violation", 1, 0)


def test_no_image_at_all_fails(tmp_path: Path) -> None:
    task, cost, _ = draw(tmp_path, Drawer(0))
    assert (task.state, cost) == ("failed", 0)
