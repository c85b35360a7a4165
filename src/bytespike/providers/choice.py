"""Which of a channel's endpoints answers for a client, and under which path."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from bytespike.providers.endpoint import Endpoint

#: Which dialect a client's is translated to when the channel does not speak it, best first: the closest relative, then
#: the one that can carry the most.
TRANSLATIONS: Mapping[str, tuple[str, ...]] = {
    "anthropic_messages": ("openai_responses", "gemini", "openai_chat"),
    "openai_chat": ("openai_responses", "anthropic_messages", "gemini"),
    "openai_responses": ("openai_chat", "anthropic_messages", "gemini"),
    "gemini": ("anthropic_messages", "openai_responses", "openai_chat"),
}

_MODEL = b"{model}"
_SEGMENT = b"{segment}"


def choose_dialect(
    spoken: Mapping[str, Endpoint], client_dialect: str, *, translate: bool = True
) -> str | None:
    """The dialect in which a channel is asked on behalf of a client: the client's own where the channel speaks it, so
    that bytes pass through, else the best that it can be translated to. None: there is none.

    `translate` False allows no translation.
    """
    if client_dialect in spoken:
        return client_dialect
    if translate:
        for dialect in TRANSLATIONS.get(client_dialect, ()):
            if dialect in spoken:
                return dialect
    return None


def filled(target: bytes, model: str) -> bytes:
    """The path with the model's name in it, where it has a place for one."""
    if b"{" not in target:
        return target
    if _MODEL in target:
        return target.replace(_MODEL, quote(model, safe="/@").encode("ascii"))
    if _SEGMENT in target:
        return target.replace(_SEGMENT, quote(model, safe="").encode("ascii"))
    return target
