"""What translation dropped or approximated, told to the caller in `X-ByteSpike-Notices`.

A notice is for tuning knobs: the answer is still an answer to what was asked. Content or a constraint that cannot be
carried is never a notice: the writer raises `errors.UnsupportedFeature`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Notice(Struct, frozen=True):
    """`feature`: the caller's name for it, as a path ("top_k", "tools[2].strict"). `action`: what was done.
    `detail`: a few words, ASCII, no user content and no commas or semicolons: it goes into a header."""

    feature: str
    action: Literal["dropped", "approximated"]
    detail: str = ""

    def __str__(self) -> str:
        text = f"{self.feature}: {self.action}"
        return f"{text} ({self.detail})" if self.detail else text
