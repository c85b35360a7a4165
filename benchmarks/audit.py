"""What the gateway wrote down, held against what the load saw: that each case was the work that its name says.

A usage row says in which dialect a client asked, which dialect its upstream spoke, the model, whether it was a stream,
and the tokens that were billed. Every case is told from the others by these. Read from the gateway's own database,
once it has stopped.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from benchmarks import answers
from benchmarks.load import Tally
from benchmarks.processes import NotMeasured
from benchmarks.work import Work

_ROWS = """
SELECT protocol, upstream_protocol, model, stream, count(*), sum(input_tokens), sum(output_tokens)
FROM usage GROUP BY protocol, upstream_protocol, model, stream
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """By what rows of usage are added up. Dialects and model by the gateway's names."""

    protocol: str
    upstream_protocol: str
    model: str
    stream: bool

    def __str__(self) -> str:
        kind = "streams" if self.stream else "requests"
        return f"{kind} from {self.protocol} to {self.upstream_protocol} ({self.model})"


@dataclasses.dataclass(frozen=True, slots=True)
class Sum:
    """What was billed in a line."""

    requests: int
    input_tokens: int
    output_tokens: int


def billed(database: Path, tallies: Mapping[Work, Tally], lines: Mapping[Work, Line]) -> int:
    """How many requests were billed. Raises NotMeasured, which says what is not as the load saw it."""
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            sums = {
                Line(protocol, upstream, model, bool(stream)): Sum(*figures)
                for protocol, upstream, model, stream, *figures in connection.execute(_ROWS)
            }
            ((kept,),) = connection.execute("SELECT count(*) FROM responses")
    except sqlite3.Error as error:
        raise NotMeasured(f"the gateway's database: {error}") from None
    problems = [*differences(sums, tallies, lines), *_not_kept(kept, tallies)]
    if problems:
        raise NotMeasured("; ".join(problems))
    return sum(line.requests for line in sums.values())


def differences(
    sums: Mapping[Line, Sum], tallies: Mapping[Work, Tally], lines: Mapping[Work, Line]
) -> list[str]:
    """Where what was billed is not what was answered. Requests that the load broke off may have been billed or not."""
    answered: collections.Counter[Line] = collections.Counter()
    cut: collections.Counter[Line] = collections.Counter()
    tokens: dict[Line, int] = {}
    for work, tally in tallies.items():
        line = lines[work]
        answered[line] += tally.answered
        cut[line] += tally.cut
        expected = work.manner.events or answers.OUTPUT_TOKENS
        if tokens.setdefault(line, expected) != expected:
            raise ValueError(f"two cases with other figures are one line of usage: {line}")
    problems = [
        f"{sums[line].requests} {line} were billed, and none asked for" for line in {*sums} - {*tokens}
    ]
    for line, output_tokens in tokens.items():
        found = sums.get(line, Sum(0, 0, 0))
        if not answered[line] <= found.requests <= answered[line] + cut[line]:
            problems.append(
                f"{answered[line]} {line} were answered and {cut[line]} cut, but {found.requests} were billed"
            )
        elif not (line.stream and cut[line]):
            # Of a stream that was broken off, what had gone out is billed. Everything else is billed as a whole.
            right = Sum(found.requests, found.requests * answers.INPUT_TOKENS, found.requests * output_tokens)
            if found != right:
                problems.append(f"{line} were billed as {found}, not {right}")
    return problems


def _not_kept(kept: int, tallies: Mapping[Work, Tally]) -> list[str]:
    wanted = [tally for work, tally in tallies.items() if work.store]
    low = sum(tally.answered for tally in wanted)
    high = low + sum(tally.cut for tally in wanted)
    if low <= kept <= high:
        return []
    return [f"{low} to {high} answers were to be kept, but {kept} were"]
