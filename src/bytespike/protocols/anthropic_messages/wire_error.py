"""The error of this dialect's readers. It stands here because modules that are compiled have no classes of errors."""

from __future__ import annotations


class WireError(ValueError):
    """Something is wrong with the wire's data at `path` ("messages.0.content"; "" is the whole body)."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
