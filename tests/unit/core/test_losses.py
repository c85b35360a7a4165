"""Notices of one translation: each feature once, bounded, and safe to send in a header."""

from __future__ import annotations

from bytespike.core.losses import NOTICES_MAX, Losses
from bytespike.core.notices import Notice


def test_each_feature_is_told_once_in_the_order_in_which_it_was_found() -> None:
    losses = Losses("gemini")
    losses.dropped("top_k")
    losses.approximated("stop", "cut")
    losses.dropped("stop", "again")
    assert losses.notices == (Notice("top_k", "dropped"), Notice("stop", "approximated", "cut"))


def test_there_are_never_too_many() -> None:
    losses = Losses("gemini")
    for number in range(NOTICES_MAX + 5):
        losses.dropped(f"f{number}")
    assert len(losses.notices) == NOTICES_MAX


def test_extras_of_another_dialect_are_lost_and_the_own_are_not() -> None:
    losses = Losses("gemini")
    losses.foreign_extras(
        {"gemini": {"labels": {}}, "openai_chat": {"logit": 1, "_legacy": True}}, "request."
    )
    assert losses.notices == (Notice("request.logit", "dropped", "only openai_chat has it"),)


def test_a_members_name_cannot_smuggle_anything_into_a_header() -> None:
    losses = Losses("gemini")
    losses.foreign_extras({"openai_chat": {"a\r\nb: c, ü" + "x" * 100: 1, "\n": 2}})
    first, second = losses.notices
    assert first.feature == "abc" + "x" * (60 - 10)
    assert second.feature == "unnamed"
