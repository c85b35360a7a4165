"""However a name is dressed up, it means the same model; and no name at all breaks the catalog."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bytespike.catalog.load import Alias
from bytespike.catalog.names import NAME_CHARS_MAX, bare, dashed, without_prefix
from bytespike.catalog.resolve import load_catalog
from bytespike.errors import ModelNotFound

CATALOG = load_catalog()
PREFIXES = ("", "models/", "anthropic/", "OpenAI/", "publishers/google/models/")


@st.composite
def dressed(draw: st.DrawFn) -> tuple[str, str]:
    """A slug, and the same slug with other separators, case and prefix."""
    slug = draw(st.sampled_from(sorted(CATALOG.models)))
    name = "".join(
        draw(st.sampled_from("-._")) if char == "-" else draw(st.sampled_from((char, char.upper())))
        for char in slug
    )
    return slug, draw(st.sampled_from(PREFIXES)) + name


@given(dressed())
def test_separators_case_and_prefix_make_no_difference(pair: tuple[str, str]) -> None:
    slug, name = pair
    resolution = CATALOG.resolve(name)
    assert resolution.model.slug == slug
    assert resolution.requested == name


@given(st.text(max_size=NAME_CHARS_MAX + 20))
@settings(max_examples=300)
def test_any_text_resolves_or_is_not_found(name: str) -> None:
    try:
        outcome = CATALOG.resolve(name).requested
    except ModelNotFound as error:
        outcome = error
    assert outcome == name or (isinstance(outcome, ModelNotFound) and len(outcome.message) < 300)


@given(st.text(max_size=50))
def test_the_forms_of_a_name_are_stable(name: str) -> None:
    assert dashed(dashed(name)) == dashed(name)
    assert bare(bare(name)) == bare(name)
    stripped = without_prefix(name, frozenset({"models"}))
    assert without_prefix(stripped, frozenset({"models"})) == stripped


@given(
    st.lists(st.text(alphabet="ab*?-", min_size=1, max_size=8), max_size=5),
    st.text(alphabet="ab-", max_size=10),
)
def test_the_order_of_the_operators_rows_makes_no_difference(patterns: list[str], name: str) -> None:
    models = sorted(CATALOG.models)
    rows = [Alias(pattern, models[index]) for index, pattern in enumerate(dict.fromkeys(patterns))]
    # Two spellings of one pattern are one row's worth: which of them wins is not the question here.
    if len({dashed(row.pattern) for row in rows}) < len(rows) or len(
        {bare(row.pattern) for row in rows}
    ) < len(rows):
        return
    found = []
    for order in (rows, rows[::-1]):
        try:
            found.append(CATALOG.with_overrides(aliases=order).resolve(name).model.slug)
        except ModelNotFound:
            found.append(None)
    assert found[0] == found[1]
