"""The work that is measured and the budgets that it is held to."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Literal, TypeAlias

from benchmarks.work import DIALECTS, STATIC, WHOLE, Dialect, Manner, Prompt, Work

#: Client and upstream.
Pair: TypeAlias = tuple[Dialect, Dialect]

#: Events of the longer and the shorter stream; their difference is what one event costs.
MANY, FEW = 200, 2
#: Between two events of a paced stream, and how many the longer one has.
PACE_MS = 10
MANY_PACED = 100


@dataclasses.dataclass(frozen=True, slots=True)
class WholeCase:
    """Whole answers. `unit` "x": the budget is times nginx's CPU; "ms": CPU of one request. None: told, not judged.

    `brief`: in fewer and shorter rounds. `pair`: the cell of the table of pairs in which it stands.
    """

    name: str
    work: Work
    connections: int
    unit: Literal["x", "ms"]
    budget: float | None
    brief: bool
    pair: Pair | None


@dataclasses.dataclass(frozen=True, slots=True)
class StreamCase:
    """Streams, measured by event. `budget` in microseconds of CPU, None: told, not judged.

    In bursts the upstream writes one event after another, so that several may arrive together. Paced, each event arrives by
    itself, and wakes every process on its way: the kernel's work for that alone takes nginx past the budget, so it is
    told against nginx and not judged. `brief` and `pair` as above.
    """

    name: str
    few: Work
    many: Work
    connections: int
    budget: float | None
    brief: bool
    pair: Pair | None


#: Every client with every upstream: first those that pass through, then the translated ones by client.
PAIRS: tuple[Pair, ...] = tuple(
    sorted(itertools.product(DIALECTS, DIALECTS), key=lambda pair: pair[0] != pair[1])
)
#: Measured at length; all others in brief.
LONG_PAIRS: tuple[Pair, ...] = (("anthropic", "anthropic"), ("chat", "chat"))
#: What the peers offer too; and those of hundreds of streams.
COMPARED_PAIRS: tuple[Pair, ...] = (*LONG_PAIRS, ("anthropic", "chat"), ("chat", "anthropic"))
#: Of the agent's requests: one passed through at length, and what coding agents are made to do otherwise.
_LONG_AGENT_PAIRS: tuple[Pair, ...] = (("anthropic", "anthropic"),)
_AGENT_PAIRS: tuple[Pair, ...] = (
    *((dialect, dialect) for dialect in DIALECTS),
    ("anthropic", "chat"),
    ("anthropic", "responses"),
    ("anthropic", "gemini"),
    ("chat", "anthropic"),
    ("responses", "anthropic"),
    ("responses", "chat"),
    ("gemini", "anthropic"),
)


def _name(pair: Pair) -> str:
    client, upstream = pair
    return client if client == upstream else f"{client}-to-{upstream}"


def _whole(pair: Pair) -> WholeCase:
    client, upstream = pair
    same = client == upstream
    prompt: Prompt = "short" if same else "2k"
    return WholeCase(
        name=f"unary/{_name(pair)}",
        work=Work(client, upstream, prompt, STATIC),
        connections=32,
        unit="x",
        budget=6.0 if same else 10.0,
        brief=pair not in LONG_PAIRS,
        pair=pair,
    )


def _agent(pair: Pair) -> WholeCase:
    client, upstream = pair
    return WholeCase(
        name=f"agent-512k/{_name(pair)}",
        work=Work(client, upstream, "agent", WHOLE),
        connections=4,
        unit="ms",
        budget=1.5 if client == upstream else 8.0,
        brief=pair not in _LONG_AGENT_PAIRS,
        pair=pair,
    )


def _burst(pair: Pair) -> StreamCase:
    client, upstream = pair
    return StreamCase(
        name=f"stream-burst/{_name(pair)}",
        few=Work(client, upstream, "short", Manner(events=FEW)),
        many=Work(client, upstream, "short", Manner(events=MANY)),
        connections=32,
        budget=8.0 if client == upstream else 25.0,
        brief=pair not in LONG_PAIRS,
        pair=pair,
    )


def _paced(pair: Pair) -> StreamCase:
    client, upstream = pair
    return StreamCase(
        name=f"stream-paced/{_name(pair)}",
        few=Work(client, upstream, "short", Manner(events=FEW, interval_ms=PACE_MS)),
        many=Work(client, upstream, "short", Manner(events=MANY_PACED, interval_ms=PACE_MS)),
        connections=200,
        budget=None,
        brief=True,
        pair=pair,
    )


#: Responses are asked not to be kept, as agents ask. This is what it costs to keep them: a write to the database each.
KEPT_CASE = WholeCase(
    name="unary/responses-store",
    work=Work("responses", "responses", "short", STATIC, store=True),
    connections=32,
    unit="x",
    budget=None,
    brief=True,
    pair=None,
)
#: In the order of the table.
WHOLE_CASES = (*map(_whole, PAIRS), KEPT_CASE)
AGENT_CASES = tuple(map(_agent, _AGENT_PAIRS))
STREAM_CASES = (*map(_burst, PAIRS), *map(_paced, COMPARED_PAIRS))

#: Added latency at half load: over nginx's, at the same rate.
LATENCY_P50_MS, LATENCY_P99_MS = 0.3, 2.0
LATENCY_WHOLE = Work("anthropic", "anthropic", "short", STATIC)
LATENCY_STREAM = Work("anthropic", "anthropic", "short", Manner(events=FEW))

#: What a request may cost with everything grown large, times what it costs a new installation.
GROWTH = 1.1
GROWTH_WORK = Work("anthropic", "anthropic", "short", STATIC)

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
class Rounds:
    """How often and how long a case is measured. Rounds alternate between nginx and the measured server.

    `seconds` and `burst_streams` are for the latter, `floor_seconds` and `floor_streams` for nginx, which needs many streams
    to be seen at all. `floor_warm_seconds` 0: nginx is warm from the cases before.
    """

    count: int
    seconds: int
    floor_seconds: int
    warm_seconds: int
    floor_warm_seconds: int
    burst_streams: int
    floor_streams: int


@dataclasses.dataclass(frozen=True, slots=True)
class Effort:
    """How long things take. `left_out`: cases for a longer run."""

    long: Rounds
    brief: Rounds
    open_streams: int
    open_events: int
    latency_seconds: float
    left_out: tuple[str, ...] = ()

    def rounds(self, case: WholeCase | StreamCase) -> Rounds:
        return self.brief if case.brief else self.long


FULL = Effort(
    long=Rounds(
        count=3,
        seconds=2,
        floor_seconds=2,
        warm_seconds=1,
        floor_warm_seconds=1,
        burst_streams=600,
        floor_streams=1000,
    ),
    brief=Rounds(
        count=2,
        seconds=1,
        floor_seconds=1,
        warm_seconds=1,
        floor_warm_seconds=0,
        burst_streams=200,
        floor_streams=400,
    ),
    open_streams=5000,
    open_events=12,
    latency_seconds=5.0,
)
_QUICK_ROUNDS = Rounds(
    count=1,
    seconds=1,
    floor_seconds=1,
    warm_seconds=1,
    floor_warm_seconds=0,
    burst_streams=300,
    floor_streams=500,
)
#: Of the brief ones a quick run measures those that pass through, and a few that are translated.
_QUICK_BRIEF = (
    *("unary/responses", "unary/gemini", "stream-burst/responses", "stream-burst/gemini"),
    *("unary/anthropic-to-chat", "unary/chat-to-anthropic"),
    *("stream-burst/anthropic-to-chat", "stream-burst/chat-to-anthropic"),
    *("unary/anthropic-to-responses", "unary/responses-to-anthropic"),
    *("unary/anthropic-to-gemini", "unary/gemini-to-anthropic"),
)
QUICK = Effort(
    long=_QUICK_ROUNDS,
    brief=_QUICK_ROUNDS,
    open_streams=500,
    open_events=5,
    latency_seconds=2.0,
    left_out=tuple(
        case.name
        for case in (*WHOLE_CASES, *AGENT_CASES, *STREAM_CASES)
        if case.brief and case.name not in _QUICK_BRIEF
    ),
)
#: Peers take up to a thousand times the CPU: fewer streams, so that a run stays short, and longer to get warm.
_PEER_ROUNDS = Rounds(
    count=2,
    seconds=3,
    floor_seconds=1,
    warm_seconds=3,
    floor_warm_seconds=1,
    burst_streams=32,
    floor_streams=1000,
)
PEERS = Effort(long=_PEER_ROUNDS, brief=_PEER_ROUNDS, open_streams=0, open_events=0, latency_seconds=0.0)
