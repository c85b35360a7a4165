"""What a file says of itself is found, however it comes and whatever it is."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bytespike.media.probe.probe import SECONDS_MAX, SIDE_MAX, UNKNOWN_TYPE, Facts, Probe
from tests.support.video_files import FTYP, box, element, large_mp4, moov, mp4, webm


def picture(form: str, size: tuple[int, int] = (123, 45), mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, 7).save(file, form, **options)
    return file.getvalue()


def probed(data: bytes, step: int = 0) -> Facts:
    """`step`: bytes at a time, 0: all at once."""
    probe = Probe()
    for at in range(0, len(data), step or len(data) or 1):
        probe.feed(data[at : at + (step or len(data))])
    return probe.facts()


#: A large comment in front of the frame, as cameras and editors write them.
JPEG_WITH_HEADS = (
    b"\xff\xd8" + b"\xff\xe1\xff\xff" + bytes(65533) + b"\xff\xff\xfe\x00\x04hi" + picture("JPEG")[2:]
)

FILES = {
    "png": (picture("PNG"), Facts("image/png", 123, 45)),
    "jpeg": (picture("JPEG"), Facts("image/jpeg", 123, 45)),
    "progressive jpeg": (picture("JPEG", progressive=True), Facts("image/jpeg", 123, 45)),
    "jpeg with heads": (JPEG_WITH_HEADS, Facts("image/jpeg", 123, 45)),
    "gif": (picture("GIF", mode="P"), Facts("image/gif", 123, 45)),
    "lossy webp": (picture("WEBP"), Facts("image/webp", 123, 45)),
    "lossless webp": (picture("WEBP", lossless=True), Facts("image/webp", 123, 45)),
    "webp with alpha": (picture("WEBP", mode="RGBA"), Facts("image/webp", 123, 45)),
    "mp4": (mp4(), Facts("video/mp4", 1280, 720, 8.0)),
    "mp4, told last": (mp4(last=True), Facts("video/mp4", 1280, 720, 8.0)),
    "mp4, wide headers": (FTYP + moov(720, 1280, 4.04, wide=True), Facts("video/mp4", 720, 1280, 4.04)),
    "mp4, 64-bit sizes": (
        FTYP + box(b"mdat", bytes(99), large=True) + moov(640, 360, 2.5, large=True),
        Facts("video/mp4", 640, 360, 2.5),
    ),
    "mp4, turned": (FTYP + moov(1920, 1080, 6, turned=True), Facts("video/mp4", 1080, 1920, 6.0)),
    "mp4, movie's time": (FTYP + moov(64, 36, 3, track_told=False), Facts("video/mp4", 64, 36, 4.0)),
    "mp4 in fragments": (
        FTYP + moov(64, 36, 0, track_told=False, movie_told=False, fragments=7.5) + box(b"moof", bytes(9)),
        Facts("video/mp4", 64, 36, 7.5),
    ),
    "mp4 that does not say": (
        FTYP + moov(64, 36, 0, track_told=False, movie_told=False),
        Facts("video/mp4", 64, 36),
    ),
    "quicktime": (
        box(b"ftyp", b"qt  ", bytes(8)) + moov(64, 36, 1.25),
        Facts("video/quicktime", 64, 36, 1.25),
    ),
    "webm": (webm(), Facts("video/webm", 854, 480, 5.5)),
    "webm, other units": (webm(scale=20_000), Facts("video/webm", 854, 480, 5.5)),
    "webm, units not told": (webm(scale=None), Facts("video/webm", 854, 480, 5.5)),
    "webm, live": (webm(seconds=None, endless=True), Facts("video/webm", 854, 480)),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_tells_its_type_its_size_and_its_length(name: str) -> None:
    data, facts = FILES[name]
    assert probed(data) == facts


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("step", [1, 7, 4096])
def test_it_does_not_matter_how_a_file_is_cut(name: str, step: int) -> None:
    data, facts = FILES[name]
    assert probed(data, step) == facts


@pytest.mark.parametrize("name", FILES)
def test_what_is_appended_changes_nothing(name: str) -> None:
    data, facts = FILES[name]
    assert probed(data + b"\0and more" * 100, 4096) == facts


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_breaks_off_keeps_its_type_and_never_tells_another_size(name: str) -> None:
    data, facts = FILES[name]
    for length in range(0, min(len(data), 2000), 3):
        told = probed(data[:length])
        assert told.content_type in (facts.content_type, UNKNOWN_TYPE)
        assert (told.width, told.height) in (
            (0, 0),
            (facts.width, facts.height),
            (facts.width, 0),
            (0, facts.height),
        )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG",
        b"<html><script>alert(1)</script></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7 and the rest of it",
        b"RIFF\x00\x00\x00\x00AVI LIST and more",
        box(b"ftyp", b"avif", bytes(8)),
        b'{"error": "not found"}',
    ],
    ids=repr,
)
def test_what_is_not_known_is_bytes_and_nothing_else(data: bytes) -> None:
    assert probed(data) == Facts()


def test_a_name_says_nothing() -> None:
    """A page that calls itself a picture further on is not one."""
    assert probed(b"<!doctype html>" + picture("PNG")) == Facts()


#: Heads of all kinds, so that most of what is tried gets past the first bytes.
HEADS = st.sampled_from([data[:16] for data, _ in FILES.values()] + [FTYP + b"\0\0\1\0moov", webm()[:60]])


@given(HEADS, st.binary(max_size=300), st.integers(1, 64))
def test_no_bytes_make_it_fail(head: bytes, rest: bytes, step: int) -> None:
    facts = probed(head + rest, step)
    assert 0 <= facts.width <= SIDE_MAX
    assert 0 <= facts.height <= SIDE_MAX
    assert facts.duration_seconds is None or 0 < facts.duration_seconds <= SECONDS_MAX


def test_what_is_beyond_all_measure_is_not_told() -> None:
    huge = picture("PNG")[:16] + b"\xff" * 8
    assert probed(huge) == Facts("image/png")
    assert probed(FTYP + moov(64, 36, 1e9, scale=1, wide=True)) == Facts("video/mp4", 64, 36)
    assert probed(webm(seconds=float("inf"))) == Facts("video/webm", 854, 480)
    assert probed(webm(seconds=float("nan"))) == Facts("video/webm", 854, 480)


def test_boxes_within_boxes_without_end_are_given_up() -> None:
    nested = moov(64, 36, 1)
    for _ in range(50):
        nested = box(b"moov", nested)
    assert probed(FTYP + nested).content_type == "video/mp4"


def test_elements_within_elements_without_end_are_given_up() -> None:
    nested = element(b"\xb0", b"\x10")
    for _ in range(50):
        nested = element(b"\xae", nested)
    assert probed(webm()[:21] + nested).content_type == "video/webm"


def test_a_large_file_goes_past_without_being_kept() -> None:
    probe = Probe()
    tracemalloc.start()
    try:
        for piece in large_mp4(60):
            probe.feed(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert probe.facts() == Facts("video/mp4", 1920, 1080, 12.0)
    assert peak < 1024 * 1024
