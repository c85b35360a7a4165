"""How the simulator's renders move on, and how many it keeps."""

from __future__ import annotations

from typing import Any

from bytespike.providers.simulator.directives import Directives
from bytespike.providers.simulator.films import Clip
from bytespike.providers.simulator.renders import RENDERS_MAX, RenderStore


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def begun(store: RenderStore, render_id: str, **sim: Any) -> None:
    store.begin("me", render_id, "m", Clip("a", 2, 2, 1), Directives(**sim), {})


def test_a_render_with_a_length_of_its_own_goes_by_the_clock() -> None:
    clock = Clock()
    store = RenderStore(clock)
    begun(store, "a", render=100.0)
    seen: list[tuple[str, int]] = []
    for clock.now in (1005.0, 1011.0, 1099.0, 1100.0, 9999.0):
        render = store.poll("me", "a")
        assert render is not None
        seen.append((render.state(clock.now), int(100 * render.share(clock.now))))
    assert seen == [("queued", 5), ("running", 11), ("running", 99), ("completed", 100), ("completed", 100)]


def test_the_oldest_renders_go_first() -> None:
    store = RenderStore(Clock())
    for number in range(RENDERS_MAX + 2):
        begun(store, str(number))
    assert store.find("me", "1") is None
    assert store.find("me", "2") is not None
    assert next(store.of("me")).id == str(RENDERS_MAX + 1)
