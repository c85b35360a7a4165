"""Filters and pages of the model list."""

from __future__ import annotations

import pytest

from bytespike.catalog.listing import page, select
from bytespike.catalog.load import load_models
from bytespike.errors import InvalidRequest

MODELS = load_models()


def test_without_filters_every_model_is_listed_in_its_order() -> None:
    assert select(MODELS) == list(MODELS)


def test_every_capability_that_is_asked_for_must_be_there() -> None:
    both = {model.slug for model in select(MODELS, ["vision", "adaptive_thinking"])}
    assert both == {"claude-opus-4-8", "claude-opus-4-7", "claude-opus-4-6", "claude-sonnet-4-6"}


def test_family_and_capability_are_combined() -> None:
    assert [model.slug for model in select(MODELS, ["logprobs"], "GPT")] == ["gpt-4o", "gpt-4o-mini"]


def test_an_unknown_family_has_no_models() -> None:
    assert select(MODELS, family="llama") == []


def test_an_unknown_capability_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(InvalidRequest, match=r"unknown capability 'flight'.*vision") as caught:
        select(MODELS, ["flight"])
    assert caught.value.param == "capability"


def slugs(first: int, last: int) -> list[str]:
    return [model.slug for model in MODELS[first:last]]


@pytest.mark.parametrize("limit", [1, 7, len(MODELS), 1000])
def test_pages_after_each_other_give_the_whole_list(limit: int) -> None:
    seen: list[str] = []
    after = None
    while True:
        found = page(MODELS, limit, after_id=after)
        seen += [model.slug for model in found.models]
        if not found.has_more:
            break
        after = found.models[-1].slug
    assert seen == slugs(0, len(MODELS))


def test_a_page_before_a_model_ends_just_before_it() -> None:
    found = page(MODELS, 3, before_id=MODELS[5].slug)
    assert [model.slug for model in found.models] == slugs(2, 5)
    assert found.has_more
    first = page(MODELS, 10, before_id=MODELS[5].slug)
    assert [model.slug for model in first.models] == slugs(0, 5)
    assert not first.has_more


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 5, "after_id": "nope"}, "after_id"),
        ({"limit": 5, "before_id": "nope"}, "before_id"),
        ({"limit": 5, "after_id": "gpt-4o", "before_id": "gpt-4o"}, "before_id"),
    ],
)
def test_wrong_pages_are_refused(arguments: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        page(MODELS, **arguments)
    assert caught.value.param == param
