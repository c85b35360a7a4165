"""docs/reference/platforms.md says what the data and the notes say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytespike.providers.platforms import PLATFORMS, read_platforms
from bytespike.providers.reference import UnexplainedQuirk, meaning, read_meanings, render

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "platforms.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == render(PLATFORMS, read_meanings()), (
        "run: python -m bytespike.providers.reference > docs/reference/platforms.md"
    )


def test_every_platform_with_its_hosts_and_quirks_is_on_the_page() -> None:
    page = render(PLATFORMS, read_meanings())
    for name, platform in PLATFORMS.items():
        assert f"\n## {name}\n" in page
        for surface in platform.surfaces.values():
            for url in (surface.base_url, *surface.regions.values()):
                assert not url or f"`{url}`" in page
            for quirk in surface.quirks:
                assert f"| `{quirk}` |" in page


def test_a_quirk_that_no_notes_explain_is_no_page() -> None:
    platforms = read_platforms(
        '[odd]\nvendor = "Odd"\n[odd.surfaces.gemini]\npath = "/"\nauth = "bearer"\nsource = "-"\nquirks = ["odd"]\n'
    )
    with pytest.raises(UnexplainedQuirk, match="odd of gemini"):
        render(platforms, read_meanings())


def test_a_dialects_own_notes_come_first() -> None:
    meanings = {
        "anthropic_messages": {"x": "a"},
        "openai_responses": {},
        "openai_chat": {"x": "c"},
        "gemini": {},
    }
    assert (meaning("openai_chat", "x", meanings), meaning("gemini", "x", meanings)) == ("c", "a")
