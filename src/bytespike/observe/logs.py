"""Structured logs, with anything that looks like a secret taken out.

Two ways lead to standard error: our own events (structlog), and what libraries say (logging: asyncio, uvicorn, the trace
exporter, tracebacks of all of them). Both end in the same form, and in `redact`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

#: Ours and the vendors' keys, bearer and basic credentials, `?key=` values, passwords in URLs, sealed JWTs, cloud keys.
_SECRET = re.compile(
    r"""
      (?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{8,}
    | AIza[0-9A-Za-z_-]{20,}
    | (?:AKIA|ASIA)[0-9A-Z]{16}
    | ya29\.[0-9A-Za-z._-]{10,}
    | eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*
    | (?i:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}
    | (?<=[?&])(?i:key|api[_-]?key|access_token)=[^&\s"'<>]+
    | (?<=://)[^/\s:@"']*:[^/\s@"']+(?=@)
    | (?i:x-api-key|x-goog-api-key|api-key|authorization)["']?\s*[:=]\s*(?:b?["'])?[^\s"',]{8,}
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----[\s\S]*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)
    """,
    re.VERBOSE,
)
REDACTED = "[redacted]"


def redact(text: str) -> str:
    """`text` without keys: ours, the vendors', bearer tokens, `?key=` values, and passwords in URLs."""
    return _SECRET.sub(REDACTED, text)


def _redact_event(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redact(value)
        elif value is not None and not isinstance(value, bool | int | float):
            # A list, an exception: told as text, so that nothing is in it that was not looked at.
            event[name] = redact(str(value))
    return event


class Redacting(logging.Formatter):
    """What libraries log, in the form of our own events."""

    def __init__(self, style: str) -> None:
        super().__init__("%(message)s")
        self._json = style == "json"

    def format(self, record: logging.LogRecord) -> str:
        told = redact(super().format(record))
        at = datetime.fromtimestamp(record.created, UTC)
        level = record.levelname.lower()
        if not self._json:
            return f"{at:%Y-%m-%d %H:%M:%S} [{level:<9}] {told} logger={record.name}"
        return json.dumps(
            {"event": told, "logger": record.name, "level": level, "timestamp": at.isoformat()},
            ensure_ascii=False,
        )


class Unfailing(structlog.WriteLogger):
    """A line that cannot be written is lost, and whoever has told something goes on: the disk that takes no log may be the
    one whose being full was to be told, in the middle of what is done about it."""

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().msg(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def configure_logs(level: str, style: str) -> None:
    """`level`: debug, info, warning, error. `style`: "json" for machines, "text" for people. To standard error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: structlog.types.Processor
    renderer = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: Unfailing(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _take_in_libraries(max(number, logging.WARNING), style)
    # It warns of every upgrade that is answered with 426.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


def _take_in_libraries(level: int, style: str) -> None:
    """What libraries log, ours to tell. Where somebody else has taken the root logger (a test runner), it stays his."""
    root = logging.getLogger()
    ours = [handler for handler in root.handlers if isinstance(handler.formatter, Redacting)]
    if root.handlers and not ours:
        return
    handler = ours[0] if ours else logging.StreamHandler(sys.stderr)
    handler.setFormatter(Redacting(style))
    if not ours:
        root.addHandler(handler)
    root.setLevel(level)
