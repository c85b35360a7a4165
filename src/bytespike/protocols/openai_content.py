"""What the content parts of OpenAI's two dialects have in common: inline audio, files, cache breakpoints."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from bytespike.core.content import AudioPart, Base64Source, CacheMark, DocumentPart
from bytespike.core.json_types import JSONObject
from bytespike.core.losses import Losses
from bytespike.errors import UnsupportedFeature
from bytespike.wire import fields as f

PDF: Final = "application/pdf"
DEFAULT_FILENAME: Final = "document.pdf"
#: TTLs that `prompt_cache_breakpoint` knows. Others fall back to its default, the shorter one.
_BREAKPOINT_TTLS: Final = frozenset({"30m", "12h"})


def read_audio(part: JSONObject) -> tuple[Base64Source, str]:
    """The bytes and the format of an `input_audio` part. Raises `Wrong`."""
    audio = f.object_at(part, "input_audio")
    try:
        format_name = f.text(audio, "format")
        return Base64Source(f"audio/{format_name}", f.text(audio, "data")), format_name
    except f.Wrong as wrong:
        raise wrong.under("input_audio") from None


def write_audio(part: AudioPart, capabilities: AbstractSet[str], param: str) -> JSONObject:
    """The entry without what was put aside. `param`: what an error names. Raises `UnsupportedFeature`."""
    if "audio" not in capabilities:
        raise UnsupportedFeature(
            "This model takes no audio. Choose one with the capability 'audio'.", param=param
        )
    if not isinstance(part.source, Base64Source):
        raise UnsupportedFeature("This model takes audio only as base64.", param=param)
    return {"type": "input_audio", "input_audio": {"data": part.source.data, "format": part.format}}


def bare_file(data: str, filename: str | None) -> Base64Source:
    """A file's bytes that came without a media type: older clients send base64 that is in no data URL."""
    return Base64Source(PDF if filename and filename.lower().endswith(".pdf") else "", data)


def titled(part: DocumentPart) -> str | None:
    """A file name of a document's title. The API tells a file's kind by the end of its name, which titles have not."""
    title, source = part.title, part.source
    if not title or title.lower().endswith(".pdf"):
        return title or None
    other = isinstance(source, Base64Source) and source.media_type not in ("", PDF)
    return title if other else f"{title}.pdf"


def cache_breakpoint(cache: CacheMark, losses: Losses) -> JSONObject:
    """A cache mark as `prompt_cache_breakpoint`."""
    point: JSONObject = {"mode": "explicit"}
    if cache.ttl in _BREAKPOINT_TTLS:
        point["ttl"] = cache.ttl
    elif cache.ttl == "1h":
        losses.approximated("cache_control.ttl", "30m")
    return point
