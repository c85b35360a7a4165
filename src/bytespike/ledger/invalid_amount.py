"""What is raised where a text is no amount of USD."""

from __future__ import annotations

from bytespike.errors import InvalidRequest


class InvalidAmount(InvalidRequest, ValueError):
    """The text is no amount of USD that can be kept."""
