"""Keeping conversations: what is kept, and how it goes on elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import ResponseItemList

from bytespike.core import content as c
from bytespike.core.fold import unfold
from bytespike.errors import InvalidRequest, NotFound
from bytespike.protocols.openai_responses import DIALECT, stored
from tests.support.responses_bodies import answer, body, shown, streamed, told
from tests.support.sdk_shapes import exactly


@pytest.mark.parametrize(
    ("members", "store", "previous"),
    [
        ({}, True, None),
        ({"store": None, "previous_response_id": None}, True, None),
        ({"previous_response_id": ""}, True, None),
        ({"previous_response_id": "resp_1"}, True, "resp_1"),
        ({"store": False}, False, None),
    ],
)
def test_an_answer_is_kept_unless_the_request_says_no(
    members: dict[str, Any], store: bool, previous: str | None
) -> None:
    seen = DIALECT.peek(body(**members))
    assert (seen.store, seen.previous_id) == (store, previous)


@pytest.mark.parametrize("wrong", [{"store": "no"}, {"previous_response_id": 3}])
def test_what_is_said_about_keeping_is_of_the_right_type(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        DIALECT.peek(body(**wrong))


def test_input_items_are_those_that_the_sdk_lists() -> None:
    data = body(
        input=[
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "so"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "id": "fc_own", "status": "completed"},
            {"type": "function_call_output", "call_id": "c", "output": "1", "status": "completed"},
        ]
    )  # fmt: skip
    items = stored.input_items(data, "resp_1")
    assert items == stored.input_items(data, "resp_1")
    assert [str(item["id"])[:4] for item in items] == ["msg_", "msg_", "fc_o", "fco_"]
    assert len({item["id"] for item in items}) == 4
    assert stored.input_items(data, "resp_2")[0]["id"] != items[0]["id"]
    exactly(ResponseItemList, stored.list_page(items))


def test_a_text_is_one_message() -> None:
    (item,) = stored.input_items(body(), "resp_1")
    assert item["content"] == [{"type": "input_text", "text": "hi"}]
    for wrong in ({"input": 3}, {"input": [3]}, {"input": None}):
        with pytest.raises(InvalidRequest):
            stored.input_items(body(**wrong), "resp_1")


def test_a_conversation_goes_on_elsewhere_and_every_dialect_can_read_it() -> None:
    first = body(input="what is 1+1?", instructions="be brief")
    reply = shown(
        answer(
            c.ReasoningPart("hm", c.Proof("anthropic_messages", "sig")),
            c.TextPart("let me see"),
            c.ToolCallPart("c1", "add", "{}", proof=c.Proof("gemini", "g")),
        )
    )
    chain = [*stored.input_items(first, reply["id"]), *stored.output_items(reply)]
    result = {"type": "function_call_output", "call_id": "c1", "output": "2"}
    whole = stored.expand(body(input=[result], previous_response_id=reply["id"], instructions="now"), chain)
    assert "previous_response_id" not in json.loads(whole)
    request = DIALECT.read_request(whole)
    # Instructions are not carried over (the API's rule).
    assert [part.text for part in request.system if isinstance(part, c.TextPart)] == ["now"]
    assert [turn.role for turn in request.turns] == ["user", "assistant", "user"]
    thought, said, called = request.turns[1].parts
    assert thought == c.ReasoningPart("hm", c.Proof("anthropic_messages", "sig"))
    assert isinstance(said, c.TextPart)
    assert isinstance(called, c.ToolCallPart)
    assert called.proof == c.Proof("gemini", "g")


def test_what_only_the_other_account_knows_is_taken_out() -> None:
    chain: list[dict[str, Any]] = [
        {"type": "message", "id": "msg_1", "role": "user", "content": []},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "enc"},
        {
            "type": "reasoning",
            "id": "rs_3",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "t"}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": ""},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
        {"type": "item_reference", "id": "msg_0"},
    ]
    got = json.loads(stored.expand(body(input="and?"), chain))["input"]
    assert [(item.get("type"), item.get("id")) for item in got] == [
        ("message", None),
        ("reasoning", "rs_2"),
        ("reasoning", None),
        ("function_call", None),
        ("web_search_call", "ws_1"),
        (None, None),
    ]


def test_without_previous_only_that_goes() -> None:
    data = body()
    assert stored.without_previous(data) is data
    assert json.loads(stored.without_previous(body(previous_response_id="x", a=1))) == {
        **json.loads(data),
        "a": 1,
    }
    hidden = b'{"model":"m","previous\\u005fresponse_id":"x","input":"previous_response_id"}'
    assert "previous_response_id" not in json.loads(stored.without_previous(hidden))


def test_pages_of_items() -> None:
    items: list[Any] = [{"id": f"i{number}"} for number in range(5)]

    def ids(**query: Any) -> list[str]:
        page: Any = stored.list_page(items, **query)
        return [item["id"] for item in page["data"]] + (["..."] if page["has_more"] else [])

    assert ids() == ["i4", "i3", "i2", "i1", "i0"]
    assert ids(order="asc", limit=2) == ["i0", "i1", "..."]
    assert ids(order="asc", limit=2, after="i3") == ["i4"]
    assert ids(after="i0") == []
    assert stored.list_page([])["data"] == []
    for query, error in (({"limit": 0}, InvalidRequest), ({"limit": 101}, InvalidRequest), ({"order": "up"}, InvalidRequest), ({"after": "x"}, NotFound)):  # fmt: skip
        with pytest.raises(error):
            stored.list_page(items, **query)


def test_deleted_says_what() -> None:
    assert stored.deleted("resp_1") == {"id": "resp_1", "object": "response", "deleted": True}


def test_a_keeper_keeps_what_our_own_writer_ended_with() -> None:
    stream = streamed(list(unfold(answer(c.TextPart("response.completed is not the end"), c.TextPart("b")))))
    for step in (1, 10, 1000, len(stream)):
        keeper = stored.Keeper()
        for at in range(0, len(stream), step):
            assert keeper.response is None
            keeper.feed(stream[at : at + step])
        keeper.end()
        assert keeper.response == told(stream)[-1]["response"]


def test_a_keeper_keeps_nothing_of_a_failure_or_of_noise() -> None:
    for data in (
        b"event: response.failed\ndata: {}\n\n",
        b"data: response.completed\n\n",
        b'data: {"type":"response.completed"}\n\n',
        b": response.completed\n\n",
        b'data: {"type":"response.completed","response":{',
    ):
        keeper = stored.Keeper()
        keeper.feed(data)
        keeper.end()
        assert keeper.response is None


def test_a_whole_answer_is_kept_if_it_is_one() -> None:
    assert stored.response_of(b'{"id":"resp_1","output":[]}') == {"id": "resp_1", "output": []}
    assert stored.response_of(b"[]") is stored.response_of(b'{"id":3}') is None


def test_what_follows_a_proof_keeps_its_id_and_only_that() -> None:
    def said(number: int) -> dict[str, object]:
        return {"type": "message", "id": f"msg_{number}", "role": "assistant", "content": []}

    proved = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
    bare = {"type": "reasoning", "id": "rs_2", "summary": []}
    whole = stored.expand(b'{"input": "and now?"}', [proved, said(1), said(2), bare, said(3)])
    sent = json.loads(whole)["input"]
    assert [item.get("id") for item in sent] == ["rs_1", "msg_1", None, None, None]
    assert sent[-1] == {"role": "user", "content": "and now?"}
