"""docs/reference/settings.md describes just the settings that there are."""

import re

from bytespike.settings import described, variables
from tests.support.reference import BEGIN, END, REFERENCE, replaced, settings_text

DOCUMENT = (REFERENCE / "settings.md").read_text("utf-8")


def test_every_setting_is_documented_with_its_variables() -> None:
    for name, facts in described():
        row = next((line for line in DOCUMENT.splitlines() if line.startswith(f"| `{name}` |")), None)
        assert row is not None, f"{name} is not documented: run python -m tests.support.reference"
        assert all(f"`{variable}`" in row for variable in variables(name))
        assert facts.expected.replace("|", "\\|") in row


def test_nothing_is_documented_that_does_not_exist() -> None:
    table = DOCUMENT.partition(BEGIN)[2].partition(END)[0]
    documented = re.findall(r"^\| `([a-z0-9_]+)` \|", table, re.MULTILINE)
    assert documented == [name for name, _ in described()]


def test_the_table_is_what_the_code_says() -> None:
    assert replaced(DOCUMENT, settings_text()) == DOCUMENT
