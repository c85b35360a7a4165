"""CPU per request and per event, in rounds that alternate between nginx and the measured server.

What the machine does besides changes over minutes; a round's two samples are neighbours in time, so their ratio suffers
least. The figure is the median over the rounds.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from typing import TypeVar

from benchmarks.cases import Effort, Rounds, StreamCase, WholeCase
from benchmarks.check import check
from benchmarks.figures import Figure, Sample, median_ratio, per_event_us, told
from benchmarks.load import Loader
from benchmarks.processes import NotMeasured
from benchmarks.subjects.subject import Subject
from benchmarks.work import Target, Work

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """What a measurement needs."""

    floor: Subject
    subject: Subject
    loader: Loader
    effort: Effort


def target_of(run: Run, subject: Subject, work: Work) -> Target:
    """The work's request for this server, checked once. Raises NotMeasured."""
    target = subject.target(work)
    if target is None:
        raise NotMeasured(f"{subject.name} does not offer it")
    check(subject.name, work, target, subject.headers)
    run.loader.tallies[target.port, work].answered += 1
    return target


def measure_whole(run: Run, case: WholeCase) -> Figure:
    """A line of the table for whole answers. Raises NotMeasured."""
    targets = {subject.name: target_of(run, subject, case.work) for subject in (run.floor, run.subject)}
    rounds = run.effort.rounds(case)

    def load(subject: Subject, seconds: int) -> Sample:
        target = targets[subject.name]
        return run.loader.whole(subject, target, case.work, connections=case.connections, seconds=seconds)

    def sample(subject: Subject) -> Sample:
        return load(subject, rounds.floor_seconds if subject is run.floor else rounds.seconds)

    for subject, seconds in ((run.floor, rounds.floor_warm_seconds), (run.subject, rounds.warm_seconds)):
        if seconds:
            load(subject, seconds)
    floor, measured = _alternate(run, rounds, sample)
    floor_us = statistics.median(one.cpu_us for one in floor)
    cpu_us = statistics.median(one.cpu_us for one in measured)
    ratio = median_ratio([one.cpu_us for one in measured], [one.cpu_us for one in floor])
    rate = statistics.median(one.per_second for one in measured)
    return Figure(
        case=case.name,
        value=ratio if case.unit == "x" else cpu_us / 1000,
        unit=case.unit,
        budget=case.budget,
        cost=told(cpu_us, "us"),
        floor=told(floor_us, "us"),
        ratio=ratio,
        rate=f"{rate:,.0f}/s",
        pair=case.pair,
        detail={
            "brief": case.brief,
            "cpu_us": cpu_us,
            "floor_cpu_us": floor_us,
            "requests_per_second": rate,
            "rounds": _rounds(floor, measured),
            "command": run.loader.wrk.command(
                targets[run.subject.name], connections=case.connections, seconds=rounds.seconds
            ),
        },
    )


def measure_stream(run: Run, case: StreamCase) -> Figure:
    """A line of the table for streams, by event. Raises NotMeasured."""
    targets = {
        (subject.name, work): target_of(run, subject, work)
        for subject in (run.floor, run.subject)
        for work in (case.few, case.many)
    }
    rounds = run.effort.rounds(case)

    def sample(subject: Subject) -> tuple[Sample, Sample]:
        bursts = rounds.floor_streams if subject is run.floor else rounds.burst_streams
        streams = bursts if not case.many.manner.interval_ms else case.connections
        few, many = (
            run.loader.streams(
                subject, targets[subject.name, work], work, connections=case.connections, requests=requests
            )
            # The short streams cost little: more of them, to see it.
            for work, requests in ((case.few, 2 * streams), (case.many, streams))
        )
        return few, many

    for subject in (run.floor, run.subject):
        run.loader.streams(
            subject,
            targets[subject.name, case.few],
            case.few,
            connections=case.connections,
            requests=case.connections,
        )
    floor, measured = _alternate(run, rounds, sample)
    floor_us = statistics.median(per_event_us(*pair) for pair in floor)
    event_us = statistics.median(per_event_us(*pair) for pair in measured)
    if floor_us <= 0 or event_us <= 0:
        raise NotMeasured("an event costs less than the kernel's clock can tell")
    last = measured[-1][1]
    return Figure(
        case=case.name,
        value=event_us,
        unit="us",
        budget=case.budget,
        cost=told(event_us, "us"),
        floor=told(floor_us, "us"),
        ratio=event_us / floor_us,
        rate=f"{last.events / last.seconds:,.0f} ev/s, {last.events / last.reads:.1f} a read",
        pair=case.pair,
        detail={
            "brief": case.brief,
            "floor_event_us": floor_us,
            "events_per_read": last.events / last.reads,
            "rounds": [
                {
                    "nginx": [dataclasses.asdict(one) for one in a],
                    "measured": [dataclasses.asdict(one) for one in b],
                }
                for a, b in zip(floor, measured, strict=True)
            ],
        },
    )


def _alternate(run: Run, rounds: Rounds, sample: Callable[[Subject], T]) -> tuple[list[T], list[T]]:
    """nginx's samples and the measured server's; who goes first changes from round to round."""
    floor: list[T] = []
    measured: list[T] = []
    for number in range(rounds.count):
        if number % 2:
            measured.append(sample(run.subject))
            floor.append(sample(run.floor))
        else:
            floor.append(sample(run.floor))
            measured.append(sample(run.subject))
    return floor, measured


def _rounds(floor: Sequence[Sample], measured: Sequence[Sample]) -> list[dict[str, object]]:
    return [
        {"nginx": dataclasses.asdict(one), "measured": dataclasses.asdict(other)}
        for one, other in zip(floor, measured, strict=True)
    ]
