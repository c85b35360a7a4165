"""Structured logs, with anything that looks like a secret taken out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET = re.compile(
    r"sk-[A-Za-z0-9_-]{8,}|(?i:bearer)\s+[A-Za-z0-9._~+/=-]{8,}|AIza[0-9A-Za-z_-]{20,}|(?<=[?&]key=)[^&\s]+"
)
REDACTED = "[redacted]"


def redact(text: str) -> str:
    """`text` without keys: ours, the vendors', bearer tokens, and `?key=` values."""
    return _SECRET.sub(REDACTED, text)


def _redact_event(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redact(value)
    return event


def configure_logs(level: str, style: str) -> None:
    """`level`: debug, info, warning, error. `style`: "json" for machines, "console" for people. To standard error."""
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
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr, format="%(message)s")
    # It warns of every upgrade that is answered with 426.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
