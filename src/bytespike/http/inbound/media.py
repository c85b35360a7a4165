"""The routes of tasks, videos and files, for `app.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bytespike.core.dialect import Dialect
from bytespike.http.inbound.files import get_file
from bytespike.http.inbound.gateway import Route
from bytespike.http.inbound.tasks import cancel_task, query_task, submit_task
from bytespike.http.inbound.videos import (
    create_video,
    delete_video,
    get_video,
    list_videos,
    refuse_video_work,
)
from bytespike.http.inbound.watching import Watchers, stream_task
from bytespike.media.objects.store import ObjectStore
from bytespike.media.objects.urls import PREFIX, Links
from bytespike.media.tasks.desk import Desk
from bytespike.pipeline.parts import Parts


class MediaRoutes(NamedTuple):
    """As `GatewayApp` takes them."""

    exact: Mapping[str, Route]
    prefixed: Mapping[str, Route]


def media_routes(parts: Parts, desk: Desk, store: ObjectStore, links: Links, dialect: Dialect) -> MediaRoutes:
    """`dialect`: Chat Completions, in whose envelope all of them tell errors."""
    query = query_task(parts, desk, links)
    cancel = cancel_task(parts, desk, links)
    stream = stream_task(parts, desk, links, Watchers(), dialect)
    return MediaRoutes(
        {
            "/v1/tasks/submit": Route("task_submit", dialect, POST=submit_task(parts, desk, links)),
            "/v1/tasks/query": Route("task_query", dialect, GET=query, POST=query),
            "/v1/tasks/cancel": Route("task_cancel", dialect, POST=cancel),
            "/v1/videos": Route(
                "videos", dialect, GET=list_videos(parts, desk), POST=create_video(parts, desk)
            ),
        },
        {
            "/v1/tasks/cancel/": Route("task_cancel", dialect, POST=cancel),
            "/v1/tasks/stream/": Route("task_stream", dialect, GET=stream),
            "/v1/videos/": Route(
                "video",
                dialect,
                GET=get_video(parts, desk, store),
                POST=refuse_video_work(parts),
                DELETE=delete_video(parts, desk),
            ),
            PREFIX: Route("file", dialect, GET=get_file(store, links, parts.clock)),
        },
    )
