"""What a reader puts aside comes back to the writer of its own dialect, and to no other."""

from __future__ import annotations

from bytespike.core.extras import OwnExtras
from bytespike.core.json_types import NO_EXTRAS

OURS, THEIRS = OwnExtras("gemini"), OwnExtras("openai_chat")


def test_members_come_back_to_their_own_dialect() -> None:
    extras = OURS.aside({"labels": {"a": "b"}, "_spelt": "snake"})
    assert OURS.own(extras) == {"labels": {"a": "b"}, "_spelt": "snake"}
    assert THEIRS.own(extras) == {}
    assert THEIRS.wire_members(extras) == {}


def test_the_readers_bookkeeping_is_no_member_of_the_wire() -> None:
    assert OURS.wire_members(OURS.aside({"labels": 1, "_spelt": "snake"})) == {"labels": 1}


def test_nothing_put_aside_is_no_extras_at_all() -> None:
    assert OURS.aside({}) is NO_EXTRAS
    assert (OURS.own(NO_EXTRAS), OURS.wire_members(NO_EXTRAS)) == ({}, {})
