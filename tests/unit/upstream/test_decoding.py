"""Compressed bodies, cut anywhere, broken, and larger than they look."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.upstream.decoding import BadEncoding, Inflater, inflater_for


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


ENCODERS = {b"gzip": gzip.compress, b"deflate": zlib.compress, b"raw": raw_deflate}


def inflate(inflater: Inflater, data: bytes, cuts: list[int], size: int) -> bytes:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    out = b""
    for start, end in pairwise(edges):
        inflater.feed(data[start:end])
        while piece := inflater.take(size):
            assert len(piece) <= size
            out += piece
    inflater.finish()
    return out


@given(
    st.sampled_from(sorted(ENCODERS)),
    st.one_of(st.binary(max_size=300), st.integers(0, 5000).map(lambda n: b"ab" * n)),
    st.lists(st.integers(0, 1000), max_size=5),
    st.integers(1, 500),
)
def test_what_was_encoded_comes_back_however_it_is_cut(encoding, data, cuts, size):
    inflater = Inflater(gzip=encoding == b"gzip")
    assert inflate(inflater, ENCODERS[encoding](data), cuts, size) == data


def test_gzip_may_have_several_members_and_deflate_may_not():
    assert (
        inflate(Inflater(gzip=True), gzip.compress(b"one") + gzip.compress(b"two"), [5, 25], 100) == b"onetwo"
    )
    with pytest.raises(BadEncoding):
        inflate(Inflater(gzip=False), zlib.compress(b"one") + zlib.compress(b"two"), [], 100)
    with pytest.raises(BadEncoding):
        inflate(Inflater(gzip=True), gzip.compress(b"") * 1000, [], 100)


@pytest.mark.parametrize("encoding", sorted(ENCODERS))
def test_every_truncation_is_noticed(encoding):
    data = ENCODERS[encoding](b"hello hello hello")
    for cut in range(1, len(data)):
        with pytest.raises(BadEncoding):
            inflate(Inflater(gzip=encoding == b"gzip"), data[:cut], [], 100)


def test_an_empty_body_is_whole():
    assert inflate(Inflater(gzip=True), b"", [], 100) == b""


def test_garbage_and_garbage_behind_are_noticed():
    for data in (b"not gzip at all", gzip.compress(b"x") + b"garbage"):
        with pytest.raises(BadEncoding):
            inflate(Inflater(gzip=True), data, [], 100)


def test_the_encodings_that_are_known():
    assert inflater_for(b"identity") is None
    assert inflater_for(b"") is None
    for known in (b"gzip", b" GZip ", b"x-gzip", b"deflate"):
        assert isinstance(inflater_for(known), Inflater)
    for unknown in (b"br", b"zstd", b"gzip, br", b"gzip,gzip"):
        with pytest.raises(BadEncoding):
            inflater_for(unknown)
