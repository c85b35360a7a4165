"""Renders that take long: what was ordered, how far it is, and what has become of it. In no vendor's words.

A render moves on as it is looked at: it is over at its `polls`-th poll, or `render` seconds after it began. In memory and
bounded, the oldest go first; each account has its own.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

from bytespike.core.json_types import JSONObject
from bytespike.providers.simulator.directives import Directives
from bytespike.providers.simulator.films import Clip

#: Enough for load tests with ten thousand tasks in flight.
RENDERS_MAX = 50_000
#: Of a render that takes a while, so much of its time it waits.
QUEUED_SHARE = 0.1

State: TypeAlias = Literal["queued", "running", "completed", "failed", "cancelled"]
Clock: TypeAlias = Callable[[], float]


class Render:
    """One render. `told`: what the vendor's answers repeat of the order. `began`, `changed`: Unix seconds."""

    __slots__ = (
        "account",
        "began",
        "changed",
        "clip",
        "cut_off",
        "fetches",
        "id",
        "model",
        "polls",
        "sim",
        "told",
    )

    def __init__(
        self,
        account: str,
        render_id: str,
        model: str,
        clip: Clip,
        sim: Directives,
        told: JSONObject,
        began: float,
    ) -> None:
        self.account = account
        self.id = render_id
        self.model = model
        self.clip = clip
        self.sim = sim
        self.told = told
        self.began = began
        self.changed = began
        self.polls = 0
        self.fetches = 0
        #: It was cancelled.
        self.cut_off = False

    def share(self, now: float) -> float:
        """How much of it is done, 0 to 1."""
        if self.sim.render:
            return min(max(now - self.began, 0.0) / self.sim.render, 1.0)
        return min(self.polls / self.sim.polls, 1.0)

    def state(self, now: float) -> State:
        if self.cut_off:
            return "cancelled"
        share = self.share(now)
        if share >= 1.0:
            return "completed" if self.sim.fail is None else "failed"
        waits = QUEUED_SHARE if self.sim.render else 0.0
        return "queued" if share <= waits else "running"


class RenderStore:
    """The renders of one process. `clock` gives Unix seconds."""

    __slots__ = ("_clock", "_kept")

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, Render] = OrderedDict()

    @property
    def now(self) -> float:
        return self._clock()

    def clear(self) -> None:
        self._kept.clear()

    def begin(
        self, account: str, render_id: str, model: str, clip: Clip, sim: Directives, told: JSONObject
    ) -> Render:
        render = Render(account, render_id, model, clip, sim, told, self.now)
        self._kept[render_id] = render
        while len(self._kept) > RENDERS_MAX:
            self._kept.popitem(last=False)
        return render

    def find(self, account: str, render_id: str) -> Render | None:
        render = self._kept.get(render_id)
        return render if render is not None and render.account == account else None

    def poll(self, account: str, render_id: str) -> Render | None:
        """Look at a render, which moves it on."""
        render = self.find(account, render_id)
        if render is not None:
            before = render.state(self.now)
            render.polls += 1
            if render.state(self.now) != before:
                render.changed = self.now
        return render

    def cancel(self, render: Render) -> None:
        render.cut_off = True
        render.changed = self.now

    def forget(self, render: Render) -> None:
        self._kept.pop(render.id, None)

    def of(self, account: str) -> Iterator[Render]:
        """An account's, newest first."""
        return (render for render in reversed(self._kept.values()) if render.account == account)

    def anybodys(self, render_id: str) -> Render | None:
        """A render by a URL that anybody may follow who knows it."""
        return self._kept.get(render_id)
