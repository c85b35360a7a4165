"""Which models a list shows, and one page of it. How a list looks on the wire is http/'s business."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from bytespike.catalog.models import CAPABILITIES, Model
from bytespike.errors import InvalidRequest


class ModelPage(Struct, frozen=True):
    """`has_more`: there are models beyond this page, in the direction that was read."""

    models: tuple[Model, ...]
    has_more: bool


def select(
    models: Iterable[Model], capabilities: Iterable[str] = (), family: str | None = None
) -> list[Model]:
    """The models that have every one of the capabilities and belong to the family, in the order given.

    Raises `InvalidRequest` for a capability that does not exist; an unknown family has no models.
    """
    wanted = frozenset(capabilities)
    unknown = wanted - CAPABILITIES.keys()
    if unknown:
        raise InvalidRequest(
            f"unknown capability {sorted(unknown)[0][:40]!r}; there are {', '.join(CAPABILITIES)}",
            param="capability",
        )
    name = None if family is None else family.lower()
    return [model for model in models if wanted <= model.capabilities and name in (None, model.family)]


def page(
    models: Sequence[Model], limit: int, after_id: str | None = None, before_id: str | None = None
) -> ModelPage:
    """One page by cursor, as Anthropic's model list has it: the `limit` models after or before a slug.

    A cursor that names no model of the list raises `InvalidRequest`, and so do both cursors at once.
    """
    if limit < 1:
        raise InvalidRequest("limit must be at least 1", param="limit")
    if after_id is not None and before_id is not None:
        raise InvalidRequest("give after_id or before_id, not both", param="before_id")
    if before_id is not None:
        end = _position(models, before_id, "before_id")
        start = max(0, end - limit)
        return ModelPage(tuple(models[start:end]), has_more=start > 0)
    start = 0 if after_id is None else _position(models, after_id, "after_id") + 1
    end = start + limit
    return ModelPage(tuple(models[start:end]), has_more=end < len(models))


def _position(models: Sequence[Model], slug: str, param: str) -> int:
    for index, model in enumerate(models):
        if model.slug == slug:
            return index
    raise InvalidRequest(f"{param} names no model of this list", param=param)
