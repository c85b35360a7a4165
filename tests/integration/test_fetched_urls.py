"""Images and PDFs by URL, where the upstream takes them inline only: the gateway fetches them."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream
from tests.support.fetch_names import PUBLIC_HOST, OneOpenDoor
from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, RunningGateway
from tests.support.sdk_table import UNSPOKEN
from tests.support.sdk_talk import Pdf
from tests.support.sdk_ways import WAYS, opened

PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"
INLINE = "data:application/pdf;base64," + base64.b64encode(PDF).decode()


async def _gives(peer: Peer) -> None:
    match peer.request.target:
        case b"/inside.pdf":
            inside = b"http://127.0.0.1:%d/a.pdf" % int(peer.request.headers[b"host"].partition(b":")[2])
            await peer.answer(302, ((b"location", inside),))
        case b"/text.pdf":
            await peer.answer(200, ((b"content-type", b"application/pdf"),), b"the operator's secret")
        case b"/large.pdf":
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 30000000\r\n\r\n%PDF-")
        case b"/stuck.pdf":
            await peer.stall()
        case _:
            await peer.answer(200, body=PDF)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bytespike.app.GuardedResolver", OneOpenDoor)
        with RunningGateway(tmp_path_factory.mktemp("fetching")) as running:
            yield running


class Files:
    """A server of documents on the gateway's loop. `url` is for a host that stands for a public one."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self.server = ScriptedUpstream(_gives)

    def __enter__(self) -> Files:
        self._gateway.run(self.server.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._gateway.run(self.server.__aexit__(None, None, None))

    def url(self, path: str = "/a.pdf", host: str = PUBLIC_HOST) -> str:
        return f"http://{host}:{self.server.port}{path}"


@pytest.fixture
def files(gateway: RunningGateway) -> Iterator[Files]:
    gateway.forget_upstream_requests()
    with Files(gateway) as files:
        yield files


def messages(model: str, url: str, **more: Any) -> tuple[str, bytes]:
    source = {"type": "url", "url": url}
    content = [{"type": "document", "source": source, "title": "Report"}, {"type": "text", "text": "Sum up."}]
    body = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": content}], **more}
    return "/v1/messages", json.dumps(body).encode()


def responses(model: str, url: str) -> tuple[str, bytes]:
    content = [{"type": "input_file", "file_url": url}, {"type": "input_text", "text": "Sum up."}]
    body = {"model": model, "input": [{"role": "user", "content": content}]}
    return "/v1/responses", json.dumps(body).encode()


def gemini(model: str, url: str) -> tuple[str, bytes]:
    parts = [{"fileData": {"mimeType": "application/pdf", "fileUri": url}}, {"text": "Sum up."}]
    body = {"contents": [{"role": "user", "parts": parts}]}
    return f"/v1beta/models/{model}:generateContent", json.dumps(body).encode()


@pytest.mark.parametrize("ask", [messages, responses, gemini])
def test_a_document_by_url_reaches_a_chat_upstream_inline(gateway, files, ask):
    answer = gateway.post(*ask(GPT, files.url()))
    assert answer.status == 200, answer.body
    sent = gateway.newest_upstream_request().body["messages"][-1]["content"][0]["file"]
    assert sent["file_data"] == INLINE
    assert len(files.server.requests) == 1
    gateway.nothing_left_over()


def test_it_does_so_for_a_stream_too(gateway, files):
    answer = gateway.post(*messages(GPT, files.url(), stream=True))
    assert answer.status == 200
    assert b"message_stop" in answer.body


@pytest.mark.parametrize("model", [CLAUDE, GPT_RESPONSES, GEMINI])
def test_an_upstream_that_takes_urls_is_given_the_url(gateway, files, model):
    url = files.url()
    answer = gateway.post(*messages(model, url))
    assert answer.status == 200, answer.body
    assert url in json.dumps(gateway.newest_upstream_request().body)
    assert files.server.requests == []


@pytest.mark.parametrize(
    ("host", "path", "why"),
    [
        ("127.0.0.1", "/a.pdf", "public address"),
        ("169.254.169.254", "/latest/meta-data/", "public address"),
        ("[::1]", "/a.pdf", "public address"),
        (PUBLIC_HOST, "/inside.pdf", "public address"),
        (PUBLIC_HOST, "/text.pdf", "neither an image"),
        (PUBLIC_HOST, "/large.pdf", "more than 20 MiB"),
    ],
)
def test_what_cannot_be_fetched_is_the_callers_mistake_and_costs_nothing(gateway, files, host, path, why):
    rows, balance = gateway.usage_rows(), gateway.balance()
    answer = gateway.post(*messages(GPT, files.url(path + "?sig=hidden", host).replace("?sig", "#sig")))
    assert answer.status == 400
    error = json.loads(answer.body)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith(f"the document at {host.strip('[]')} cannot be fetched: ")
    assert why in error["message"]
    assert "hidden" not in answer.body.decode()
    assert b"operator" not in answer.body
    assert gateway.upstream_requests() == []
    assert (gateway.usage_rows(), gateway.balance()) == (rows, balance)
    gateway.nothing_left_over()
    gateway.until(lambda: gateway.application.parts.fetcher.stats().open == 0)


def test_a_caller_that_hangs_up_ends_the_fetch(gateway, files):
    path, body = messages(GPT, files.url("/stuck.pdf"))
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {gateway.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((gateway.host, gateway.port)) as caller:
        caller.sendall(head.encode() + body)
        gateway.until(lambda: bool(files.server.requests))
        assert gateway.open_holds() == 1
    fetches = gateway.application.parts.fetcher.stats
    gateway.until(lambda: fetches().open == 0, seconds=5)
    gateway.nothing_left_over()
    assert gateway.upstream_requests() == []


def test_switched_off_such_requests_are_refused_and_nothing_is_fetched(tmp_path: Path):
    with RunningGateway(tmp_path, fetch_urls=False) as gateway, Files(gateway) as files:
        answer = gateway.post(*responses(GPT, files.url()))
        assert answer.status == 400
        assert json.loads(answer.body)["error"]["code"] == "unsupported_feature"
        assert files.server.connections == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", [way for way in WAYS if ("pdf_url", way) not in UNSPOKEN])
def test_official_sdks_send_documents_by_url_to_a_model_that_takes_none(gateway, files, way, stream):
    with opened(gateway) as ways:
        talk = ways.talk(way)
        talk.user("What is this?", Pdf(url=files.url()))
        assert "It got 1 document(s)" in talk.answer(GPT, stream=stream).text
        # The next turn gives the document again.
        talk.user("And now?")
        assert talk.answer(GPT, stream=stream).text
