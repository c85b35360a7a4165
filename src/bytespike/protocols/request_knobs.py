"""Settings of a request that more than one dialect writes in the same way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from bytespike.core.dialect import Target
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.request import OutputFormat, ReasoningConfig
from bytespike.protocols.strict_schemas import fits_strict

#: OpenAI and DeepSeek refuse `json_object` where no message speaks of JSON.
SPEAK_OF_JSON: Final = "Answer with one JSON object."
#: OpenAI's wires require a schema's name, and other dialects have none.
SCHEMA_NAME: Final = "response"
#: Anthropic's words for OpenAI's tiers.
TIERS_OF_OTHERS: Final = {"standard_only": "default"}
#: Budgets up to these are a low and a medium effort; what is above is a high one.
LOW_BUDGET_MAX: Final = 4_096
MEDIUM_BUDGET_MAX: Final = 16_384


def output_tokens(wanted: int | None, target: Target, losses: Losses, *, least: int) -> int | None:
    """The limit of the answer, in tokens, within what the model and the API take. Clients probe with 1, and Anthropic
    takes 0 to fill its cache. None where nobody set one."""
    if wanted is None:
        return None
    if wanted > target.max_output_tokens:
        losses.approximated("max_tokens", f"lowered to the model's limit of {target.max_output_tokens}")
        return target.max_output_tokens
    if wanted < least:
        losses.approximated("max_tokens", f"raised to the least that the API takes: {least}")
        return least
    return wanted


def fitting_user(user_id: str, chars_max: int, losses: Losses) -> str:
    """The end user's id, or its hash where the wire has no room for it."""
    if len(user_id) <= chars_max:
        return user_id
    losses.approximated("user_id", "hashed because of its length")
    return hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()


def effort_of_budget(budget: int) -> str:
    """A budget in tokens as an effort: only those that every reasoning model takes."""
    if budget <= LOW_BUDGET_MAX:
        return "low"
    return "medium" if budget <= MEDIUM_BUDGET_MAX else "high"


def thinking_off(wanted: ReasoningConfig) -> bool:
    """Whether thinking is to be off, in whichever of its three forms a dialect says so."""
    budget = wanted.budget_tokens
    return wanted.mode == "off" or wanted.effort == "none" or (budget is not None and budget <= 0)


def strictness(wanted: OutputFormat) -> bool | None:
    """What OpenAI's `strict` says of an answer's schema; None where it is left out.

    A dialect without the flag always enforces its schema. Here enforcement has to be asked for, and is refused for
    schemas outside of OpenAI's subset; those stay a best effort.
    """
    if wanted.strict is not None:
        return wanted.strict
    return True if wanted.name is None and fits_strict(wanted.schema) else None


def put_taken(
    body: JSONObject, rows: Iterable[tuple[str, JSON, str]], quirks: frozenset[str], losses: Losses
) -> None:
    """Set the members that the target takes. A row: the member, its value (None: not said), and the quirk of targets
    that do not take it."""
    for name, value, without in rows:
        if value is None:
            continue
        if without in quirks:
            losses.dropped(name)
        else:
            body[name] = value
