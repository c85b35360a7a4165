"""What the pages say about paths, commands and each other is so."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.support.reference import commands

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "bytespike"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
#: Written by a benchmark when it is asked to.
ON_DEMAND = {"benchmarks/RESULTS.md", "RESULTS.md"}

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Files that a page leads to, with their anchors."""
    for target in _LINK.findall(prose(page)):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield (page.parent / unquote(path)).resolve() if path else page, anchor


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    found = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in found}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), f"{named(page)}: {target}"
        if anchor:
            assert anchor in anchors(target), f"{named(page)}: {target.name}#{anchor}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            todo += [target for target, _ in links(page)]
    assert {named(page) for page in PAGES} <= {named(page) for page in seen}


def test_the_index_names_every_page() -> None:
    listed = {target for target, _ in links(ROOT / "docs" / "README.md")}
    assert {page for page in PAGES if page.parent != ROOT and page.name != "README.md"} <= listed


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    """Paths from the root or from the package, as in `ledger/spool.py`."""
    for text in _CODE.findall(prose(page)):
        if re.fullmatch(r"[a-z_]+(/[\w.-]+)+\.(py|md|toml)", text) and text not in ON_DEMAND:
            assert (ROOT / text).exists() or (SOURCE / text).exists(), f"{named(page)}: {text}"


def test_the_architecture_names_every_room() -> None:
    rooms = re.findall(r"^\| (`.+?) \|", prose(ROOT / "ARCHITECTURE.md"), re.MULTILINE)
    told = {name.rstrip("/") for row in rooms for name in _CODE.findall(row)}
    there = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    modules = {path.name for path in SOURCE.glob("*.py") if path.name != "__init__.py"}
    assert there | modules <= told
    beside = {"tests", "docs", "benchmarks", "hatch_build.py"}
    assert {name for name in told if "/" not in name} <= there | modules | beside


def commands_of(page: Path) -> Iterator[list[str]]:
    """What a reader would paste: lines of shell that run `bytespike`, options and all; pipes and comments taken off."""
    blocks = [body for kind, body in _FENCE.findall(page.read_text("utf-8")) if kind in ("sh", "console", "")]
    spans = [text for text in _CODE.findall(prose(page)) if text.startswith("bytespike ")]
    for line in "\n".join([*blocks, *spans]).replace("\\\n", " ").splitlines():
        for part in re.split(r"\s\|\s|&&", line):
            words = shlex.split(part, comments=True)
            while words and re.fullmatch(r"\$|[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words[:1] == ["bytespike"]:
                yield words


def found(words: list[str]) -> tuple[str, Any, list[str]] | None:
    """The command that these words run, and what they give it."""
    known = dict(commands())
    for length in range(len(words), 1, -1):
        name = " ".join(words[:length])
        if name in known:
            return name, known[name], words[length:]
    return None


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "cli.md"], ids=named)
def test_every_command_that_a_page_shows_exists_with_its_options(page: Path) -> None:
    groups = {" ".join(name.split()[:n]) for name, _ in commands() for n in (1, 2, 3)}
    for words in commands_of(page):
        ran = found(words)
        if ran is None:
            assert " ".join(words) in groups, f"{named(page)}: {' '.join(words)}"
            continue
        name, command, given = ran
        options = {each for param in command.params for each in (*param.opts, *param.secondary_opts)}
        for word in given:
            if word.startswith("--"):
                assert word.partition("=")[0] in options, f"{named(page)}: {name} has no {word}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    text = page.read_text("utf-8")
    shown = re.findall(r"^(?:[A-Z_]+=\S+ )*make ([a-z-]+)", text, re.MULTILINE)
    shown += re.findall(r"`(?:[A-Z_]+=\S+ )*make ([a-z-]+)", text)
    assert set(shown) <= targets
