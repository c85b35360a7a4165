"""Requests and tokens a minute: never more than the account allows, whoever asks."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from bytespike.routing.ceilings import (
    BUCKET_S,
    BUCKETS,
    ENTRIES,
    NO_ROOM,
    Ceilings,
    shared_words,
    use_region,
)

SECOND = 1_000_000_000


class Limit(Struct, frozen=True):
    id: str = "chn_1"
    rpm: int | None = None
    tpm: int | None = None


class Machine:
    """A clock, and ceilings that share what it gives them."""

    def __init__(self) -> None:
        self.ns = 1_000 * SECOND
        with tempfile.TemporaryFile() as file:
            self.words = shared_words(file.fileno())

    def now(self) -> int:
        return self.ns

    def process(self, region: int) -> Ceilings:
        use_region(self.words, region)
        return Ceilings(self.now, self.words, region)

    def wait(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def claims(ceilings: Ceilings, channel: Limit, times: int, tokens: int = 0) -> int:
    """How many of them were let through."""
    return sum(ceilings.claim(channel, tokens) != NO_ROOM for _ in range(times))


def test_a_channel_without_limits_always_has_room() -> None:
    ceilings = Ceilings(lambda: 0)
    assert ceilings.room(Limit())
    assert ceilings.retry_after_s(Limit()) is None


def test_so_many_requests_a_minute_and_no_more(machine: Machine) -> None:
    ceilings = machine.process(0)
    channel = Limit(rpm=10)
    assert claims(ceilings, channel, 25) == 10
    assert not ceilings.room(channel)
    machine.wait(BUCKET_S * (BUCKETS - 1) - 1)
    assert claims(ceilings, channel, 5) == 0
    machine.wait(BUCKET_S + 1)
    assert claims(ceilings, channel, 25) == 10


def test_what_is_refused_takes_no_place(machine: Machine) -> None:
    ceilings = machine.process(0)
    claims(ceilings, Limit(rpm=5), 500)
    assert claims(ceilings, Limit(rpm=7), 500) == 2


def test_channels_do_not_share_their_ceilings(machine: Machine) -> None:
    ceilings = machine.process(0)
    assert [claims(ceilings, Limit(f"chn_{n}", rpm=3), 9) for n in range(40)] == [3] * 40


def test_processes_share_one_ceiling(machine: Machine) -> None:
    processes = [machine.process(region) for region in range(4)]
    channel = Limit(rpm=10)
    taken = [claims(each, channel, 1) for _ in range(6) for each in processes]
    assert sum(taken) == 10
    assert not any(each.room(channel) for each in processes)


def test_one_process_may_have_all_of_it_while_the_others_are_idle(machine: Machine) -> None:
    processes = [machine.process(region) for region in range(4)]
    assert claims(processes[2], Limit(rpm=10), 20) == 10


def test_a_successor_finds_what_the_one_before_it_had_counted(machine: Machine) -> None:
    channel = Limit(rpm=10)
    claims(machine.process(1), channel, 8)
    assert claims(machine.process(1), channel, 8) == 2


# --- tokens -----------------------------------------------------------------------------------------------------


def test_tokens_are_claimed_as_estimated_and_settled_as_used(machine: Machine) -> None:
    ceilings = machine.process(0)
    channel = Limit(tpm=1_000)
    first = ceilings.claim(channel, 700)
    assert ceilings.claim(channel, 700) == NO_ROOM
    ceilings.settle(channel.id, first, 700, 100)
    second = ceilings.claim(channel, 700)
    assert second != NO_ROOM
    ceilings.settle(channel.id, second, 700, 900)
    assert not ceilings.room(channel)


def test_a_request_that_is_larger_than_the_ceiling_goes_when_the_channel_has_none_else(
    machine: Machine,
) -> None:
    ceilings = machine.process(0)
    channel = Limit(tpm=1_000)
    assert ceilings.claim(channel, 5_000) != NO_ROOM
    assert ceilings.claim(channel, 1) == NO_ROOM
    machine.wait(BUCKET_S * BUCKETS)
    assert ceilings.claim(channel, 1) != NO_ROOM
    assert ceilings.claim(channel, 5_000) == NO_ROOM


def test_what_failed_gives_its_tokens_back_and_not_its_request(machine: Machine) -> None:
    ceilings = machine.process(0)
    channel = Limit(rpm=2, tpm=1_000)
    ceilings.settle(channel.id, ceilings.claim(channel, 900), 900, 0)
    assert ceilings.claim(channel, 900) != NO_ROOM
    assert ceilings.claim(channel, 0) == NO_ROOM


def test_an_answer_that_outlasts_the_minute_counts_when_it_ends(machine: Machine) -> None:
    ceilings = machine.process(0)
    channel = Limit(tpm=1_000)
    claim = ceilings.claim(channel, 900)
    machine.wait(BUCKET_S * BUCKETS * 3)
    ceilings.settle(channel.id, claim, 900, 1_000)
    assert not ceilings.room(channel), "what was claimed long ago is not taken off what is used now"
    machine.wait(BUCKET_S * BUCKETS)
    assert ceilings.room(channel)


# --- when to try again ------------------------------------------------------------------------------------------


def test_it_says_when_there_is_room_again(machine: Machine) -> None:
    ceilings = machine.process(0)
    channel = Limit(rpm=4)
    claims(ceilings, channel, 2)
    machine.wait(25)
    claims(ceilings, channel, 2)
    wait = ceilings.retry_after_s(channel)
    assert wait is not None
    machine.wait(wait - 1.5)
    assert not ceilings.room(channel)
    machine.wait(1.5)
    assert claims(ceilings, channel, 9) == 2


# --- bounds -----------------------------------------------------------------------------------------------------


def test_more_channels_than_there_are_places_push_out_the_oldest(machine: Machine) -> None:
    ceilings = machine.process(0)
    for number in range(ENTRIES * 3):
        assert claims(ceilings, Limit(f"chn_{number}", rpm=1), 2) == 1
        machine.wait(0.01)


@settings(max_examples=60)
@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12_000)), max_size=150),
)
def test_no_sixty_seconds_ever_see_more_than_the_ceiling(rpm: int, events: list[tuple[int, int]]) -> None:
    machine = Machine()
    channel = Limit(rpm=rpm)
    let_through: list[int] = []
    for region, pause_ms in events:
        machine.ns += pause_ms * 1_000_000
        if machine.process(region).claim(channel, 0) != NO_ROOM:
            let_through.append(machine.ns)
    for at in let_through:
        assert sum(at - 60 * SECOND < other <= at for other in let_through) <= rpm


CLAIMER = """
import sys
from collections import namedtuple
from bytespike.routing.ceilings import NO_ROOM, Ceilings, shared_words
with open(sys.argv[1], "r+b") as file:
    words = shared_words(file.fileno())
ceilings = Ceilings(lambda: 5_000_000_000_000, words, int(sys.argv[2]))
channel = namedtuple("Limit", "id rpm tpm")("chn_1", 1_000, None)
print("ready", flush=True)
sys.stdin.readline()
print(sum(ceilings.claim(channel, 0) != NO_ROOM for _ in range(5_000)))
"""


def test_processes_that_claim_at_once_do_not_pass_the_ceiling(tmp_path: Path) -> None:
    shared = tmp_path / "ceilings"
    shared.touch()
    with shared.open("r+b") as file:
        words = shared_words(file.fileno())
    claimers = []
    for region in range(3):
        use_region(words, region)
        claimers.append(
            subprocess.Popen(
                [sys.executable, "-c", CLAIMER, str(shared), str(region)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    assert [each.stdout.readline() for each in claimers] == ["ready\n"] * 3
    for each in claimers:
        each.stdin.write("\n")
        each.stdin.flush()
    taken = [int(each.communicate(timeout=60)[0]) for each in claimers]
    assert 900 < sum(taken) <= 1_000
