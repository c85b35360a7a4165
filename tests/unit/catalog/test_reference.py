"""docs/reference/models.md says what the data says."""

from __future__ import annotations

from pathlib import Path

from bytespike.catalog.load import load_aliases
from bytespike.catalog.reference import render
from bytespike.catalog.resolve import load_catalog

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "models.md"


def test_the_page_is_up_to_date() -> None:
    expected = render(load_catalog(), load_aliases()[0])
    assert PAGE.read_text("utf-8") == expected, (
        "run: python -m bytespike.catalog.reference > docs/reference/models.md"
    )


def test_every_model_and_every_alias_is_on_the_page() -> None:
    page = render(load_catalog(), load_aliases()[0])
    for name in [*load_catalog().models, *(alias.pattern for alias in load_aliases()[0])]:
        assert f"| `{name}` |" in page
