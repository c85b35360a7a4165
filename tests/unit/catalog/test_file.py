"""An operator's catalog file: what it may say, and how it is told where it is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bytespike.catalog.file import CatalogFileError, read_catalog_file
from bytespike.catalog.load import Alias
from bytespike.catalog.resolve import load_catalog

SHIPPED = load_catalog().models
DOCS = Path(__file__).parents[3] / "docs"

GOOD = """\
# Ours.
[[models]]
slug = "qwen-4-coder"
family = "qwen"
context_window = 262_144
max_output_tokens = 65_536
capabilities = ["tools"]
price = { input = "0.50", output = "2.00" }

[[models]]
slug = "claude-opus-5-5"
like = "claude-opus-4-8"

[[aliases]]
model = "claude-opus-4-8"
names = ["claude-opus-5*", "best"]
substitute = true

[[aliases]]
model = "qwen-4-coder"
names = ["coder"]
"""


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(CatalogFileError) as caught:
        read_catalog_file("catalog.toml", text, SHIPPED)
    return caught.value.problems


def test_a_good_file_is_models_and_aliases() -> None:
    file = read_catalog_file("catalog.toml", GOOD, SHIPPED)
    assert [each.slug for each in file.models] == ["qwen-4-coder", "claude-opus-5-5"]
    assert file.aliases == (
        Alias("claude-opus-5*", "claude-opus-4-8", substitute=True),
        Alias("best", "claude-opus-4-8", substitute=True),
        Alias("coder", "qwen-4-coder"),
    )


def test_an_empty_file_is_one_too() -> None:
    assert read_catalog_file("catalog.toml", "", SHIPPED).models == ()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('slug = "qwen-4-coder"', 'slug = "Qwen"', "line 3: Qwen: slug: "),
        ('slug = "qwen-4-coder"', 'slug = "gpt-55"', "line 3: gpt-55: slug: gpt-55 and gpt-5-5 differ"),
        ('slug = "qwen-4-coder"', "", "line 2: a model without slug: object missing required field `slug`"),
        (
            'slug = "qwen-4-coder"',
            'slug = "claude-opus-5-5"',
            "line 11: claude-opus-5-5: slug: it is there twice",
        ),
        ("262_144", '"big"', "line 5: qwen-4-coder: context_window: expected `int`, got `str`"),
        ("65_536", "300_000", "line 6: qwen-4-coder: max_output_tokens: expected 1 to the context window"),
        ('["tools"]', '["flying"]', "line 7: qwen-4-coder: capabilities: unknown capability flying"),
        ('"0.50"', "0.50", "line 8: qwen-4-coder: price.input: expected `str`, got `float`"),
        ('"0.50"', '"cheap"', "line 8: qwen-4-coder: price.input: 'cheap' is not an amount of USD"),
        ("input =", "inputs =", "line 8: qwen-4-coder: price.inputs: unknown field"),
        ('like = "claude-opus-4-8"', 'like = "claude-9"', "line 12: claude-opus-5-5: like: "),
        ('like = "claude-opus-4-8"', "wheels = 4", "line 12: claude-opus-5-5: wheels: unknown field"),
        ('"best"', '"*"', "line 16: alias of claude-opus-4-8: names: '*': this alias would match every name"),
        ('"best"', '"a b"', "line 16: alias of claude-opus-4-8: names: 'a b': an alias is a model name"),
        ('"coder"', '"BEST"', "line 21: alias of qwen-4-coder: names: 'BEST': it is there twice"),
        ('["coder"]', '"coder"', "line 21: alias of qwen-4-coder: names: expected `array`, got `str`"),
        ('["coder"]', "[]", "line 21: alias of qwen-4-coder: names: expected one at least"),
    ],
)
def test_a_wrong_line_is_told_with_its_model_and_field(old: str, new: str, told: str) -> None:
    assert GOOD.count(old) == 1
    found = problems(GOOD.replace(old, new))
    assert any(each.startswith(f"catalog.toml, {told}") for each in found), found


def test_every_problem_is_told_at_once() -> None:
    found = problems(GOOD.replace("262_144", "true").replace('"coder"', '"?"') + "\n[prices]\n")
    assert [re.sub(r"^catalog\.toml(, line (\d+))?.*", r"\2", each) for each in found] == ["", "5", "21"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[models]\n", r"not TOML: .*line 1"),
        ("models = 3\n", r"models: expected tables"),
        ("models = ['a']\n", r"models: expected tables"),
        ("[prices]\n", r"prices: unknown; there are \[\[models\]\] and \[\[aliases\]\]"),
        ("models = [{ slug = 'x' }]\n", r"^catalog\.toml: x: family: "),
    ],
)
def test_what_is_no_catalog_at_all(text: str, told: str) -> None:
    assert re.search(told, problems(text)[0])


@pytest.mark.parametrize("page", ["howto/add-models.md"])
def test_the_files_in_the_documents_are_good(page: str) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        read_catalog_file(page, block, SHIPPED)
