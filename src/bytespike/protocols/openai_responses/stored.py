"""What keeping conversations takes, as pure functions on JSON: the store and the chain are the gateway's.

A kept response is its request's input items, its response object, and the id of the response before it. To go on from it
on a channel that did not make it, the whole chain is put before the new input (`expand`), and everything in it that only
the other account knows is taken out. To go on where it was made, the provider's own `previous_response_id` does the same.
"""

from __future__ import annotations

import hashlib
from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import InvalidRequest, NotFound
from bytespike.wire import json
from bytespike.wire.sse import EventBuffer, EventTooLarge, event_of, event_spans

#: OpenAI: "Limit can range between 1 and 100, and the default is 20."
PAGE_LIMIT_MAX: Final = 100
PAGE_LIMIT: Final = 20
_ORDERS: Final = ("asc", "desc")
#: The prefix that an item's id has, by its type.
_PREFIXES: Final = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "web_search_call": "ws",
    "image_generation_call": "ig",
    "compaction": "cmp",
}
#: Items that the API knows by what they hold. Their id only says where one account keeps them.
_KNOWN_BY_CONTENT: Final = frozenset(
    {
        "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
        "web_search_call", "compaction", "local_shell_call_output", "shell_call", "shell_call_output",
        "apply_patch_call", "apply_patch_call_output", "computer_call_output", "tool_search_call", "tool_search_output",
        "additional_tools",
    }
)  # fmt: skip
#: Items whose id the API requires even so (SDK: `Required[str]`).
_ID_REQUIRED: Final = frozenset({"web_search_call"})


# --- what is kept ----------------------------------------------------------------------------------------------


def input_items(body: bytes, response_id: str) -> list[JSONObject]:
    """The request's own input as the items that GET /v1/responses/{id}/input_items shows: a text is a message, a
    message's text is a list of parts, and an item without an id gets one, made of the response's id and its number.

    Raises `InvalidRequest`.
    """
    given = _request(body).get("input")
    if isinstance(given, str):
        message: JSONObject = {"role": "user", "content": given}
        given = [message]
    if not isinstance(given, list):
        raise InvalidRequest("'input' must be a string or an array of items.", param="input")
    tail = hashlib.sha256(response_id.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    items: list[JSONObject] = []
    for number, item in enumerate(given):
        if not isinstance(item, dict):
            raise InvalidRequest(f"'input[{number}]' must be an object.", param=f"input[{number}]")
        items.append(_shown(item, f"{tail}_{number}"))
    return items


def _shown(item: JSONObject, tail: str) -> JSONObject:
    kind = item.get("type")
    if not isinstance(kind, str):
        kind = "message" if "role" in item else "item_reference"
    prefix = _PREFIXES.get(kind, "item")
    shown: JSONObject = {"type": kind, **item}
    if not isinstance(item.get("id"), str) or not item["id"]:
        shown["id"] = f"{prefix}_{tail}"
    if kind == "message":
        shown.setdefault("status", "completed")
        content = item.get("content")
        if isinstance(content, str):
            shown["content"] = [_text_part(content, assistant=item.get("role") == "assistant")]
    return shown


def _text_part(text: str, *, assistant: bool) -> JSONObject:
    if assistant:
        return {"type": "output_text", "annotations": [], "text": text}
    return {"type": "input_text", "text": text}


def output_items(response: JSONObject) -> list[JSONObject]:
    """The items of a response object."""
    output = response.get("output")
    return [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []


def response_of(body: bytes) -> JSONObject | None:
    """The response object of a unary answer's body; None where it is none that could be kept."""
    try:
        response = json.decode_object(body)
    except json.NotJSON:
        return None
    return response if isinstance(response.get("id"), str) and "output" in response else None


class Keeper:
    """Watches the bytes of a stream on their way to the client (after the tap, or from our own writer), and keeps the
    response object of its last event. The other events cost a search for the end of their lines."""

    __slots__ = ("_buffer", "response")

    def __init__(self) -> None:
        self._buffer = EventBuffer()
        #: The finished response; None until the stream has brought it, and for good if it failed.
        self.response: JSONObject | None = None

    def feed(self, data: bytes) -> None:
        """Never raises."""
        if self.response is not None or not data:
            return
        try:
            whole = self._buffer.feed(data)
        except EventTooLarge:
            # It went to the client all the same; such a response is not kept.
            self._buffer = EventBuffer()
            return
        if not _may_be_last(whole):
            return
        for start, end, _ in event_spans(whole):
            self._look(whole[start:end])

    def end(self) -> None:
        """The stream has ended; its last event may lack the empty line."""
        if self.response is None:
            self._look(self._buffer.rest())

    def _look(self, block: bytes) -> None:
        event = event_of(block) if _may_be_last(block) else None
        if event is None:
            return
        try:
            told = json.decode_object(event.data)
        except json.NotJSON:
            return
        response = told.get("response")
        if told.get("type") in ("response.completed", "response.incomplete") and isinstance(response, dict):
            self.response = response


def _may_be_last(data: bytes) -> bool:
    return b"response.completed" in data or b"response.incomplete" in data


# --- going on --------------------------------------------------------------------------------------------------


def expand(body: bytes, chain: list[JSONObject]) -> bytes:
    """The body with the items of the chain before its own input, and without `previous_response_id`: for a channel that
    did not make the chain, or a model of another dialect. Reasoning that brings no proof, references, and ids that only
    one account knows are taken out. Raises `InvalidRequest`."""
    request = _request(body)
    given = request.get("input")
    own: list[JSON]
    if isinstance(given, list):
        own = given
    elif isinstance(given, str):
        own = [{"role": "user", "content": given}]
    elif given is None:
        own = []
    else:
        raise InvalidRequest("'input' must be a string or an array of items.", param="input")
    whole: list[JSON] = []
    proved = False
    for item in [*chain, *own]:
        # The account that keeps a piece of reasoning wants it followed by the very item that it led to.
        portable = item if proved and _is_known_by_content(item) else _portable(item)
        if portable is not None:
            whole.append(portable)
            proved = _has_proof(portable)
    rest: JSONObject = {key: value for key, value in request.items() if key != "previous_response_id"}
    return json.encode({**rest, "input": whole})


def _is_known_by_content(item: JSON) -> bool:
    kind = item.get("type") if isinstance(item, dict) else None
    return isinstance(kind, str) and kind in _KNOWN_BY_CONTENT


def _has_proof(item: JSON) -> bool:
    return isinstance(item, dict) and item.get("type") == "reasoning" and bool(item.get("encrypted_content"))


def _portable(item: JSON) -> JSON:
    """The item as another account can take it; None for one that means nothing there."""
    if not isinstance(item, dict):
        return item
    kind = item.get("type")
    if not isinstance(kind, str):
        kind = "message" if "role" in item else "item_reference"
    if kind == "item_reference":
        return None
    if kind == "reasoning":
        # A proof is held against the item's id, so that stays. Without a proof only open reasoning says anything.
        if item.get("encrypted_content"):
            return item
        return {key: value for key, value in item.items() if key != "id"} if item.get("content") else None
    if kind in _KNOWN_BY_CONTENT and kind not in _ID_REQUIRED:
        return {key: value for key, value in item.items() if key != "id"}
    return item


def without_proofs(body: bytes) -> bytes:
    """The body without reasoning that only the account which encrypted it can read; the same bytes if it has none. Open
    reasoning stays. Raises `InvalidRequest`."""
    if b"encrypted_content" not in body:
        return body
    request = _request(body)
    given = request.get("input")
    if not isinstance(given, list):
        return body
    kept: list[JSON] = []
    for item in given:
        if not isinstance(item, dict) or item.get("type") != "reasoning" or not item.get("encrypted_content"):
            kept.append(item)
        elif item.get("content"):
            kept.append({key: item[key] for key in item if key not in ("id", "encrypted_content")})
    return body if len(kept) == len(given) and kept == given else json.encode({**request, "input": kept})


def without_previous(body: bytes) -> bytes:
    """The body without `previous_response_id`; the same bytes if it has none. Raises `InvalidRequest`."""
    if b"previous_response_id" not in body and b"\\u" not in body:
        return body
    request = _request(body)
    if "previous_response_id" not in request:
        return body
    return json.encode({key: value for key, value in request.items() if key != "previous_response_id"})


def _request(body: bytes) -> JSONObject:
    try:
        request = json.decode_object(body)
    except json.NotJSON as error:
        raise InvalidRequest(f"The request body is not valid: {error}.") from None
    if json.nests_deeper(request):
        raise InvalidRequest("The request body nests too deeply.")
    return request


# --- the endpoints' answers ------------------------------------------------------------------------------------


def list_page(
    items: list[JSONObject], after: str | None = None, limit: int = PAGE_LIMIT, order: str = "desc"
) -> JSONObject:
    """GET /v1/responses/{id}/input_items. `items`: oldest first. Raises `InvalidRequest`, `NotFound`."""
    if not 1 <= limit <= PAGE_LIMIT_MAX:
        raise InvalidRequest(f"'limit' must be between 1 and {PAGE_LIMIT_MAX}.", param="limit")
    if order not in _ORDERS:
        raise InvalidRequest("'order' must be 'asc' or 'desc'.", param="order")
    listed = items if order == "asc" else items[::-1]
    start = 0
    if after is not None:
        found = next((at for at, item in enumerate(listed) if item.get("id") == after), None)
        if found is None:
            raise NotFound(f"No item '{after[:100]}' in this response's input.", param="after")
        start = found + 1
    page = listed[start : start + limit]
    return {
        "object": "list",
        "data": [*page],
        "first_id": page[0].get("id") if page else None,
        "last_id": page[-1].get("id") if page else None,
        "has_more": start + limit < len(listed),
    }


def deleted(response_id: str) -> JSONObject:
    """DELETE /v1/responses/{id}."""
    return {"id": response_id, "object": "response", "deleted": True}
