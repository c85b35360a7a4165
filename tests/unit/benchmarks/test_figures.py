"""The arithmetic of the table."""

from __future__ import annotations

import datetime

import pytest

from benchmarks.figures import Figure, Sample, median_ratio, per_event_us, told
from benchmarks.report import Part, aligned, groups, record, side_by_side, squares, table
from benchmarks.results import page


def test_cpu_per_request_is_in_microseconds() -> None:
    sample = Sample(cpu_seconds=1.5, requests=30_000, seconds=3.0)
    assert sample.cpu_us == pytest.approx(50.0)
    assert sample.per_second == pytest.approx(10_000)


def test_an_event_costs_the_difference_and_the_request_falls_out() -> None:
    request_us, event_us = 120, 7
    few = Sample(100 * (request_us + 2 * event_us) / 1e6, 100, 1.0, events=200)
    many = Sample(400 * (request_us + 200 * event_us) / 1e6, 400, 1.0, events=80_000)
    assert per_event_us(few, many) == pytest.approx(event_us)


def test_without_more_events_there_is_no_cost_of_one() -> None:
    same = Sample(1.0, 10, 1.0, events=20)
    with pytest.raises(ValueError, match="no more events"):
        per_event_us(same, same)


def test_the_ratio_is_the_median_of_neighbours() -> None:
    # Each round's own pair: 5, 6 and 4 times. Medians of each side would give 100 / 18.
    assert median_ratio([100, 60, 120], [20, 10, 30]) == 5


def test_rounds_must_be_pairs() -> None:
    with pytest.raises(ValueError, match="neighbour"):
        median_ratio([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("value", "budget", "within", "verdict"),
    [
        (6.0, 6.0, True, "within"),
        (6.6, 6.0, False, "over by 10 %"),
        (-0.2, 0.3, True, "within"),
        (6.0, None, None, ""),
    ],
)
def test_a_budget_is_kept_up_to_its_own_value(
    value: float, budget: float | None, within: bool | None, verdict: str
) -> None:
    figure = Figure(case="c", value=value, unit="x", budget=budget)
    assert figure.within is within
    assert figure.verdict == verdict


def test_values_are_told_with_three_digits_and_their_unit() -> None:
    assert told(1234.4, "us") == "1234 µs"
    assert told(48.04, "KB") == "48.0 KB"
    assert told(0.296, "ms") == "0.30 ms"
    assert told(5.5, "x") == "5.50 ×"


def test_the_table_has_a_line_per_figure_with_budget_figure_and_verdict() -> None:
    lines = table(
        [
            Figure(case="unary", value=7.5, unit="x", budget=6.0, cost="120 µs", floor="16.0 µs", ratio=7.5),
            Figure(case="memory", value=80.0, unit="MB", budget=None),
        ]
    ).splitlines()
    assert len(lines) == 5
    assert lines[3] == ""
    assert lines[0].split() == ["case", "budget", "figure", "verdict", "CPU", "nginx", "×", "nginx", "rate"]
    cells = [cell.strip() for cell in lines[2].split("  ") if cell.strip()]
    assert cells == ["unary", "≤ 6.00 ×", "7.50 ×", "over by 25 %", "120 µs", "16.0 µs", "7.50"]
    assert "≤" not in lines[4]


def _pair(client: str, upstream: str, value: float, group: str = "unary") -> Figure:
    pair = (client, upstream)
    return Figure(case=f"{group}/{client}-{upstream}", value=value, unit="x", budget=6.0, pair=pair)


def test_groups_have_the_order_of_the_dialects_whatever_was_measured_first() -> None:
    kept = Figure(case="unary/responses-store", value=9.0, unit="x", budget=None)
    figures = [
        kept,
        _pair("chat", "anthropic", 1.0),
        _pair("gemini", "gemini", 2.0, "agent"),
        _pair("anthropic", "gemini", 3.0),
        _pair("gemini", "gemini", 4.0),
    ]
    found = groups(figures)
    assert [*found] == ["unary", "agent"]
    assert [figure.value for figure in found["unary"]] == [4.0, 3.0, 1.0, 9.0]


def test_pairs_stand_in_a_square_with_a_mark_where_the_budget_is_missed() -> None:
    figures = [
        _pair("chat", "anthropic", 6.5),
        _pair("chat", "chat", 5.0),
        _pair("gemini", "chat", 1.0, "agent"),
    ]
    assert {name: [[*cells] for cells in rows] for name, rows in squares(figures).items()} == {
        "unary": [
            ["client ↓ upstream →", "anthropic", "chat", "responses", "gemini"],
            ["chat", "6.50 × !", "5.00 ×", "", ""],
        ]
    }


def test_columns_are_aligned() -> None:
    assert aligned([["a", "bb"], ["ccc", "d"]]) == "a    bb\n---  --\nccc  d"


def test_the_record_says_what_the_table_says() -> None:
    figure = Figure(case="c", value=7.0, unit="us", budget=8.0, ratio=2.0, detail={"rounds": [1]})
    assert record(figure) == {
        "case": "c",
        "value": 7.0,
        "unit": "us",
        "budget": 8.0,
        "within": True,
        "ratio_to_nginx": 2.0,
        "rounds": [1],
    }


def test_the_record_of_a_pair_names_client_and_upstream() -> None:
    assert record(_pair("chat", "gemini", 5.0)).items() >= {"client": "chat", "upstream": "gemini"}.items()


def test_peers_stand_side_by_side_and_what_they_lack_is_told() -> None:
    own = Figure(case="unary", value=5.0, unit="x", budget=6.0, cost="80.0 µs", ratio=5.0)
    alone = Figure(case="own", value=5.0, unit="ms", budget=None)
    parts = [
        Part("ByteSpike", "0.1", (own, alone), {}),
        Part("Peer", "9", (), {"unary": "does not offer it"}),
    ]
    assert [list(cells) for cells in side_by_side(parts)] == [
        ["case", "ByteSpike 0.1", "Peer 9"],
        ["unary", "80.0 µs (5.0 ×)", "not measured"],
    ]


def test_the_page_tells_machine_command_misses_and_what_was_not_measured() -> None:
    figure = Figure(case="unary", value=9.0, unit="x", budget=6.0, cost="90.0 µs", ratio=9.0)
    machine = {
        **{
            "cpu": "A CPU",
            "cores": 2,
            "memory_gb": 4.0,
            "kernel": "6.1",
            "nginx": "1.22.1",
            "python": "3.11",
        },
        **{
            "busy_before": 0.02,
            "busy_after": 0.5,
            "commit": "0123456789abcdef",
            "changed_files": 0,
            "data_path": "compiled",
        },
        "packages": {"uvloop": "0.23"},
    }
    parts = [Part("ByteSpike", "0.1", (figure,), {}), Part("Peer", "", (), {"unary": "it did not start"})]
    text = page(parts, machine, "python -m benchmarks --peers", datetime.date(2026, 11, 21))
    for words in (
        *("2026-11-21", "`python -m benchmarks --peers`", "A CPU, 2 cores", "50% after", "`0123456789ab`"),
        *(
            "1 of 1 budgets are missed: unary over by 50 %",
            "| unary | ≤ 6.00 × | 9.00 × | over by 50 % | 90.0 µs |",
        ),
        "- Peer, unary: it did not start",
    ):
        assert words in text
