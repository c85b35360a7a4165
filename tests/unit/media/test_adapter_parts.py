"""What the adapters share: forms, sizes of videos, and which adapter a channel's surface has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.catalog.load import load_models
from bytespike.media.adapter import RenderAdapter
from bytespike.media.adapters.frame_sizes import parse_ratio, ratio_of, resolution_of
from bytespike.media.adapters.multipart import FilePart, filename_of, form
from bytespike.media.adapters.registry import RENDERERS, surface_of
from bytespike.providers.platforms import MEDIA_SURFACES, PLATFORMS
from bytespike.providers.simulator import forms


@given(
    st.lists(st.tuples(st.sampled_from(["a", "prompt", "x[]"]), st.text(max_size=30)), max_size=4),
    st.lists(st.binary(max_size=200), max_size=3),
)
def test_a_form_is_read_as_it_was_written(fields: list[tuple[str, str]], files: list[bytes]) -> None:
    written = [FilePart("image[]", filename_of("image", "image/webp"), "image/webp", data) for data in files]
    content_type, body = form(fields, written)
    read = forms.read(content_type.decode(), body)
    texts = [
        (part.name, part.data.decode("utf-8", "surrogatepass")) for part in read if part.filename is None
    ]
    assert texts == fields
    assert [part.data for part in read if part.filename == "image.webp"] == files


def test_the_same_parts_are_the_same_bytes_and_hold_no_boundary() -> None:
    content_type, body = form([("prompt", "--boundary")])
    assert (content_type, body) == form([("prompt", "--boundary")])
    boundary = content_type.partition(b"boundary=")[2]
    assert body.count(boundary) == 2


@pytest.mark.parametrize("name", ['a"b', "a\r\nb", "a\0"])
def test_a_name_that_would_break_out_of_its_quotes_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="quote"):
        form([(name, "x")])
    with pytest.raises(ValueError, match="quote"):
        form([], [FilePart("a", name, "image/png", b"")])


def test_the_nearest_shape_and_resolution_are_found() -> None:
    assert ratio_of(1000, 990, ("16:9", "1:1", "adaptive", "")) == "1:1"
    assert ratio_of(10, 10, ("adaptive",)) == ""
    assert resolution_of(850, 480, ("480p", "720p", "huge")) == "480p"
    assert resolution_of(1, 1, ("huge",)) == ""


@pytest.mark.parametrize("text", ["", "16", "16:0", "a:b", "16:9:1", "adaptive", "٣:٤x"])
def test_what_is_no_shape_is_none(text: str) -> None:
    assert parse_ratio(text) is None


def test_every_video_model_has_an_adapter_on_a_surface_of_its_vendors_platform() -> None:
    for model in load_models():
        if model.kind == "video":
            surface = surface_of(PLATFORMS[model.platform].surfaces, model.media.surfaces)
            assert surface in RENDERERS, model.slug
            assert surface == model.media.surfaces[0], model.slug


def test_a_model_is_asked_where_it_can_be_best() -> None:
    assert (
        surface_of({"openai_videos", "ark_tasks", "openai_chat"}, ("ark_tasks", "openai_videos"))
        == "ark_tasks"
    )
    assert surface_of({"openai_videos"}, ("ark_tasks", "openai_videos")) == "openai_videos"
    assert surface_of({"openai_chat"}, ("ark_tasks", "openai_videos")) is None
    assert surface_of({"ark_images"}, ("ark_images",)) is None


def test_every_adapter_is_of_a_surface_that_there_is() -> None:
    assert set(RENDERERS) <= set(MEDIA_SURFACES)
    adapters: list[RenderAdapter] = list(RENDERERS.values())
    assert len(adapters) == 3
