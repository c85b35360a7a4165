"""GET /me/available-models: what the caller can reach, and in which protocols, native or translated."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter
from pydantic import BaseModel

from bytespike.accounts.records import Channel
from bytespike.catalog.models import Model
from bytespike.http.management.deps import Caller, CallerParam, Deps, DepsParam, PagingParam
from bytespike.http.management.views import Page
from bytespike.routing.support import Support, model_support
from bytespike.store import groups

router = APIRouter(tags=["me"])


class AvailableModel(BaseModel):
    """`protocols`: of those that this gateway serves, the ones in which the model can be asked. Native: its bytes pass
    through unchanged on some channel."""

    id: str
    display_name: str
    family: str
    kind: str
    capabilities: list[str]
    context_window: int
    max_output_tokens: int
    protocols: dict[str, Support]


@router.get("/me/available-models")
async def available_models(caller: CallerParam, deps: DepsParam, paging: PagingParam) -> Page[AvailableModel]:
    """With a key: what it reaches. With a session: what any key of the user could reach."""
    served = await _served(caller, deps)
    models = [model for slug, model in deps.parts.catalog.current.models.items() if slug in served]
    shown = models[paging.offset : paging.offset + paging.page_size]
    return Page(
        items=[_view(deps, model, served[model.slug]) for model in shown],
        total=len(models),
        page=paging.page,
        page_size=paging.page_size,
    )


async def _served(caller: Caller, deps: Deps) -> dict[str, list[Channel]]:
    """The channels that serve each model, of the groups that count for this caller."""
    key = caller.key
    if key is not None:
        group_ids = [key.group_id]
    else:
        async with deps.control.reading() as connection:
            group_ids = [row.id for row in await groups.open_to(connection, caller.user.id)]
    found: dict[str, list[Channel]] = {}
    for group_id in group_ids:
        for slug, channels in deps.parts.directory.routes.by_group_model.get(group_id, {}).items():
            if key is None or key.allowed_models is None or slug in key.allowed_models:
                found.setdefault(slug, []).extend(channels)
    return found


def _view(deps: Deps, model: Model, channels: Iterable[Channel]) -> AvailableModel:
    strict = deps.settings.strict_protocol_matrix
    protocols = model_support(channels, model, deps.parts.dialects, strict=strict)
    return AvailableModel(
        id=model.slug,
        display_name=model.display_name,
        family=model.family,
        kind=model.kind,
        capabilities=sorted(model.capabilities),
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        protocols=protocols,
    )
