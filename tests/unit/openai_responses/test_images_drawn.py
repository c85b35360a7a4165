"""Images that a Responses upstream has drawn."""

import json

import pytest

from bytespike.core import content as c
from bytespike.protocols.registry import DIALECTS

RESPONSES = DIALECTS["openai_responses"]


def _parts(result: str) -> tuple[c.Part, ...]:
    item = {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": result}
    body = {"object": "response", "status": "completed", "model": "m", "output": [item]}
    return RESPONSES.read_response(json.dumps(body).encode()).candidates[0].parts


@pytest.mark.parametrize("result", ["iVBORw0KGgo=", "iVBORw0KGgo", "_-8="])
def test_base64_is_an_image(result: str) -> None:
    (part,) = _parts(result)
    assert isinstance(part, c.ImagePart)


@pytest.mark.parametrize("result", ["x", "no base64!", "a=b="])
def test_anything_else_stays_an_item_that_only_this_dialect_knows(result: str) -> None:
    (part,) = _parts(result)
    assert isinstance(part, c.ForeignPart)
