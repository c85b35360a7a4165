"""The simulator's films are real: the file's index leads to its pictures, and the pictures are H.264 that shows what it should."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest

from bytespike.media.probe.probe import Facts, Probe
from bytespike.providers.simulator.films import FRAMES_PER_SECOND, Clip, make
from tests.support.h264_pictures import Stream, box, boxes, configuration, decode


def file_of(clip: Clip, seed: bytes = b"7") -> bytes:
    film = make(clip, seed)
    data = b"".join(film.chunks())
    assert len(data) == film.length
    return data


def played(data: bytes) -> Stream:
    """What a player makes of a file: the index is followed, every sample is decoded."""
    stbl = box(data, b"moov", b"trak", b"mdia", b"minf", b"stbl")
    stsd = box(stbl, b"stsd")
    ((kind, avc1),) = boxes(stsd[8:])
    assert kind == b"avc1"
    ((kind, avcc),) = boxes(avc1[78:])
    assert kind == b"avcC"
    stream = configuration(avcc)
    assert struct.unpack_from(">HH", avc1, 24) == (stream.width, stream.height)
    _, _, count, *sizes = struct.unpack(f">{len(box(stbl, b'stsz')) // 4}I", box(stbl, b"stsz"))
    assert count == len(sizes)
    assert struct.unpack(">IIII", box(stbl, b"stsc")[4:]) == (1, 1, count, 1)
    _, entries, samples, ticks = struct.unpack(">IIII", box(stbl, b"stts"))
    assert (entries, samples, ticks) == (1, count, 1)
    (start,) = struct.unpack(">I", box(stbl, b"stco")[8:])
    ends = [start]
    for size in sizes:
        ends.append(ends[-1] + size)
    decode(stream, (data[begin:end] for begin, end in pairwise(ends)))
    return stream


@pytest.mark.parametrize(("width", "height"), [(64, 48), (48, 80), (50, 34), (16, 16), (2, 2), (1280, 720)])
def test_a_film_is_as_large_and_as_long_as_ordered(width: int, height: int) -> None:
    stream = played(file_of(Clip("a cat", width, height, 2)))
    assert (stream.width, stream.height) == (width, height)
    assert len(stream.pictures) == 2 * FRAMES_PER_SECOND


def test_the_picture_goes_on_from_its_first_lines_to_the_bottom() -> None:
    stream = played(file_of(Clip("a cat", 64, 64, 1)))
    picture = stream.pictures[0]
    line = picture[15 * 64 : 16 * 64]
    assert len(set(line)) > 2
    assert all(picture[row * 64 : (row + 1) * 64] == line for row in range(16, 64))
    assert picture[: 15 * 64] != line * 15
    assert all(16 <= sample <= 235 for sample in picture)


def test_something_moves_each_second_and_nothing_within_it() -> None:
    pictures = played(file_of(Clip("a cat", 128, 64, 3))).pictures
    seconds = [set(pictures[at : at + FRAMES_PER_SECOND]) for at in range(0, 72, FRAMES_PER_SECOND)]
    assert [len(second) for second in seconds] == [1, 1, 1]
    assert len(set.union(*seconds)) == 3


def test_every_second_can_be_jumped_to() -> None:
    stss = box(file_of(Clip("a", 32, 32, 3)), b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stss")
    assert struct.unpack(">IIIII", stss)[1:] == (3, 1, 25, 49)


def test_the_gateways_own_reader_finds_the_same_in_it() -> None:
    probe = Probe()
    probe.feed(file_of(Clip("a cat", 1280, 720, 8)))
    assert probe.facts() == Facts("video/mp4", 1280, 720, 8.0)


def test_the_same_words_give_the_same_bytes_and_others_do_not() -> None:
    clip = Clip("a cat", 64, 48, 1)
    assert file_of(clip) == file_of(clip)
    assert file_of(clip) != file_of(Clip("a dog", 64, 48, 1))
    assert file_of(clip) != file_of(clip, b"8")


@pytest.mark.parametrize("file_bytes", [1, 100_000, 100_001, 3_000_000])
def test_a_film_weighs_what_was_asked_for_and_plays_all_the_same(file_bytes: int) -> None:
    data = file_of(Clip("a cat", 64, 48, 1, file_bytes))
    plain = file_of(Clip("a cat", 64, 48, 1))
    assert len(data) == max(file_bytes, len(plain))
    assert [kind for kind, _ in boxes(data)][:3] == [b"ftyp", b"moov", b"mdat"]
    assert len(played(data).pictures) == FRAMES_PER_SECOND


def test_a_heavy_film_never_stands_in_memory_whole() -> None:
    film = make(Clip("a cat", 64, 48, 1, 60_000_000), b"")
    assert film.length == 60_000_000
    assert len(film.pictures) < 100_000
    assert max(map(len, film.chunks())) <= 64 * 1024


@pytest.mark.parametrize(("width", "height", "seconds"), [(63, 48, 1), (64, 0, 1), (64, 48, 0), (64, 48, 61)])
def test_what_cannot_be_filmed_is_refused(width: int, height: int, seconds: int) -> None:
    with pytest.raises(ValueError, match="film"):
        make(Clip("a", width, height, seconds), b"")
