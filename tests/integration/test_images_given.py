"""Images that a client gives: by URL through the guarded fetcher, by the gateway's own URLs, in JSON, in forms."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream
from tests.support.fetch_names import PUBLIC_HOST, OneOpenDoor
from tests.support.image_gateway import ImageGateway
from tests.support.raw_http import Answer

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
INLINE = "data:image/png;base64," + base64.b64encode(PNG).decode()
EDITS = "/v1/images/edits"


async def _gives(peer: Peer) -> None:
    match peer.request.target:
        case b"/a.png":
            await peer.answer(200, ((b"content-type", b"application/octet-stream"),), PNG)
        case b"/a.pdf":
            await peer.answer(200, body=b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n")
        case b"/inside.png":
            inside = b"http://127.0.0.1:%d/a.png" % int(peer.request.headers[b"host"].partition(b":")[2])
            await peer.answer(302, ((b"location", inside),))
        case _:
            await peer.answer(404, body=b"nothing here")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageGateway]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bytespike.app.GuardedResolver", OneOpenDoor)
        with ImageGateway(tmp_path_factory.mktemp("given")) as running:
            yield running


@pytest.fixture
def files(gateway: ImageGateway) -> Iterator[ScriptedUpstream]:
    gateway.heal()
    gateway.forget_upstream_requests()
    server = ScriptedUpstream(_gives)
    gateway.run(server.__aenter__())
    yield server
    gateway.run(server.__aexit__(None, None, None))


def asked(gateway: ImageGateway, path: str = EDITS, **body: Any) -> Answer:
    return gateway.post(path, json.dumps({"prompt": "greener", **body}).encode())


def error_of(answer: Answer) -> dict[str, Any]:
    return json.loads(answer.body)["error"]


@pytest.mark.parametrize("slug", ["gpt-image-2", "nano-banana", "seedream-v4", "gpt-4o-image"])
def test_an_image_by_url_reaches_the_vendor_inline(
    gateway: ImageGateway, files: ScriptedUpstream, slug: str
) -> None:
    url = f"http://{PUBLIC_HOST}:{files.port}/a.png"
    answer = asked(gateway, model=slug, image=url)
    assert answer.status == 200, answer.body
    assert len(files.requests) == 1
    sent = gateway.sim.requests[0]
    shown = sent.body if isinstance(sent.body, str) else json.dumps(sent.body)
    assert PUBLIC_HOST not in shown
    if slug != "gpt-image-2":
        assert base64.b64encode(PNG).decode() in shown


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/gone.png", "answered 404"),
        ("/a.pdf", "it is application/pdf"),
        ("/inside.png", "cannot be reached at a public address"),
    ],
)
def test_what_cannot_be_fetched_is_the_callers_mistake(
    gateway: ImageGateway, files: ScriptedUpstream, path: str, reason: str
) -> None:
    answer = asked(gateway, model="gpt-image-2", image=f"http://{PUBLIC_HOST}:{files.port}{path}")
    assert answer.status == 400
    error = error_of(answer)
    assert (error["code"], error["param"]) == ("invalid_param", "image")
    assert reason in error["message"]
    assert gateway.sim.requests == []
    assert all(request.target == path.encode() for request in files.requests)
    assert gateway.application.parts.ledger.stats().open_holds == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.1", "localhost"])
def test_no_private_address_is_asked(gateway: ImageGateway, files: ScriptedUpstream, host: str) -> None:
    answer = asked(gateway, model="nano-banana", image=f"http://{host}:{files.port}/a.png")
    assert answer.status == 400
    assert "public address" in error_of(answer)["message"]
    assert files.requests == []
    assert gateway.sim.requests == []


def test_the_gateways_own_url_is_opened_and_not_fetched(
    gateway: ImageGateway, files: ScriptedUpstream
) -> None:
    first = asked(gateway, "/v1/images/generations", model="gpt-image-2")
    url = json.loads(first.body)["data"][0]["url"]
    gateway.forget_upstream_requests()
    second = asked(gateway, model="gpt-image-2", image=url)
    assert second.status == 200, second.body
    assert json.loads(second.body)["usage"]["input_tokens_details"]["image_tokens"] == 1000
    assert len(gateway.sim.requests) == 1
    changed = asked(gateway, model="gpt-image-2", image=url.replace("signature=", "signature=x"))
    assert changed.status == 400
    assert files.requests == []


@pytest.mark.parametrize(
    "given",
    [
        {"image": INLINE},
        {"image": [INLINE]},
        {"images": [{"image_url": INLINE}]},
        {"images": [{"image_url": {"url": INLINE}}]},
        {"image": base64.b64encode(PNG).decode()},
        {"source_image": INLINE},
        {"reference_images": [INLINE]},
        {"image_init": INLINE},
    ],
    ids=str,
)
def test_json_takes_images_in_every_spelling(
    gateway: ImageGateway, files: ScriptedUpstream, given: dict[str, Any]
) -> None:
    answer = asked(gateway, model="gpt-image-2", **given)
    assert answer.status == 200, answer.body
    assert json.loads(answer.body)["usage"]["input_tokens_details"]["image_tokens"] == 1000


def test_generations_take_a_reference_too(gateway: ImageGateway, files: ScriptedUpstream) -> None:
    answer = asked(gateway, "/v1/images/generations", model="nano-banana-v2", source_image=INLINE)
    assert answer.status == 200
    assert base64.b64encode(PNG).decode() in json.dumps(gateway.sim.requests[0].body)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"model": "gpt-image-2"}, "invalid_param", "image"),
        ({"model": "gpt-image-2", "image": "nonsense"}, "invalid_param", "image"),
        ({"model": "gpt-image-2", "image": 7}, "invalid_param", "image"),
        ({"model": "gpt-image-2", "image": [INLINE] * 17}, "invalid_param", "image"),
        ({"model": "gpt-image-2", "image": [INLINE, "ftp://a/b.png"]}, "invalid_param", "image[1]"),
        ({"model": "gpt-image-2", "images": [{"file_id": "file_1"}]}, "unsupported_feature", "images[0]"),
        ({"model": "gpt-image-2", "image": "data:text/plain;base64,aGk="}, "invalid_param", "image"),
        ({"model": "nano-banana", "image": INLINE, "mask": INLINE}, "unsupported_feature", "mask"),
        ({"model": "gpt-image-2", "mask": INLINE}, "invalid_param", "mask"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_image_is_named(
    gateway: ImageGateway, files: ScriptedUpstream, body: dict[str, Any], code: str, param: str
) -> None:
    answer = asked(gateway, **body)
    assert answer.status == 400
    error = error_of(answer)
    assert (error["code"], error["param"]) == (code, param)
    assert gateway.sim.requests == []


def test_a_form_has_figures_and_flags_as_text(gateway: ImageGateway, files: ScriptedUpstream) -> None:
    fields = {
        "model": "gpt-image-2",
        "prompt": "greener",
        "n": "2",
        "stream": "false",
        "response_format": "b64_json",
    }
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    parts.append(
        b'--b\r\nContent-Disposition: form-data; name="image[]"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + PNG + b"\r\n--b--\r\n"
    )
    headers = {"x-api-key": gateway.key, "content-type": "multipart/form-data; boundary=b"}
    answer = gateway.request("POST", EDITS, b"".join(parts), headers)
    assert answer.status == 200, answer.body
    assert [set(each) for each in json.loads(answer.body)["data"]] == [{"b64_json"}, {"b64_json"}]


def test_where_nothing_is_fetched_a_url_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ImageGateway(tmp_path_factory.mktemp("closed"), fetch_urls=False) as gateway:
        answer = asked(gateway, model="gpt-image-2", image="https://example.com/a.png")
        assert answer.status == 400
        assert "base64" in error_of(answer)["message"]
