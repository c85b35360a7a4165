"""A task as its owner sees it: what a query answers, what a callback brings, what a stream ends with."""

from __future__ import annotations

from bytespike.core.json_types import JSON, JSONObject
from bytespike.ledger.amounts import format_usd
from bytespike.media.objects.urls import Links
from bytespike.media.tasks.record import Piece, Task, TaskEvent
from bytespike.wire.moments import moment

_MICROSECONDS = 1_000_000


def task_body(task: Task, links: Links, base_url: str = "") -> JSONObject:
    """Credits are USD as text. `base_url`: where this caller reaches the gateway, "" where it is not known.

    `credits_used` is there once the task is over, `output` once it is completed, `error_code` and `error_message` once it
    has failed."""
    body: JSONObject = {
        "object": "task",
        "task_id": task.id,
        "out_task_id": task.out_task_id,
        "status": task.state,
        "model": task.requested_model,
        "type": task.kind,
        "upstream_provider": task.upstream_provider,
        "progress": task.progress,
        "estimated_credits": format_usd(task.held),
        "estimated_seconds": task.estimated_seconds,
        "created_at": moment(task.created_at),
        "updated_at": moment(task.updated_at),
        "started_at": _moment(task.started_at),
        "finished_at": _moment(task.finished_at),
    }
    if task.over:
        body["credits_used"] = format_usd(task.credits)
    if task.state == "completed":
        body["output"] = [piece_body(piece, links, base_url) for piece in task.output or ()]
    elif task.state == "failed":
        body["error_code"] = task.error_code
        body["error_message"] = task.error_message
    return body


def piece_body(piece: Piece, links: Links, base_url: str = "") -> JSONObject:
    """One file. `type`: image or video; what the file does not say is absent."""
    link = links.sign(piece.id, piece.content_type, piece.expires_at, base_url)
    body: JSONObject = {
        "type": piece.content_type.partition("/")[0],
        "url": link.url,
        "content_type": piece.content_type,
        "bytes": piece.bytes,
        "expires_at": moment(link.expires_at * _MICROSECONDS),
    }
    if piece.width and piece.height:
        body["width"] = piece.width
        body["height"] = piece.height
    if piece.duration_seconds is not None:
        body["duration_seconds"] = piece.duration_seconds
    return body


def event_body(event: TaskEvent) -> JSONObject:
    """A change that is not the last."""
    return {
        "object": "task.event",
        "task_id": event.task_id,
        "status": event.state,
        "progress": event.progress,
        "at": moment(event.at),
    }


def _moment(us: int | None) -> JSON:
    return None if us is None else moment(us)
