"""Audio that the model speaks, in the pieces of a stream."""

from __future__ import annotations

from bytespike.core.content import AudioPart
from bytespike.core.json_types import JSONObject
from bytespike.protocols.openai_chat.message_in import read_audio
from bytespike.protocols.part_numbers import TooMuch
from bytespike.wire.limits import ANSWER_BYTES_MAX


class AudioPieces:
    """The members of `audio`, each of which comes in pieces. What they have come to counts over the whole answer."""

    __slots__ = ("_chars", "_pieces")

    def __init__(self) -> None:
        self._pieces: dict[str, list[str]] = {}
        self._chars = 0

    def add(self, audio: JSONObject) -> None:
        """Raises `TooMuch`."""
        for name, value in audio.items():
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                text = str(value)
                self._chars += len(text)
                if self._chars > ANSWER_BYTES_MAX:
                    raise TooMuch("audio")
                self._pieces.setdefault(name, []).append(text)

    def take(self) -> AudioPart | None:
        """All that came since the last time; None if nothing did. Raises `Wrong`."""
        if not self._pieces:
            return None
        told: JSONObject = {name: "".join(pieces) for name, pieces in self._pieces.items()}
        self._pieces = {}
        expires = told.pop("expires_at", None)
        if isinstance(expires, str) and expires.isdecimal():
            told["expires_at"] = int(expires[:16])
        return read_audio(told)
