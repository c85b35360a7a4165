"""The text form of an envelope: what is sealed opens again, and what is damaged is none."""

from __future__ import annotations

import msgspec
import pytest

from bytespike.protocols.sealed_text import is_sealed, open_text, seal_text

DECODER = msgspec.json.Decoder(dict[str, int])


@pytest.mark.parametrize("origin", ["gemini", "xai-responses-v1", "a.b_c-1", "none"])
def test_what_is_sealed_opens_again(origin: str) -> None:
    sealed = seal_text(origin, b'{"a":1}')
    assert is_sealed(sealed)
    assert not sealed.endswith("=")
    assert open_text(sealed, DECODER) == (origin, {"a": 1})


def test_no_origin_has_a_name() -> None:
    assert open_text(seal_text("", b"{}"), DECODER) == ("none", {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "an upstream's own proof",
        "bytespike.v1.",
        "bytespike.v1.gemini",
        "bytespike.v1.Gemini.e30",
        "bytespike.v1." + "g" * 61 + ".e30",
        "bytespike.v2.gemini.e30",
        "bytespike.v1.gemini.e3",
        "bytespike.v1.gemini.e30=",
        "bytespike.v1.gemini.e30\n",
        seal_text("gemini", b"{"),
        seal_text("gemini", b'{"a":"not a number"}'),
        seal_text("gemini", b"\xff"),
        seal_text("gemini", b"[" * 5000),
    ],
)
def test_what_is_damaged_is_no_envelope(text: str) -> None:
    assert open_text(text, DECODER) is None
