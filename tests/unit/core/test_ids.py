"""Identifiers."""

from __future__ import annotations

import re
import time

from bytespike.ids import RequestIds, api_key, ulid

_ULID = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"


def test_request_ids_are_ulids_that_do_not_repeat() -> None:
    new_id = RequestIds()
    made = [new_id() for _ in range(5_000)]
    assert all(re.fullmatch("req_" + _ULID, each) for each in made)
    assert len(set(made)) == len(made)


def test_request_ids_of_two_processes_do_not_meet() -> None:
    ours, others = RequestIds(), RequestIds()
    assert not {ours() for _ in range(2_000)} & {others() for _ in range(2_000)}


def test_later_ids_sort_behind() -> None:
    new_id = RequestIds()
    first, plain = new_id(), ulid()
    time.sleep(0.003)
    assert first < new_id()
    assert plain < ulid()


def test_an_id_tells_its_millisecond() -> None:
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    before = time.time_ns() // 1_000_000
    told = 0
    for letter in RequestIds()()[4:14]:
        told = told * 32 + letters.index(letter)
    assert before <= told <= time.time_ns() // 1_000_000


def test_keys_have_their_prefix_and_forty_characters() -> None:
    assert re.fullmatch(r"sk-byts-[0-9A-Za-z]{40}", api_key())
