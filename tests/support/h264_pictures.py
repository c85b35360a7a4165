"""Reads the H.264 that the simulator writes, from ITU-T H.264 and from nothing of the simulator's: parameter sets, slice headers,
I_PCM and vertical Intra_16x16 macroblocks without coefficients, skipped pictures. Whatever else there is, is an error."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field


class Bits:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def u(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | (self.data[self.at >> 3] >> (7 - (self.at & 7))) & 1
            self.at += 1
        return value

    def ue(self) -> int:
        zeros = 0
        while not self.u(1):
            zeros += 1
            assert zeros < 32
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)

    def align(self) -> None:
        while self.at & 7:
            assert self.u(1) == 0, "pcm_alignment_zero_bit"

    def raw(self, count: int) -> bytes:
        assert self.at & 7 == 0
        start = self.at >> 3
        self.at += 8 * count
        return self.data[start : start + count]

    def trailing(self) -> None:
        """rbsp_trailing_bits, and nothing behind them."""
        assert self.u(1) == 1
        while self.at & 7:
            assert self.u(1) == 0
        assert self.at == 8 * len(self.data)


def unescaped(nal: bytes) -> bytes:
    out = bytearray()
    zeros = 0
    for byte in nal:
        if zeros == 2 and byte == 3:
            zeros = 0
            continue
        assert not (zeros == 2 and byte < 3), "a start code inside of a unit"
        zeros = zeros + 1 if byte == 0 else 0
        out.append(byte)
    return bytes(out)


@dataclass
class Stream:
    """What the parameter sets say."""

    across: int
    down: int
    width: int
    height: int
    frame_num_bits: int
    pictures: list[bytes] = field(default_factory=list)


def configuration(avcc: bytes) -> Stream:
    """An avcC box's body."""
    assert avcc[0] == 1
    assert avcc[4:6] == b"\xff\xe1"
    (length,) = struct.unpack_from(">H", avcc, 6)
    sps = avcc[8 : 8 + length]
    at = 8 + length
    assert avcc[at] == 1
    (pps_length,) = struct.unpack_from(">H", avcc, at + 1)
    pps = avcc[at + 3 :]
    assert len(pps) == pps_length
    assert avcc[1:4] == sps[1:4]
    _check_pps(Bits(unescaped(pps)))
    return _sps(Bits(unescaped(sps)))


def _sps(bits: Bits) -> Stream:
    assert bits.u(8) == 0x67
    assert bits.u(8) == 66
    assert bits.u(8) & 0x03 == 0
    level = bits.u(8)
    assert bits.ue() == 0
    frame_num_bits = bits.ue() + 4
    assert bits.ue() == 2, "pic_order_cnt_type"
    assert bits.ue() == 1, "max_num_ref_frames"
    assert bits.u(1) == 0
    across, down = bits.ue() + 1, bits.ue() + 1
    assert across * down <= {31: 3600, 40: 8192, 50: 22_080, 51: 36_864}[level]
    assert bits.u(2) == 0b11, "frame_mbs_only_flag, direct_8x8_inference_flag"
    left = right = top = bottom = 0
    if bits.u(1):
        left, right, top, bottom = (2 * bits.ue() for _ in range(4))
    assert bits.u(1) == 0, "vui_parameters_present_flag"
    bits.trailing()
    return Stream(across, down, 16 * across - left - right, 16 * down - top - bottom, frame_num_bits)


def _check_pps(bits: Bits) -> None:
    assert bits.u(8) == 0x68
    assert (bits.ue(), bits.ue()) == (0, 0)
    assert bits.u(2) == 0, "entropy_coding_mode_flag, bottom_field_pic_order_in_frame_present_flag"
    assert (bits.ue(), bits.ue(), bits.ue()) == (0, 0, 0), "slice groups, reference indices"
    assert bits.u(3) == 0, "weighted prediction"
    assert (bits.se(), bits.se(), bits.se()) == (0, 0, 0), "qp, qs, chroma offset"
    assert bits.u(3) == 0b100, "deblocking control, constrained intra, redundant pictures"
    bits.trailing()


def decode(stream: Stream, samples: Iterator[bytes]) -> None:
    """Appends the luma of each sample's picture, uncropped, row by row."""
    idr_id, expected = None, 0
    for sample in samples:
        (length,) = struct.unpack_from(">I", sample)
        assert len(sample) == 4 + length, "one unit a sample"
        bits = Bits(unescaped(sample[4:]))
        kind = bits.u(8)
        assert bits.ue() == 0, "first_mb_in_slice"
        if kind == 0x65:
            assert bits.ue() == 7
            assert bits.ue() == 0
            assert bits.u(stream.frame_num_bits) == 0
            new = bits.ue()
            assert new != idr_id, "two IDR pictures in a row have one idr_pic_id"
            idr_id, expected = new, 1
            assert bits.u(2) == 0
            assert bits.se() == 0
            assert bits.ue() == 1, "disable_deblocking_filter_idc"
            stream.pictures.append(_intra(stream, bits))
        else:
            assert kind == 0x41
            assert bits.ue() == 5
            assert bits.ue() == 0
            assert bits.u(stream.frame_num_bits) == expected % (1 << stream.frame_num_bits)
            expected += 1
            assert bits.u(3) == 0, "override, reordering, marking"
            assert bits.se() == 0
            assert bits.ue() == 1
            assert bits.ue() == stream.across * stream.down, "mb_skip_run"
            stream.pictures.append(stream.pictures[-1])
        bits.trailing()


def _intra(stream: Stream, bits: Bits) -> bytes:
    width = 16 * stream.across
    luma = bytearray(width * 16 * stream.down)
    pcm: list[bool] = []
    for number in range(stream.across * stream.down):
        row, column = divmod(number, stream.across)
        kind = bits.ue()
        pcm.append(kind == 25)
        if kind == 25:
            bits.align()
            block = bits.raw(256)
            bits.raw(128)
            assert 0 not in block
            for line in range(16):
                at = (16 * row + line) * width + 16 * column
                luma[at : at + 16] = block[16 * line : 16 * line + 16]
            continue
        assert kind == 1, "I_16x16_0_0_0"
        assert row > 0, "vertical prediction has a row above it"
        assert bits.ue() == 2, "intra_chroma_pred_mode"
        assert bits.se() == 0, "mb_qp_delta"
        _no_coefficients(bits, pcm, number, stream.across)
        above = luma[(16 * row - 1) * width + 16 * column :][:16]
        for line in range(16):
            at = (16 * row + line) * width + 16 * column
            luma[at : at + 16] = above
    return bytes(luma)


def _no_coefficients(bits: Bits, pcm: list[bool], number: int, across: int) -> None:
    """coeff_token of Intra16x16DCLevel with none (table 9-5): which table, the neighbours' counts say (9.2.1)."""
    counts = [16 if pcm[number - across] else 0]
    if number % across:
        counts.append(16 if pcm[number - 1] else 0)
    n_c = (sum(counts) + 1) >> 1 if len(counts) == 2 else counts[0]
    assert n_c < 2 or n_c >= 8
    if n_c >= 8:
        assert bits.u(6) == 0b000011
    else:
        assert bits.u(1) == 1


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes of a file, or of a box's body."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        assert size >= 8
        assert at + size <= len(data)
        yield kind, data[at + 8 : at + size]
        at += size


def box(data: bytes, *path: bytes) -> bytes:
    for name in path:
        data = next(body for kind, body in boxes(data) if kind == name)
    return data
