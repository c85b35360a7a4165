"""Prompt caching: first written, then read, never without bound."""

from __future__ import annotations

from bytespike.providers.simulator.prefix_cache import (
    ENTRIES_MAX,
    LONG_S,
    LOOKBACK,
    NO_CACHING,
    SHORT_S,
    CacheFigures,
    PrefixCache,
    Segment,
)


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def plain(content: str, size: int = 10) -> Segment:
    return Segment(content.encode(), size)


def marked(content: str, size: int = 10, keep_s: float = SHORT_S) -> Segment:
    return Segment(content.encode(), size, keep_s)


def test_without_marks_nothing_is_cached() -> None:
    cache = PrefixCache(Clock())
    assert cache.figures("s", [plain("a"), plain("b")]) == NO_CACHING
    assert cache.figures("s", []) == NO_CACHING


def test_the_first_writes_and_the_second_reads() -> None:
    cache = PrefixCache(Clock())
    row = [plain("a"), marked("b"), plain("c")]
    assert cache.figures("s", row) == CacheFigures(write_short=20)
    assert cache.figures("s", row) == CacheFigures(read=20)


def test_another_content_model_or_account_reads_nothing() -> None:
    cache = PrefixCache(Clock())
    cache.figures("s", [marked("a")])
    assert cache.figures("s", [marked("A")]).read == 0
    assert cache.figures("t", [marked("a")]).read == 0


def test_contents_do_not_run_into_each_other() -> None:
    cache = PrefixCache(Clock())
    cache.figures("s", [plain("ab"), marked("c")])
    assert cache.figures("s", [plain("a"), marked("bc")]).read == 0


def test_writes_are_billed_by_lifetime_and_each_token_once() -> None:
    cache = PrefixCache(Clock())
    row = [marked("a", 100, LONG_S), plain("b", 20), marked("c", 3)]
    assert cache.figures("s", row) == CacheFigures(write_short=23, write_long=100)


def test_a_grown_conversation_reads_what_was_written_and_writes_the_rest() -> None:
    cache = PrefixCache(Clock())
    cache.figures("s", [plain("a"), marked("b")])
    grown = [plain("a"), plain("b"), plain("c"), marked("d")]
    assert cache.figures("s", grown) == CacheFigures(read=20, write_short=20)


def test_a_mark_looks_back_only_so_far() -> None:
    between = [plain(str(number)) for number in range(LOOKBACK)]
    for row, read in (([*between[:-1], marked("z")], 10), ([*between, marked("z")], 0)):
        cache = PrefixCache(Clock())
        cache.figures("s", [marked("a")])
        assert cache.figures("s", [plain("a"), *row]).read == read


def test_entries_expire_by_their_lifetime_and_live_on_when_read() -> None:
    clock = Clock()
    cache = PrefixCache(clock)
    cache.figures("s", [marked("short")])
    cache.figures("s", [marked("long", 10, LONG_S)])
    clock.at = SHORT_S - 1
    assert cache.figures("s", [marked("short")]).read == 10
    clock.at = 2 * SHORT_S - 2
    assert cache.figures("s", [marked("short")]).read == 10
    clock.at += SHORT_S
    assert cache.figures("s", [marked("short")]).read == 0
    assert cache.figures("s", [marked("long", 10, LONG_S)]).read == 10


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    cache = PrefixCache(Clock())
    for number in range(ENTRIES_MAX + 1):
        cache.figures("s", [marked(str(number))])
    assert cache.figures("s", [marked(str(ENTRIES_MAX))]).read == 10
    assert cache.figures("s", [marked("0")]).read == 0


def test_clearing_forgets() -> None:
    cache = PrefixCache(Clock())
    cache.figures("s", [marked("a")])
    cache.clear()
    assert cache.figures("s", [marked("a")]).read == 0
