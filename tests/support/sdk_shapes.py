"""Holding JSON against the vendors' SDK types: every required field there, every type right, nothing besides."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter

#: Built once for each type: that takes much longer than a validation.
_adapter = cache(TypeAdapter)


def exactly(kind: Any, value: Any, also: frozenset[str] = frozenset()) -> Any:
    """`value` as the SDK's `kind`, validated (which the SDK itself does not do). A field that the SDK does not know
    fails, unless its name is in `also`."""
    made = _adapter(kind).validate_python(value)
    unknown = sorted(set(_extras(made, type(made).__name__)) - also)
    assert not unknown, f"fields that the SDK does not know: {unknown}"
    return made


def _extras(value: Any, where: str) -> list[str]:
    found: list[str] = []
    if isinstance(value, BaseModel):
        found += list(value.model_extra or {})
        for name in type(value).model_fields:
            found += _extras(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for item in value:
            found += _extras(item, where)
    return found
