"""OpenAI: what `strict` asks of a schema, in tools and in structured output."""

from __future__ import annotations

from bytespike.core.json_types import JSON
from bytespike.providers.simulator.openai_words import refuse


def check_strict(
    schema: JSON, owner: str, param: str, code: str | None, context: tuple[str, ...] = ()
) -> None:
    """What `strict` asks of a schema: objects are closed, and all their properties required. Raises `Fault`."""
    if isinstance(schema, list):
        for at, part in enumerate(schema):
            check_strict(part, owner, param, code, (*context, str(at)))
        return
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema:
        head = f"Invalid schema for {owner}: In context={context}, "
        if schema.get("additionalProperties") is not False:
            raise refuse(
                f"{head}'additionalProperties' is required to be supplied and to be false.", param, code
            )
        properties = schema.get("properties")
        required = schema.get("required")
        listed: list[JSON] = required if isinstance(required, list) else []
        for name in properties if isinstance(properties, dict) else ():
            if name not in listed:
                raise refuse(
                    f"{head}'required' is required to be supplied and to be an array including every key in "
                    f"properties. Missing '{name}'.",
                    param,
                    code,
                )
    for word_ in ("properties", "$defs", "definitions"):
        children = schema.get(word_)
        if isinstance(children, dict):
            for name, child in children.items():
                check_strict(child, owner, param, code, (*context, word_, name))
    for word_ in ("items", "anyOf", "allOf"):
        check_strict(schema.get(word_), owner, param, code, (*context, word_))
