"""Pictures as H.264, which every player and browser shows: as little of the standard as a moving test card needs.

A picture is a strip of 16 lines and whatever the strip's last line goes on to, down to the bottom: the first row of
macroblocks is written sample by sample (I_PCM), all others copy what stands above them (Intra_16x16, vertical). A picture
that is the same as the one before is one slice that skips every macroblock. Nothing is transformed, nothing is lost.

Constrained Baseline, one slice a picture, CAVLC, no deblocking, pictures come in the order in which they are shown.
Source: ITU-T H.264, clauses 7.3 (syntax), 9.2 (CAVLC) and Annex A (profiles and levels).
"""

from __future__ import annotations

import re

from msgspec import Struct

MACROBLOCK = 16
_PROFILE = 66
#: constraint_set0_flag and constraint_set1_flag: Constrained Baseline.
_CONSTRAINTS = 0xC0
#: level_idc, by the macroblocks that a picture of it may have.
_LEVELS = ((3600, 31), (8192, 40), (22_080, 50), (36_864, 51), (139_264, 60))
_FRAME_NUM_BITS = 8
_LUMA = MACROBLOCK * MACROBLOCK
_CHROMA = _LUMA // 4

_SPS, _PPS, _IDR, _OTHER = 0x67, 0x68, 0x65, 0x41
_ESCAPED = re.compile(rb"\x00\x00(?=[\x00-\x03])")
_I_PCM = 25
#: An I_PCM macroblock from a byte's beginning: its type, and zeros up to the next byte.
_PCM_HEAD = b"\x0d\x00"
#: mb_type I_16x16_0_0_0, intra_chroma_pred_mode vertical, mb_qp_delta 0; then coeff_token "no coefficients" in the table
#: that neighbours ask for: one of I_PCM counts as having 16, all others have none.
_COPY_BELOW_PCM = "010" + "011" + "1" + "000011"
_COPY = "010" + "011" + "1" + "1"


class Strip(Struct, frozen=True):
    """The 16 uppermost lines in YCbCr 4:2:0, as wide as the picture's macroblocks: `luma` 16 lines of so many samples,
    `blue` and `red` 8 lines of half as many."""

    luma: bytes
    blue: bytes
    red: bytes


class Encoder:
    """One film's. `width` and `height` in pixels, even."""

    __slots__ = ("_across", "_down", "_height", "_rows", "_width")

    def __init__(self, width: int, height: int) -> None:
        if width < 2 or height < 2 or width % 2 or height % 2:
            raise ValueError(f"a film of {width}x{height} has odd sides")
        self._width, self._height = width, height
        self._across, self._down = -(-width // MACROBLOCK), -(-height // MACROBLOCK)
        below = min(self._down - 1, 1)
        rows = _COPY_BELOW_PCM * (self._across * below) + _COPY * (self._across * (self._down - 1 - below))
        self._rows = _bytes(rows + "1")

    @property
    def samples_across(self) -> int:
        """How wide a strip is."""
        return self._across * MACROBLOCK

    def decoder_configuration(self) -> bytes:
        """An AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1): what the file says once for all pictures."""
        sps, pps = (
            self._sps(),
            _nal(_PPS, _bytes("1" + "1" + "0" + "0" + "1" + "1" + "1" + "000" + "1" * 3 + "100" + "1")),
        )
        level = self._level()
        return (
            bytes((1, _PROFILE, _CONSTRAINTS, level, 0xFF, 0xE1))
            + len(sps).to_bytes(2, "big")
            + sps
            + b"\x01"
            + len(pps).to_bytes(2, "big")
            + pps
        )

    def whole(self, strip: Strip, ordinal: int) -> bytes:
        """A picture that stands by itself, as a sample of a file. `ordinal` counts such pictures: two in a row must differ."""
        # first_mb 0, slice_type I, pps 0; frame_num 0; idr_pic_id; marking; qp delta 0; no deblocking.
        head = _ue(0) + _ue(7) + _ue(0) + "0" * _FRAME_NUM_BITS + _ue(ordinal & 1) + "00" + _se0() + _ue(1)
        chunks = [_bytes(head + _ue(_I_PCM)), self._samples(strip, 0)]
        for column in range(1, self._across):
            chunks += [_PCM_HEAD, self._samples(strip, column)]
        chunks.append(self._rows)
        return _sample(_nal(_IDR, b"".join(chunks)))

    def same(self, since_whole: int) -> bytes:
        """The picture before, once more. `since_whole`: the how many-th since one that stands by itself, from 1."""
        frame_num = f"{since_whole % (1 << _FRAME_NUM_BITS):0{_FRAME_NUM_BITS}b}"
        # first_mb 0, slice_type P, pps 0; frame_num; no overrides, no reordering, no marking; qp delta 0; no deblocking.
        head = _ue(0) + _ue(5) + _ue(0) + frame_num + "000" + _se0() + _ue(1)
        return _sample(_nal(_OTHER, _bytes(head + _ue(self._across * self._down) + "1")))

    def _samples(self, strip: Strip, column: int) -> bytes:
        wide, narrow = self._across * MACROBLOCK, self._across * MACROBLOCK // 2
        at, half = column * MACROBLOCK, column * MACROBLOCK // 2
        lines = [strip.luma[row * wide + at : row * wide + at + MACROBLOCK] for row in range(MACROBLOCK)]
        for plane in (strip.blue, strip.red):
            lines += [
                plane[row * narrow + half : row * narrow + half + MACROBLOCK // 2]
                for row in range(MACROBLOCK // 2)
            ]
        return b"".join(lines)

    def _level(self) -> int:
        return next((level for most, level in _LEVELS if self._across * self._down <= most), _LEVELS[-1][1])

    def _sps(self) -> bytes:
        right = (self._across * MACROBLOCK - self._width) // 2
        bottom = (self._down * MACROBLOCK - self._height) // 2
        cropping = "1" + _ue(0) + _ue(right) + _ue(0) + _ue(bottom) if right or bottom else "0"
        # id 0; frame_num bits; order of output is that of decoding; one reference; no gaps; size; frames; 8x8; crop; no VUI.
        bits = _ue(0) + _ue(_FRAME_NUM_BITS - 4) + _ue(2) + _ue(1) + "0"
        bits += _ue(self._across - 1) + _ue(self._down - 1) + "1" + "1" + cropping + "0" + "1"
        return _nal(_SPS, bytes((_PROFILE, _CONSTRAINTS, self._level())) + _bytes(bits))


def _ue(value: int) -> str:
    """An unsigned Exp-Golomb code."""
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def _se0() -> str:
    return "1"


def _bytes(bits: str) -> bytes:
    """Bits as bytes, filled up with zeros."""
    length = -(-len(bits) // 8)
    return (int(bits, 2) << (length * 8 - len(bits))).to_bytes(length, "big")


def _nal(head: int, payload: bytes) -> bytes:
    """A unit with nothing in it that looks like the beginning of another."""
    return bytes((head,)) + _ESCAPED.sub(b"\x00\x00\x03", payload)


def _sample(nal: bytes) -> bytes:
    return len(nal).to_bytes(4, "big") + nal
