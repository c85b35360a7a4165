"""NOTES.md and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

from bytespike.protocols import gemini
from bytespike.protocols.gemini import names, thinking

NOTES = (Path(gemini.__file__).parent / "NOTES.md").read_text()


def test_every_quirk_has_a_row_and_every_row_is_a_quirk() -> None:
    table = NOTES.partition("## Quirks of a target")[2].partition("## Reading")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == names.QUIRKS


def test_the_table_of_budgets_is_the_codes() -> None:
    head, _, row = re.findall(r"^\|.*\|$", NOTES.partition("### Thinking")[2], re.MULTILINE)[:3]
    efforts = [cell.strip() for cell in head.strip("|").split("|")[1:]]
    budgets = [int(cell) for cell in row.strip("|").split("|")[1:]]
    assert dict(zip(efforts, budgets, strict=True)) == thinking.EFFORT_BUDGETS
