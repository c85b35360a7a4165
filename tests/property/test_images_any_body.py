"""Whatever a client or a provider of images says, the answer is an order, a drawing or one of our own errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytespike.catalog.load import load_models
from bytespike.core.json_types import JSON
from bytespike.errors import GatewayError, InvalidRequest
from bytespike.media.drawing import Drawing, Partial
from bytespike.media.images.parts import DRAWERS
from bytespike.media.order import Order
from bytespike.media.pictures import MEMBERS
from bytespike.media.rules import read_order
from bytespike.media.sizes import CLASSES, misfit
from bytespike.wire.json import encode

MODELS = {model.slug: model for model in load_models() if model.kind == "image"}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WORDS = st.sampled_from(
    [
        *(
            "",
            "auto",
            "high",
            "hd",
            "png",
            "webp",
            "transparent",
            "true",
            "3",
            "-1",
            "1024x1024",
            "99999x1",
            "16:9",
        ),
        *CLASSES,
        "data:image/png;base64," + PNG,
        "data:image/png;base64",
        "https://example.com/a.png",
        PNG,
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers()
    | st.floats()
    | WORDS
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["url", "image_url", "b64_json", "max_images", "x"]), inner, max_size=2
        )
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        *MEMBERS,
        *(
            "n",
            "size",
            "aspect_ratio",
            "quality",
            "style",
            "background",
            "output_format",
            "output_compression",
            "seed",
        ),
        *(
            "negative_prompt",
            "watermark",
            "stream",
            "partial_images",
            "user",
            "moderation",
            "seconds",
            "audio",
        ),
        *("sequential_image_generation", "sequential_image_generation_options", "resolution"),
    ]
) | st.text(max_size=8)


@given(st.sampled_from(sorted(MODELS)), st.dictionaries(NAMES, VALUES, max_size=6))
@settings(max_examples=400)
def test_any_request_is_an_order_within_the_models_limits_or_refused(
    slug: str, params: dict[str, JSON]
) -> None:
    model = MODELS[slug]
    limits = model.media
    try:
        order = read_order(model, {**params, "prompt": "a cat"}, "image")
    except InvalidRequest as refused:
        assert refused.message
        return
    assert isinstance(order, Order)
    assert 1 <= order.n <= max(limits.n_max, 15)
    assert sum(picture.role == "reference" for picture in order.pictures) <= limits.references_max
    assert order.quality in ("", *limits.qualities)
    assert order.partial_images <= limits.partial_images_max
    if order.width and limits.pixels_max:
        assert misfit(order.width, order.height, limits) == ""
    assert all(notice.isascii() and "\n" not in notice for notice in order.notices)
    encode(order)


@given(
    st.sampled_from(sorted(DRAWERS)),
    st.sampled_from(sorted(MODELS)),
    st.dictionaries(NAMES, VALUES, max_size=4),
)
def test_whatever_was_ordered_can_be_put_to_every_provider(
    surface: str, slug: str, params: dict[str, JSON]
) -> None:
    try:
        order = read_order(MODELS[slug], {**params, "prompt": "a cat"}, "image")
        asked = DRAWERS[surface].ask(order, "upstream-model")
    except GatewayError:
        return
    assert 1 <= len(asked.calls) <= order.n
    for call in asked.calls:
        assert call.body
        if dict(call.headers)[b"content-type"] == b"application/json":
            json.loads(call.body)


@pytest.mark.parametrize("surface", sorted(DRAWERS))
@given(
    answer=VALUES
    | st.dictionaries(
        st.sampled_from(
            ["data", "candidates", "choices", "error", "usage", "usageMetadata", "promptFeedback", "size"]
        ),
        VALUES
        | st.lists(
            st.dictionaries(
                st.sampled_from(["b64_json", "url", "content", "message", "finishReason", "error", "size"]),
                VALUES,
                max_size=3,
            ),
            max_size=3,
        ),
        max_size=4,
    )
)
def test_any_answer_is_a_drawing_or_an_error(surface: str, answer: Any) -> None:
    try:
        found = DRAWERS[surface].read(json.dumps(answer, allow_nan=False).encode())
    except (GatewayError, ValueError) as error:
        assert isinstance(error, GatewayError) or "JSON compliant" in str(error)
        return
    assert isinstance(found, Drawing)
    assert found.images


@pytest.mark.parametrize("surface", sorted(DRAWERS))
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_drawing_or_an_error(surface: str, data: bytes) -> None:
    adapter = DRAWERS[surface]
    with pytest.raises(GatewayError):
        adapter.read(data)
    assert isinstance(adapter.refused(400, {}, data), GatewayError)


@pytest.mark.parametrize("surface", ["openai_images", "ark_images"])
@given(events=st.lists(VALUES, max_size=4), cut=st.integers(1, 50))
def test_any_stream_ends_in_a_step_of_its_kind(surface: str, events: list[Any], cut: int) -> None:
    reader = DRAWERS[surface].reader()
    assert reader is not None
    data = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    steps = [step for at in range(0, len(data), cut) for step in reader.feed(data[at : at + cut])]
    steps += reader.end()
    assert all(isinstance(step, Partial | Drawing | GatewayError) for step in steps)
    assert sum(isinstance(step, GatewayError) for step in steps) <= 1
