"""A model as an operator writes it: what it takes over, what it must say, and what is refused by its field."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
import pytest
from msgspec import structs

from bytespike.catalog.definition import (
    HOLD_TOKENS,
    ModelDefinition,
    WrongDefinition,
    build,
    check_apart,
    merged,
    read_stored,
    stored,
)
from bytespike.catalog.load import load_models
from bytespike.catalog.models import Model

SHIPPED = {model.slug: model for model in load_models()}
#: 2026-11-21, some time after noon.
NOW_S = 1_795_267_000
MIDNIGHT_S = NOW_S - NOW_S % 86_400

WHOLE: dict[str, Any] = {
    "slug": "qwen-4-coder",
    "family": "qwen",
    "context_window": 262_144,
    "max_output_tokens": 65_536,
    "capabilities": ["tools", "vision", "documents"],
    "price": {"input": "0.50", "output": "2.00"},
}


def definition(**values: Any) -> ModelDefinition:
    return msgspec.convert(values, ModelDefinition)


def built(**values: Any) -> Model:
    return build(definition(**values), SHIPPED, NOW_S)


def refused(**values: Any) -> WrongDefinition:
    with pytest.raises(WrongDefinition) as caught:
        built(**values)
    return caught.value


def test_a_model_of_an_unknown_family_says_little_and_gets_careful_defaults() -> None:
    model = built(**WHOLE)
    assert (model.kind, model.vendor, model.vendor_id, model.display_name) == (
        "text",
        "qwen",
        "qwen-4-coder",
        "qwen-4-coder",
    )
    assert model.created == MIDNIGHT_S
    assert model.hold_output_tokens == HOLD_TOKENS
    assert model.limits == "assumed"
    assert model.input_modalities == ("text", "image", "pdf")
    assert model.protocols == ("openai_chat",)
    # The cache saves nothing until somebody says what it saves.
    assert (model.rates.cache_read, model.rates.cache_write_5m, model.rates.cache_write_1h) == (500_000,) * 3


def test_a_model_of_a_known_family_is_its_vendors() -> None:
    model = built(**{**WHOLE, "family": "claude"})
    kin = SHIPPED["claude-opus-4-8"]
    assert (model.vendor, model.platform, model.protocols) == (kin.vendor, kin.platform, kin.protocols)
    assert model.published == kin.published


def test_a_model_like_another_takes_what_it_does_not_say() -> None:
    model = built(slug="claude-opus-5-5", like="claude-opus-4-8", price={"output": "30.00"})
    like = SHIPPED["claude-opus-4-8"]
    assert model.rates == structs.replace(like.rates, output=30_000_000)
    assert (model.capabilities, model.context_window) == (like.capabilities, like.context_window)
    # It is another model all the same.
    assert (model.vendor_id, model.display_name, model.created) == (
        "claude-opus-5-5",
        "claude-opus-5-5",
        MIDNIGHT_S,
    )


def test_a_video_model_like_another_keeps_its_table() -> None:
    model = built(slug="veo4", like="veo3-1", submit_fee="0.10")
    assert model.video is not None
    assert (model.video.submit_fee, model.video.seconds) == (100_000, SHIPPED["veo3-1"].video.seconds)


def test_a_model_of_the_package_is_changed_where_the_definition_says_so() -> None:
    model = built(slug="gpt-5-5", context_window=2_000_000)
    assert model == structs.replace(SHIPPED["gpt-5-5"], context_window=2_000_000)


def test_a_smaller_answer_holds_less() -> None:
    assert built(slug="gpt-5-5", max_output_tokens=1_000).hold_output_tokens == 1_000


def test_a_definition_survives_being_stored() -> None:
    written = definition(**WHOLE, created=datetime.date(2026, 3, 1))
    values = stored(written)
    assert msgspec.json.decode(msgspec.json.encode(values)) == values
    assert read_stored(values) == written
    assert values["created"] == "2026-03-01"


def test_a_change_replaces_fields_and_single_rates() -> None:
    changed = merged(
        definition(**WHOLE), definition(slug="qwen-4-coder", price={"output": "3.00"}, vendor_id="qwen4")
    )
    assert stored(changed)["price"] == {"input": "0.50", "output": "3.00"}
    assert changed.vendor_id == "qwen4"
    assert changed.context_window == 262_144


@pytest.mark.parametrize(
    "missing", ["context_window", "max_output_tokens", "capabilities", "price", "family"]
)
def test_a_new_model_says_what_nobody_can_guess(missing: str) -> None:
    assert refused(**{name: value for name, value in WHOLE.items() if name != missing}).field == missing


@pytest.mark.parametrize(
    ("field", "value", "wrong"),
    [
        ("slug", "Qwen 4", "slug"),
        ("slug", "qwen.4", "slug"),
        ("slug", "", "slug"),
        ("like", "gpt-77", "like"),
        ("context_window", 0, "context_window"),
        ("max_output_tokens", 262_145, "max_output_tokens"),
        ("hold_output_tokens", 65_537, "hold_output_tokens"),
        ("capabilities", ["flying"], "capabilities"),
        ("input_modalities", ["smell"], "input_modalities"),
        ("protocols", ["telex"], "protocols"),
        ("protocols", [], "protocols"),
        ("published", ["telex"], "published"),
        ("vendor_id", "", "vendor_id"),
        ("display_name", "a\nb", "display_name"),
        ("price", {"input": "1"}, "price.output"),
        ("price", {"input": "1,5", "output": "1"}, "price.input"),
        ("price", {"input": "0.0000001", "output": "1"}, "price.input"),
        ("images", [{"price": "x"}], "images"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(field: str, value: Any, wrong: str) -> None:
    assert refused(**{**WHOLE, field: value}).field == wrong


@pytest.mark.parametrize(("kind", "field"), [("image", "output_modalities"), ("video", "output_modalities")])
def test_a_model_that_makes_images_or_videos_says_what_it_makes(kind: str, field: str) -> None:
    assert refused(slug="new-one", family="new", kind=kind, capabilities=[]).field == field


def test_a_model_stays_what_it_was_when_the_package_gets_one_of_that_name() -> None:
    values = {"like": "gpt-4o", "price": {"output": "3.00"}}
    before = built(slug="gpt-6", **values)
    grown = {**SHIPPED, "gpt-6": structs.replace(SHIPPED["gpt-5-5"], slug="gpt-6")}
    assert build(definition(slug="gpt-6", **values), grown, NOW_S) == before


def test_two_models_whose_names_differ_in_dashes_alone_are_refused() -> None:
    with pytest.raises(WrongDefinition, match="gpt-55 and gpt-5-5 differ"):
        check_apart("gpt-55", SHIPPED)
    check_apart("gpt-5-5", SHIPPED)
