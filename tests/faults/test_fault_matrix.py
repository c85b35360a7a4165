"""Every fault of an upstream's answer, in every dialect, whole and streamed, as it is and translated.

With a healthy channel behind the faulty one, a fault before the client has seen a byte is nobody's business. With none,
the client hears the right error in its own envelope; where a stream had begun, in the form in which its dialect ends a
stream. In each case: no hold is left, the wallet has what it had but for what was delivered, no connection is in use and
no task runs. Nothing waits for a fixed time: a fault within a stream strikes when the client has seen its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bytespike.testing.fault_kinds import BAD_UTF8_IN_TEXT, FAULTS, cut_after
from bytespike.testing.fault_relay import Fault
from tests.support.fault_bench import STALLING, UNREACHABLE, Bench, strike
from tests.support.fault_cases import CASES, ROWS, Case, check_refused, check_whole, judge, told_of
from tests.support.raw_http import Answer

pytestmark = pytest.mark.slow

PROMPT = tuple(fault for fault in FAULTS if not fault.stalls)
#: Over TLS, without translation: what does not depend on the socket alone would be the same.
TLS_FAULTS = (
    "resets_unanswered",
    "closes_within_head",
    "resets_within",
    "closes_within",
    "bad_chunk_within",
    "trickles",
)
NATIVE = tuple(case for case in CASES if case.client == case.upstream)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("faults")) as running:
        yield running


def struck(bench: Bench, fault: Fault, case: Case, place: str = "plain") -> None:
    bench.gateway.heal()
    strike(bench, fault)
    before = bench.left()
    relay = bench.tls_relay if place == "tls" else bench.relay
    outcome = judge(case, fault, bench.ask(case, place, relay))
    bench.nothing_left_over()
    spent = before - bench.left()
    assert relay.delivered >= 1, "the faulty channel was not asked"
    if outcome == "whole":
        assert spent > 0
    else:
        assert spent == 0


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("fault", PROMPT, ids=lambda fault: fault.name)
def test_a_fault_costs_no_answer_that_another_channel_could_give_and_no_money(
    bench: Bench, fault: Fault, case: Case
):
    struck(bench, fault, case)


@pytest.mark.parametrize("case", NATIVE, ids=str)
@pytest.mark.parametrize("name", TLS_FAULTS)
def test_the_same_over_tls(bench: Bench, name: str, case: Case):
    fault = next(each for each in FAULTS if each.name == name)
    struck(bench, fault, case, "tls")


#: Gemini's other way to stream, as it is and translated. (Its upstreams are asked for events then.)
ARRAYS = tuple(
    Case("gemini", upstream, stream=True, second=second, array=True)
    for upstream in ("gemini", "openai_responses")
    for second in (False, True)
)


@pytest.mark.parametrize("case", ARRAYS, ids=str)
@pytest.mark.parametrize(
    "name", ["resets_unanswered", "answers_with_page", "resets_within", "closes_within", "trickles"]
)
def test_a_stream_that_is_one_array_fails_as_one(bench: Bench, name: str, case: Case):
    struck(bench, next(fault for fault in FAULTS if fault.name == name), case)


CUTS = 8


@pytest.mark.parametrize("case", [case for case in CASES if not case.second], ids=str)
def test_an_answer_that_is_cut_anywhere_is_whole_or_an_error_and_costs_accordingly(bench: Bench, case: Case):
    """After so many bytes, evenly spread from none to all; wherever that falls."""
    outcomes: set[str] = set()
    for cut in range(CUTS + 1):
        bench.gateway.heal()
        strike(bench, cut_after(cut / CUTS))
        before = bench.left()
        answer = bench.ask(case, "plain", bench.relay)
        bench.nothing_left_over()
        spent = before - bench.left()
        outcome = told_of(case, answer)
        assert (spent > 0) == (outcome == "whole"), (cut, answer)
        outcomes.add(outcome)
    assert outcomes == ({"whole", "refused", "ended"} if case.stream else {"whole", "refused"})


@pytest.mark.parametrize("case", NATIVE, ids=str)
@pytest.mark.parametrize("place", UNREACHABLE)
def test_an_upstream_that_cannot_be_reached_is_a_channel_that_failed(bench: Bench, place: str, case: Case):
    bench.gateway.heal()
    strike(bench)
    before = bench.left()
    answer = bench.ask(case, place)
    if case.second:
        check_whole(case, answer)
    else:
        check_refused(case, answer, 503)
    bench.nothing_left_over()
    assert (before - bench.left() > 0) == case.second


@pytest.mark.parametrize("case", CASES, ids=str)
def test_text_that_is_no_utf8_passes_only_in_a_whole_answer_that_nobody_reads(bench: Bench, case: Case):
    """Streams are counted as they go by, translations are read, and so are Gemini's whole answers."""
    bench.gateway.heal()
    strike(bench, BAD_UTF8_IN_TEXT)
    before = bench.left()
    answer = bench.ask(case, "plain", bench.relay)
    bench.nothing_left_over()
    spent = before - bench.left()
    if case.client == case.upstream and not case.stream and case.client != "gemini":
        assert answer.status == 200
        assert b"This te\xff\xfet was" in answer.body
        assert spent > 0
        return
    assert judge(case, BAD_UTF8_IN_TEXT, answer) == ("whole" if case.second else "refused")
    assert (spent > 0) == case.second


# --- deadlines: all at once, for they take their time ----------------------------------------------------------------

Late = tuple[str, Case]
LATE: tuple[Late, ...] = tuple(
    (place, case) for place in (*(fault.name for fault in STALLING), "half_open") for case in CASES
)


@pytest.fixture(scope="module")
def late_answers(bench: Bench) -> dict[Late, Answer]:
    bench.gateway.heal()
    before = bench.left()

    def ask(late: Late) -> Answer:
        place, case = late
        return bench.ask(case, f"{place}-{case}")

    with ThreadPoolExecutor(max_workers=len(LATE)) as pool:
        answers = dict(zip(LATE, pool.map(ask, LATE), strict=True))
    bench.nothing_left_over()
    assert bench.left() < before
    return answers


@pytest.mark.parametrize("late", LATE, ids=lambda late: f"{late[0]}-{late[1]}")
def test_an_upstream_that_stalls_is_given_up_for_another_or_told_as_late(
    late_answers: dict[Late, Answer], late: Late
):
    place, case = late
    fault = next((each for each in STALLING if each.name == place), None)
    if fault is None:
        fault = Fault(place, STALLING[0].deliver, "nothing", "nothing", "late", stalls=True)
    judge(case, fault, late_answers[late])


# --- after all of it -------------------------------------------------------------------------------------------------


def test_many_faults_leave_nothing_in_memory(bench: Bench):
    """Every fault again and again: what is alive does not grow with their number."""
    cases = [
        Case(client, upstream, stream, second=False) for client, upstream in ROWS for stream in (False, True)
    ]

    def a_round(number: int) -> None:
        for each, fault in enumerate(PROMPT):
            bench.gateway.heal()
            strike(bench, fault)
            case = cases[(number + each) % len(cases)]
            bench.ask(case, "plain", bench.relay)
        bench.nothing_left_over()

    for number in range(3):
        a_round(number)
    before = bench.objects()
    for number in range(3, 9):
        a_round(number)
    requests = 6 * len(PROMPT)
    # One object that every fourth request left behind would show. What is only on its way goes in a moment.
    bench.gateway.until(lambda: bench.objects() - before < requests // 4)


def test_the_books_balance_after_everything(bench: Bench):
    bench.gateway.settled()
    assert bench.gateway.balance(bench.user) == bench.left()
    assert bench.gateway.ledger_sum(bench.user) == bench.left()
