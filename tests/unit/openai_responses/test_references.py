"""References to items of answers that the gateway wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.errors import InvalidRequest
from bytespike.protocols.openai_responses.answer_out import made_id
from bytespike.protocols.openai_responses.references import RESPONSES_MAX, named_responses, with_items

HELLO: dict[str, Any] = {"role": "user", "content": "hi"}
THOUGHT: dict[str, Any] = {"type": "reasoning", "id": made_id("rs", "01ABC", 0), "summary": []}


def body(*items: Any, **more: Any) -> bytes:
    return json.dumps({"model": "m", "input": list(items), **more}).encode()


def reference(id: str) -> dict[str, str]:
    return {"type": "item_reference", "id": id}


def test_the_id_of_an_item_says_which_response_it_is_of() -> None:
    asked = body(
        HELLO, reference(THOUGHT["id"]), reference(made_id("msg", "01ABC", 12)), reference("rs_01DEF_1")
    )
    assert named_responses(asked) == ["resp_01ABC", "resp_01DEF"]


@pytest.mark.parametrize("id", ["rs_68af4030592c81938ec0a5fbab4a3e9f", "", "rs__0", "rs_01ABC_x", "a_b_c_0"])
def test_a_providers_own_ids_name_no_response_of_ours(id: str) -> None:
    assert named_responses(body(reference(id))) == []


@pytest.mark.parametrize("asked", [b'{"input": "item_reference"}', b'{"input": ["item_reference", {}, 5]}'])
def test_what_is_no_reference_names_nothing(asked: bytes) -> None:
    assert named_responses(asked) == []


def test_a_known_item_stands_where_its_reference_was() -> None:
    asked = body(HELLO, reference(THOUGHT["id"]), reference("rs_other"), store=False)
    told = json.loads(with_items(asked, {THOUGHT["id"]: THOUGHT}))
    assert told == {"model": "m", "input": [HELLO, THOUGHT, reference("rs_other")], "store": False}


def test_a_body_without_known_references_stays_as_it_is() -> None:
    asked = body(HELLO, reference("rs_other"))
    assert with_items(asked, {THOUGHT["id"]: THOUGHT}) is asked


def test_references_to_too_many_responses_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        named_responses(body(*(reference(f"rs_{number}_0") for number in range(RESPONSES_MAX + 1))))


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        named_responses(b'{"item_reference"')
