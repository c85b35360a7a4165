from __future__ import annotations

import csv
import io

import pytest

from bytespike.http.spreadsheet import accepted, csv_lines, guarded


@pytest.mark.parametrize(
    "text",
    [
        "=1+2",
        "+1+2",
        "-1+2",
        "@SUM(A1)",
        '=HYPERLINK("http://x","y")',
        " =1",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1",
        "＠x",
        "-",
        "+1",
        "-1.5e3",
        "--1",
        "-1 ",
    ],
)
def test_what_a_spreadsheet_would_calculate_with_gets_an_apostrophe(text: str) -> None:
    assert guarded(text) == "'" + text


@pytest.mark.parametrize(
    "text", ["", "plain", "12.50", "-12.50", "0", "-0.000001", "a=b", "a-b", "'=1", "2026-11-21"]
)
def test_numbers_and_plain_text_stay_as_they_are(text: str) -> None:
    assert guarded(text) == text


def test_cells_read_back_as_they_were_written() -> None:
    rows = [["a", "b,c", 'd"e', "f\ng"], [None, True, 12, ["x", "y"]]]
    read = list(csv.reader(io.StringIO(csv_lines(rows), newline="")))
    assert read == [["a", "b,c", 'd"e', "f\ng"], ["", "true", "12", "x; y"]]


def test_a_list_whose_first_part_is_a_formula_is_guarded_too() -> None:
    assert csv_lines([[["=1", "x"]]]) == "'=1; x\r\n"


@pytest.mark.parametrize(
    ("header", "format"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/csv", "csv"),
        ("Text/CSV; charset=utf-8", "csv"),
        ("text/csv, application/json;q=0.5", "csv"),
        ("application/json, text/csv;q=0.5", "json"),
        ("text/csv;q=0", "json"),
        ("text/csv;q=abc", "json"),
        ("text/html, text/csv;q=0.1", "csv"),
        ("text/csv;q=...", "json"),
    ],
)
def test_accept_says_which_form(header: str, format: str) -> None:
    assert accepted(header) == format
