"""References to items that the gateway made: `{"type": "item_reference", "id": …}` in a request's input.

OpenAI keeps the items of stored responses, and clients name them instead of sending them back (the AI SDK does so with
reasoning). Items of an answer that the gateway wrote have ids made of the response's (`answer_out.made_id`), so the id
says where the item is kept. Items that a provider made are that provider's to know: their references stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import InvalidRequest
from bytespike.wire import json

#: Responses that one request may refer to.
RESPONSES_MAX: Final = 500
_KIND: Final = "item_reference"


def named_responses(body: bytes) -> list[str]:
    """The ids of the responses whose items the body refers to, as far as the items' ids tell.

    Raises `InvalidRequest`: it is no JSON object, or there are too many.
    """
    if _KIND.encode() not in body:
        return []
    given = _input(_request(body))
    found = dict.fromkeys(name for item in given if (name := _response_of(item)))
    if len(found) > RESPONSES_MAX:
        raise InvalidRequest(
            "the input refers to items of too many responses; send the items instead", param="input"
        )
    return list(found)


def with_items(body: bytes, items: Mapping[str, JSONObject]) -> bytes:
    """The body with items (by id) in place of the references to them; the same bytes if none is referred to."""
    request = _request(body)
    given = _input(request)
    told = [_item(item, items) for item in given]
    return body if told == given else json.encode({**request, "input": told})


def _item(item: JSON, items: Mapping[str, JSONObject]) -> JSON:
    if not isinstance(item, dict) or item.get("type") != _KIND:
        return item
    return items.get(str(item.get("id")), item)


def _response_of(item: JSON) -> str:
    """ "" if the item is no reference, or its id is not one of ours."""
    if not isinstance(item, dict) or item.get("type") != _KIND:
        return ""
    parts = str(item.get("id")).split("_")
    return f"resp_{parts[1]}" if len(parts) == 3 and parts[1] and parts[2].isdecimal() else ""


def _input(request: JSONObject) -> list[JSON]:
    given = request.get("input")
    return given if isinstance(given, list) else []


def _request(body: bytes) -> JSONObject:
    try:
        return json.decode_object(body)
    except json.NotJSON as error:
        raise InvalidRequest(f"The request body is not valid: {error}.") from None
