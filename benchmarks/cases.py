"""The work that is measured and the budgets that it is held to."""

from __future__ import annotations

import dataclasses
from typing import Literal

from benchmarks.work import STATIC, WHOLE, Dialect, Manner, Prompt, Work

#: Events of the longer and the shorter stream; their difference is what one event costs.
MANY, FEW = 200, 2
#: Between two events of a paced stream, and how many the longer one has.
PACE_MS = 10
MANY_PACED = 100


@dataclasses.dataclass(frozen=True, slots=True)
class WholeCase:
    """Whole answers. `unit` "x": the budget is times nginx's CPU; "ms": CPU of one request."""

    name: str
    work: Work
    connections: int
    unit: Literal["x", "ms"]
    budget: float


@dataclasses.dataclass(frozen=True, slots=True)
class StreamCase:
    """Streams, measured by event. `budget` in microseconds of CPU, None: told, not judged.

    In bursts the upstream writes one event after another, so that several may arrive together. Paced, each event arrives by
    itself, and wakes every process on its way: the kernel's work for that alone takes nginx past the budget, so it is
    told against nginx and not judged.
    """

    name: str
    few: Work
    many: Work
    connections: int
    budget: float | None


def _pair(client: Dialect, upstream: Dialect) -> str:
    return client if client == upstream else f"{client}-to-{upstream}"


_PAIRS: tuple[tuple[Dialect, Dialect], ...] = (
    ("anthropic", "anthropic"),
    ("chat", "chat"),
    ("anthropic", "chat"),
    ("chat", "anthropic"),
)


def _whole(client: Dialect, upstream: Dialect) -> WholeCase:
    same = client == upstream
    prompt: Prompt = "short" if same else "2k"
    work = Work(client, upstream, prompt, STATIC)
    return WholeCase(f"unary/{_pair(client, upstream)}", work, 32, "x", 6.0 if same else 10.0)


def _agent(client: Dialect, upstream: Dialect) -> WholeCase:
    work = Work(client, upstream, "agent", WHOLE)
    return WholeCase(
        f"agent-512k/{_pair(client, upstream)}", work, 4, "ms", 1.5 if client == upstream else 8.0
    )


def _stream(manner: str, client: Dialect, upstream: Dialect) -> StreamCase:
    paced = manner == "paced"
    few, many = (
        Work(client, upstream, "short", Manner(events=events, interval_ms=PACE_MS if paced else 0))
        for events in (FEW, MANY_PACED if paced else MANY)
    )
    if paced:
        return StreamCase(f"stream-paced/{_pair(client, upstream)}", few, many, 200, None)
    budget = 8.0 if client == upstream else 25.0
    return StreamCase(f"stream-burst/{_pair(client, upstream)}", few, many, 32, budget)


WHOLE_CASES = tuple(_whole(*pair) for pair in _PAIRS)
AGENT_CASES = tuple(_agent(*pair) for pair in _PAIRS)
STREAM_CASES = tuple(_stream(manner, *pair) for manner in ("burst", "paced") for pair in _PAIRS)

#: Added latency at half load: over nginx's, at the same rate.
LATENCY_P50_MS, LATENCY_P99_MS = 0.3, 2.0
LATENCY_WHOLE = Work("anthropic", "anthropic", "short", STATIC)
LATENCY_STREAM = Work("anthropic", "anthropic", "short", Manner(events=FEW))

IDLE_MB = 120.0
OPEN_STREAM_KB = 25.0
EVENT_DELAY_P99_MS = 50.0
#: One event a second, each with its time.
OPEN_INTERVAL_MS = 1000


def open_streams(events: int) -> Work:
    """Streams that stay open for about as many seconds as they have events."""
    return Work(
        "anthropic", "anthropic", "short", Manner(events=events, interval_ms=OPEN_INTERVAL_MS, stamped=True)
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Effort:
    """How long things take. Rounds alternate between nginx and the measured server. `seconds` and `burst_streams` are for
    the latter, `floor_seconds` and `floor_streams` for nginx, which needs many streams to be seen at all. `left_out`: cases for a longer run."""

    rounds: int
    seconds: int
    floor_seconds: int
    warm_seconds: int
    burst_streams: int
    floor_streams: int
    open_streams: int
    open_events: int
    latency_seconds: float
    left_out: tuple[str, ...] = ()


FULL = Effort(
    rounds=3,
    seconds=3,
    floor_seconds=2,
    warm_seconds=1,
    burst_streams=600,
    floor_streams=1000,
    open_streams=5000,
    open_events=20,
    latency_seconds=6.0,
)
QUICK = Effort(
    rounds=1,
    seconds=1,
    floor_seconds=1,
    warm_seconds=1,
    burst_streams=300,
    floor_streams=500,
    open_streams=500,
    open_events=5,
    latency_seconds=2.0,
    left_out=(
        "agent-512k/chat",
        "agent-512k/chat-to-anthropic",
        "stream-paced/chat",
        "stream-paced/chat-to-anthropic",
    ),
)

#: Peers take up to a thousand times the CPU: fewer streams, so that a run stays short, and longer to get warm.
PEERS = Effort(
    rounds=2,
    seconds=3,
    floor_seconds=1,
    warm_seconds=3,
    burst_streams=32,
    floor_streams=1000,
    open_streams=0,
    open_events=0,
    latency_seconds=0.0,
)
