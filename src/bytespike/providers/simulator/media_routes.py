"""Which of the simulator's APIs for pictures and videos a path is of, and who answers there."""

from __future__ import annotations

from collections.abc import Mapping

from bytespike.providers.simulator import (
    ark_images,
    ark_tasks,
    gemini_images,
    gemini_operations,
    openai_chat_images,
    openai_images,
    openai_videos,
)
from bytespike.providers.simulator.exchange import Handler

#: By the dialect's name and the path without its prefix, ids and models taken out of it (Gemini: without the version too):
#: the handlers by method.
ROUTES: Mapping[tuple[str, str], Mapping[str, Handler]] = {
    ("openai", openai_images.PATH): {"POST": openai_images.generate},
    ("openai", openai_images.EDITS_PATH): {"POST": openai_images.edit},
    ("openai", openai_images.DRAWN_PATH): {"GET": openai_images.drawn},
    ("openai", openai_chat_images.PATH): {"POST": openai_chat_images.completions},
    ("gemini", gemini_images.ACTION): {"POST": gemini_images.generate},
    ("ark", ark_images.PATH): {"POST": ark_images.generate},
    ("openai", openai_videos.PATH): {"POST": openai_videos.create, "GET": openai_videos.listing},
    ("openai", openai_videos.VIDEO_PATH): {"GET": openai_videos.retrieve, "DELETE": openai_videos.delete},
    ("openai", openai_videos.CONTENT_PATH): {"GET": openai_videos.content},
    ("gemini", gemini_operations.PREDICT): {"POST": gemini_operations.predict},
    ("gemini", gemini_operations.OPERATION_PATH): {"GET": gemini_operations.operation},
    ("gemini", gemini_operations.FILE_PATH): {"GET": gemini_operations.download},
    ("ark", ark_tasks.PATH): {"POST": ark_tasks.create, "GET": ark_tasks.listing},
    ("ark", ark_tasks.TASK_PATH): {"GET": ark_tasks.retrieve, "DELETE": ark_tasks.remove},
    ("ark", ark_tasks.FILE_PATH): {"GET": ark_tasks.download},
}


def handlers(dialect: str, plain: str) -> Mapping[str, Handler] | None:
    """None: the path is of no such API."""
    if dialect == "openai":
        plain = openai_images.route(openai_videos.route(plain))
    elif dialect == "ark":
        plain = ark_tasks.route(plain)
    return ROUTES.get((dialect, plain))
