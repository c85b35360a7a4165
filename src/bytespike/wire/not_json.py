"""The two errors of reading JSON. They stand here because modules that are compiled have no classes of errors."""

from __future__ import annotations


class NotJSON(ValueError):
    """The bytes are no JSON text, or nest too deeply. The message says where, without quoting content."""


class NotAnObject(NotJSON):
    """JSON, but not an object."""
