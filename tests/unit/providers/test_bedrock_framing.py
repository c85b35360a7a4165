"""AWS's event stream: read whole, byte by byte, cut short, with trailing data, and broken in every way."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.providers.bedrock.framing import BrokenFrame, FrameReader, Message, message_bytes
from bytespike.wire.limits import EVENT_BYTES_MAX

PAYLOAD = b"{'foo':'bar'}"
# What AWS's own libraries are tested with: bytes, headers, payload.
PUBLISHED = {
    "empty_message": ("000000100000000005c248eb7d98c8ff", {}, b""),
    "payload_no_headers": ("0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936", {}, PAYLOAD),
    "payload_one_str_header": (
        "0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e"
        "7b27666f6f273a27626172277d8d9c08b1",
        {"content-type": "application/json"},
        PAYLOAD,
    ),
    "int32_header": (
        "0000002d0000001041c424b80a6576656e742d74797065040000a00c7b27666f6f273a27626172277d36f480a0",
        {"event-type": 40972},
        PAYLOAD,
    ),
}


def read(*pieces: bytes) -> list[Message]:
    reader = FrameReader()
    found = []
    for piece in pieces:
        reader.feed(piece)
        while (message := reader.next()) is not None:
            found.append(message)
    assert reader.pending == 0
    return found


def sealed(headers: bytes, payload: bytes = b"") -> bytes:
    """A message with right checksums around any bytes."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def broken(data: bytes) -> str:
    reader = FrameReader()
    reader.feed(data)
    with pytest.raises(BrokenFrame) as caught:
        reader.next()
    return str(caught.value)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_messages_are_read(name: str) -> None:
    raw, headers, payload = PUBLISHED[name]
    assert read(bytes.fromhex(raw)) == [Message(headers, payload)]


@pytest.mark.parametrize("name", ["empty_message", "payload_no_headers", "payload_one_str_header"])
def test_what_is_written_are_the_published_bytes(name: str) -> None:
    raw, headers, payload = PUBLISHED[name]
    assert message_bytes(headers, payload) == bytes.fromhex(raw)


def test_every_type_of_value_is_read() -> None:
    uuid = bytes(range(16))
    block = b"".join(
        (
            *(b"\x01a\x00", b"\x01b\x01", b"\x01c\x02\xff", b"\x01d\x03" + struct.pack(">h", -2)),
            *(b"\x01e\x04" + struct.pack(">i", -3), b"\x01f\x05" + struct.pack(">q", -4)),
            *(b"\x01g\x06\x00\x02\x00\xff", b"\x01h\x07\x00\x02\xc3\xa9"),
            *(b"\x01i\x08" + struct.pack(">q", 1_700_000_000_000), b"\x01j\x09" + uuid),
        )
    )
    (message,) = read(sealed(block))
    assert message.headers == {
        **{"a": True, "b": False, "c": -1, "d": -2, "e": -3, "f": -4},
        **{"g": b"\x00\xff", "h": "é", "i": 1_700_000_000_000, "j": uuid},
    }
    assert message.text("h") == "é"
    assert message.text("a") == message.text("none") == ""


STREAM = b"".join(bytes.fromhex(raw) for raw, _, _ in PUBLISHED.values())


def test_a_stream_is_the_same_however_it_is_cut() -> None:
    whole = read(STREAM)
    assert len(whole) == len(PUBLISHED)
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == whole
    for step in (2, 3, 7, 11, 12, 13, 29, 61):
        assert read(*(STREAM[at : at + step] for at in range(0, len(STREAM), step))) == whole


@pytest.mark.parametrize("cut", range(1, 61))
def test_a_message_that_is_cut_short_is_none_and_is_pending(cut: int) -> None:
    data = bytes.fromhex(PUBLISHED["payload_one_str_header"][0])
    reader = FrameReader()
    reader.feed(data[:cut])
    assert reader.next() is None
    assert reader.pending == cut


def test_every_flipped_bit_is_noticed() -> None:
    data = bytes.fromhex(PUBLISHED["payload_one_str_header"][0])
    for at in range(len(data)):
        for bit in range(8):
            wrong = bytearray(data)
            wrong[at] ^= 1 << bit
            assert "checksum" in broken(bytes(wrong)), (at, bit)


def test_what_follows_a_whole_message_is_not_part_of_it() -> None:
    reader = FrameReader()
    reader.feed(bytes.fromhex(PUBLISHED["payload_no_headers"][0]) + b"\x00\x00")
    assert reader.next() == Message({}, PAYLOAD)
    assert reader.next() is None
    assert reader.pending == 2


def test_a_broken_message_stays_broken() -> None:
    reader = FrameReader()
    reader.feed(b"\xff" * 12)
    for _ in range(2):
        with pytest.raises(BrokenFrame):
            reader.next()
        reader.feed(b"\xff")


@pytest.mark.parametrize(
    ("length", "headers"), [(15, 0), (0, 0), (32, 17), (200_000, 131_073), (16, 0xFFFFFFFF)]
)
def test_impossible_lengths_are_refused_before_anything_is_waited_for(length: int, headers: int) -> None:
    prelude = struct.pack(">II", length, headers)
    assert "impossible" in broken(prelude + struct.pack(">I", zlib.crc32(prelude)))


def test_a_message_over_the_bound_is_refused_before_it_is_gathered() -> None:
    prelude = struct.pack(">II", EVENT_BYTES_MAX + 1, 0)
    assert str(EVENT_BYTES_MAX) in broken(prelude + struct.pack(">I", zlib.crc32(prelude)))


@pytest.mark.parametrize(
    "block",
    [
        b"\x05ab",
        b"\x01a",
        b"\x01a\x07\x00",
        b"\x01a\x07\x00\x05ab",
        b"\x01a\x09" + bytes(15),
        b"\x01a\x0a",
        b"\x01\xff\x00",
        b"\x01a\x07\x00\x01\xff",
        b"\x01a\x04\x00",
    ],
)
def test_headers_that_are_none_are_refused(block: bytes) -> None:
    assert "header" in broken(sealed(block))


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise_anything_else(data: bytes) -> None:
    reader = FrameReader()
    reader.feed(data)
    try:
        while reader.next() is not None:
            pass
    except BrokenFrame:
        pass


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_nor_do_any_headers_with_right_checksums(block: bytes, payload: bytes) -> None:
    reader = FrameReader()
    reader.feed(sealed(block, payload))
    try:
        message = reader.next()
    except BrokenFrame:
        return
    assert message is not None
    assert message.payload == payload
