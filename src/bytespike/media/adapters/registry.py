"""Which adapter speaks to which surface of a platform."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from bytespike.media.adapter import RenderAdapter
from bytespike.media.adapters.ark_tasks import ArkTasks
from bytespike.media.adapters.gemini_operations import GeminiOperations
from bytespike.media.adapters.openai_videos import OpenAIVideos

#: By surface (`providers.platforms.MEDIA_SURFACES`).
RENDERERS: Mapping[str, RenderAdapter] = {
    "openai_videos": OpenAIVideos(),
    "gemini_operations": GeminiOperations(),
    "ark_tasks": ArkTasks(),
}


def surface_of(spoken: Collection[str], taken: Iterable[str]) -> str | None:
    """On which of the surfaces that a channel has (`spoken`) a video model is asked: the first of those in which it can be
    asked (`taken`, its `MediaLimits.surfaces`). None: it has none of them."""
    return next((surface for surface in taken if surface in RENDERERS and surface in spoken), None)
