"""Free-form (custom) tools where a dialect has none: they become functions of one string, and their calls come home."""

from __future__ import annotations

from typing import Final

from bytespike.wire import json

#: The one argument of the function that stands in for a free-form tool.
CUSTOM_INPUT: Final = "input"


def unwrapped(arguments: str) -> str:
    """The input of a free-form tool from the arguments of the function that stood in for it; arguments of any other form
    as they are."""
    try:
        told = json.decode_object(arguments)
    except json.NotJSON:
        return arguments
    text = told.get(CUSTOM_INPUT)
    return text if len(told) == 1 and isinstance(text, str) else arguments
