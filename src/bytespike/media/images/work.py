"""What the stages of a request for images share once it has been admitted. Frozen: a stage that changes something makes
another one."""

from __future__ import annotations

from msgspec import Struct

from bytespike.accounts.records import Channel
from bytespike.media.images.attempt import Site
from bytespike.media.images.call import Client, ImageCall
from bytespike.media.images.keep import Form
from bytespike.media.images.parts import ImageParts
from bytespike.media.images.plan import ImagePlan
from bytespike.media.images.settlement import Settlement
from bytespike.media.order import Order
from bytespike.routing.values import Candidate


class Work(Struct, frozen=True):
    """`order`: with all of its pictures inline. `form`: how the client wants them."""

    parts: ImageParts
    call: ImageCall
    client: Client
    plan: ImagePlan
    order: Order
    form: Form
    settlement: Settlement

    def site(self, candidate: Candidate[Channel]) -> Site:
        return Site(candidate.channel, candidate.endpoint, self.plan.model)

    @property
    def seconds_left(self) -> float:
        """Of the time that all attempts of a request share."""
        parts = self.parts
        return parts.timeouts.total - (parts.clock.monotonic_ns() - self.call.started_ns) / 1e9

    @property
    def created(self) -> int:
        """Unix seconds, for the answer."""
        return self.parts.clock.now_us() // 1_000_000
