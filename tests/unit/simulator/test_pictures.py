"""The simulator's pictures are real, and the same each time."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from bytespike.providers.simulator.pictures import MediaType, NotAPicture, Picture, draw, look

TYPES: tuple[MediaType, ...] = ("image/png", "image/jpeg", "image/webp")


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (64, 64), (1024, 1536), (1470, 630)])
def test_a_picture_has_the_type_and_the_size_that_were_asked_for(
    media_type: MediaType, width: int, height: int
) -> None:
    data = draw(Picture("a cat", width, height, media_type), b"7")
    seen = look(data)
    assert (seen.media_type, seen.width, seen.height, seen.transparent) == (media_type, width, height, False)
    with Image.open(io.BytesIO(data)) as image:
        image.load()


@pytest.mark.parametrize("media_type", TYPES)
def test_the_same_words_give_the_same_bytes_and_others_do_not(media_type: MediaType) -> None:
    picture = Picture("a cat", 64, 64, media_type)
    assert draw(picture, b"7") == draw(picture, b"7")
    assert draw(picture, b"7") != draw(picture, b"8")
    assert draw(picture, b"7") != draw(Picture("a dog", 64, 64, media_type), b"7")


def test_a_transparent_ground_is_transparent() -> None:
    data = draw(Picture("a cat", 64, 64, transparent=True), b"7")
    assert look(data).transparent
    with Image.open(io.BytesIO(data)) as image:
        assert image.getchannel("A").getextrema() == (0, 255)


def test_a_partial_picture_is_coarser_than_the_finished_one() -> None:
    lines: list[int] = []
    for clarity in (0.1, 0.4, 1.0):
        with Image.open(io.BytesIO(draw(Picture("a cat", 512, 512, clarity=clarity), b"7"))) as image:
            pixels = image.convert("RGB").tobytes()
        lines.append(len({pixels[at : at + 3 * 512] for at in range(0, len(pixels), 3 * 512)}))
    assert lines[0] <= 52 < lines[1] <= 205 < lines[2]


def test_a_lower_quality_is_smaller() -> None:
    small, large = (
        len(draw(Picture("a", 512, 512, "image/jpeg", quality=quality), b"")) for quality in (10, 95)
    )
    assert small < large


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"<svg/>", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(NotAPicture):
        look(data)


@pytest.mark.parametrize(("width", "height"), [(0, 1), (1, -1), (20_000, 20_000)])
def test_a_size_that_is_not_drawn_is_refused(width: int, height: int) -> None:
    with pytest.raises(ValueError, match="not drawn"):
        draw(Picture("a", width, height), b"")
