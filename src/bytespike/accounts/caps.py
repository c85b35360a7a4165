"""Caps on what a key spends on single models: in its whole life, or in a rolling window.

A change takes effect on every gateway when its change feed brings it, within a second.
"""

from __future__ import annotations

from collections.abc import Mapping

from bytespike.accounts import keys
from bytespike.accounts.control import Write
from bytespike.accounts.rules import ALLOWED_MODELS_MAX, check_credits, check_name
from bytespike.errors import InvalidRequest
from bytespike.store import caps
from bytespike.store.caps import CapRow

#: In the order in which people think of them.
SPANS = ("lifetime", "5h", "1d", "7d")


async def set_caps(
    write: Write, key_id: str, model: str, amounts: Mapping[str, int], *, user_id: str | None = None
) -> list[CapRow]:
    """A key's caps on one model are these from now on: micro-dollars by span; 0, and what is missing, is no cap.
    `model`: the catalog's slug. `user_id`: only if the key is this user's. Gives all caps of the key.

    Raises: InvalidRequest (a span, an amount, too many models, a revoked key), NotFound.
    """
    row = await keys.get(write.connection, key_id, user_id=user_id)
    if row.status == "revoked":
        raise InvalidRequest("this key has been revoked, which is for good; create another")
    for span in amounts:
        if span not in SPANS:
            raise InvalidRequest(f"a cap is on one of {', '.join(SPANS)}, not {span[:40]!r}", param="span")
    wanted = [
        CapRow(check_name(model, param="model"), span, check_credits(amount, param=span))
        for span, amount in amounts.items()
        if amount
    ]
    others = {cap.model for cap in await caps.of(write.connection, key_id)} - {model}
    if wanted and len(others) >= ALLOWED_MODELS_MAX:
        raise InvalidRequest(f"a key has caps on at most {ALLOWED_MODELS_MAX} models", param="model")
    await caps.replace(write.connection, key_id, model, wanted)
    spans = ", ".join(f"{cap.span} {cap.amount}" for cap in wanted)
    await write.note("keys.cap", key_id, "key", model=model, caps=spans)
    return await caps.of(write.connection, key_id)
