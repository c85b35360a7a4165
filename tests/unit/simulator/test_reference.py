"""The reference page tells the truth."""

from __future__ import annotations

import re
from pathlib import Path

from bytespike.providers.simulator import media_routes, tokens
from bytespike.providers.simulator.agent_steps import VERBS
from bytespike.providers.simulator.directives import PIECE_CHARS_DEFAULT, TOKENS_MAX, Directives
from bytespike.providers.simulator.exchange import BAD_KEY, LIMITED_KEY, LIMITED_RETRY_AFTER_S, POOR_KEY
from bytespike.providers.simulator.recorder import REQUESTS_MAX
from bytespike.providers.simulator.response_store import RESPONSES_MAX
from bytespike.providers.simulator.server import ROUTES

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "simulator.md").read_text()


def test_every_option_is_on_the_page_and_in_the_docstring() -> None:
    docstring = Directives.__doc__ or ""
    for name in Directives.__struct_fields__:
        assert f"`{name}`" in PAGE, name
        assert f"`{name}`" in docstring, name


def test_no_option_is_on_the_page_that_does_not_exist() -> None:
    directives = PAGE.split("## Directives")[1].split("## Scripted agents")[0]
    cells = [line.split("|")[1] for line in directives.splitlines() if line.startswith("| `")]
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(
        Directives.__struct_fields__
    )


def test_every_step_of_an_agent_is_on_the_page() -> None:
    steps = PAGE.split("## Scripted agents")[1].split("## What it saw")[0]
    assert set(re.findall(r"^\| `\[\[agent: (\w+)", steps, re.M)) == set(VERBS)


def test_every_path_that_is_served_is_on_the_page() -> None:
    served = PAGE.split("## What it serves")[1].split("## What it says")[0]
    for dialect, path in ROUTES:
        assert path in served, (dialect, path)


def test_every_path_for_images_and_videos_is_on_the_page() -> None:
    served = PAGE.split("## What it serves")[1].split("## What it says")[0]
    for dialect, path in media_routes.ROUTES:
        assert path in served, (dialect, path)


def test_the_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example, "simulator.md", "exec"), {"__name__": "example"})


def test_the_figures_on_the_page_are_those_of_the_code() -> None:
    for figure in (
        tokens.IMAGE_TOKENS,
        tokens.AUDIO_TOKENS,
        tokens.DOCUMENT_TOKENS,
        TOKENS_MAX,
        REQUESTS_MAX,
        RESPONSES_MAX,
    ):
        assert f"{figure:,}" in PAGE
    for text in (
        BAD_KEY,
        POOR_KEY,
        LIMITED_KEY,
        f"Retry-After: {LIMITED_RETRY_AFTER_S}",
        f"({PIECE_CHARS_DEFAULT})",
    ):
        assert text in PAGE
