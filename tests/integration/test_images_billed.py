"""Images and money: billed by the picture that was delivered, by its size and quality; what fails costs nothing."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from bytespike.media.objects.backends import StoreUnavailable
from bytespike.media.objects.store import ObjectStore
from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream
from tests.support.image_gateway import ImageGateway
from tests.support.raw_http import Answer

USD = 1_000_000
GENERATIONS = "/v1/images/generations"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageGateway]:
    with ImageGateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(autouse=True)
def well(gateway: ImageGateway) -> None:
    """What channels failed at in one test is not held against them in the next."""
    gateway.heal()


def asked(gateway: ImageGateway, key: str = "", path: str = GENERATIONS, **body: Any) -> Answer:
    headers = {"x-api-key": key or gateway.key}
    return gateway.post(path, json.dumps({"prompt": "a kettle", **body}).encode(), headers)


def error_of(answer: Answer) -> dict[str, Any]:
    return json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    ("body", "usd"),
    [
        ({"model": "gpt-image-2"}, 30_000),
        ({"model": "gpt-image-2", "quality": "low"}, 30_000),
        ({"model": "gpt-image-2", "quality": "high"}, 80_000),
        ({"model": "gpt-image-2", "quality": "high", "size": "1536x1024"}, 80_000),
        ({"model": "gpt-image-2", "quality": "high", "size": "2048x2048"}, 250_000),
        ({"model": "gpt-image-2", "quality": "high", "size": "3840x2160"}, 250_000),
        ({"model": "gpt-image-2", "size": "2048x2048"}, 30_000),
        ({"model": "gpt-image-2-official", "quality": "high", "size": "2048x2048"}, 312_500),
        ({"model": "nano-banana"}, 20_000),
        ({"model": "nano-banana-pro", "size": "2K"}, 40_000),
        ({"model": "nano-banana-pro", "quality": "hd"}, 80_000),
        ({"model": "nano-banana-pro", "size": "4K"}, 80_000),
        ({"model": "nano-banana-pro", "size": "4096x4096"}, 80_000),
        ({"model": "nano-banana-v2", "size": "2K", "n": 3}, 120_000),
        ({"model": "seedream-v4", "n": 2}, 48_000),
        ({"model": "seedream-v5lite", "size": "3K"}, 12_000),
        ({"model": "gpt-4o-image", "quality": "high"}, 80_000),
        ({"model": "gpt-4o-image", "n": 2}, 160_000),
    ],
    ids=str,
)
def test_a_picture_costs_what_its_size_and_quality_say(
    gateway: ImageGateway, body: dict[str, Any], usd: int
) -> None:
    key = gateway.new_key(multiplier_ppm=1_000_000, quota=100 * USD)
    answer = asked(gateway, key, **body)
    assert answer.status == 200, answer.body
    row = gateway.billed()[-1]
    assert row.credits == usd
    assert row.images == body.get("n", 1)
    assert row.request_id == answer.headers["request-id"]
    after = asked(gateway, key, model="gpt-image-2", quality="worst")
    assert after.status == 400
    assert float(after.headers["x-quota-remaining-credits"]) == pytest.approx(100 - usd / USD)


def test_an_automatic_quality_is_held_for_at_the_dearest_and_billed_as_delivered(
    gateway: ImageGateway,
) -> None:
    answer = asked(gateway, model="gpt-image-2", quality="auto", size="auto")
    assert float(answer.headers["x-estimated-credits"]) == 0.25
    row = gateway.billed()[-1]
    # The simulator says that it drew medium, and its bytes have 1024 x 1024 pixels.
    assert (row.credits, row.held) == (30_000, 250_000)


def test_the_groups_multiplier_holds_for_pictures_too(gateway: ImageGateway) -> None:
    key = gateway.new_key(multiplier_ppm=1_500_000)
    asked(gateway, key, model="seedream-v5lite", n=3)
    assert gateway.billed()[-1].credits == 54_000


def test_fewer_pictures_than_asked_for_are_billed_as_fewer(gateway: ImageGateway) -> None:
    answer = asked(gateway, model="gpt-image-2", n=4, prompt="a cup [[sim: images=3]]")
    assert len(json.loads(answer.body)["data"]) == 3
    assert "n: approximated (3 of 4 were drawn)" in answer.headers["x-bytespike-notices"]
    row = gateway.billed()[-1]
    assert (row.images, row.credits, row.held) == (3, 90_000, 120_000)


def test_of_a_sequence_those_are_billed_that_were_drawn(gateway: ImageGateway) -> None:
    body = {
        "model": "seedream-4-5",
        "sequential_image_generation": "auto",
        "sequential_image_generation_options": {"max_images": 5},
    }
    answer = asked(gateway, **body, prompt="a comic [[sim: images=3]]")
    assert len(json.loads(answer.body)["data"]) == 3
    row = gateway.billed()[-1]
    assert (row.images, row.credits, row.held) == (3, 90_000, 150_000)


@pytest.mark.parametrize("slug", ["gpt-image-2", "nano-banana-pro", "seedream-4-5", "gpt-4o-image"])
def test_no_picture_costs_nothing(gateway: ImageGateway, slug: str) -> None:
    billed = gateway.usage_rows()
    answer = asked(gateway, model=slug, prompt="a void [[sim: images=0]]")
    assert answer.status in (451, 502), answer.body
    assert gateway.usage_rows() == billed
    assert gateway.application.parts.ledger.stats().open_holds == 0


def test_a_dry_run_is_checked_and_priced_and_nobody_is_asked(gateway: ImageGateway) -> None:
    gateway.forget_upstream_requests()
    billed = gateway.usage_rows()
    headers = {"x-api-key": gateway.key, "x-bytespike-dry-run": "true"}
    body = {"model": "gpt-image-2", "prompt": "x", "n": 3, "quality": "high"}
    answer = gateway.post(GENERATIONS, json.dumps(body).encode(), headers)
    assert json.loads(answer.body) == {
        "object": "dry_run",
        "model": "gpt-image-2",
        "estimated_credits": "0.24",
        "estimated_images": 3,
    }
    assert answer.headers["x-estimated-credits"] == "0.24"
    wrong = gateway.post(GENERATIONS, json.dumps({**body, "n": 11}).encode(), headers)
    assert wrong.status == 400
    assert gateway.sim.requests == []
    assert gateway.usage_rows() == billed
    assert gateway.application.parts.ledger.stats().open_holds == 0


def test_who_cannot_pay_for_all_of_them_gets_none(gateway: ImageGateway) -> None:
    poor = gateway.new_key(user_id=gateway.new_user(100_000))
    refused = asked(gateway, poor, model="gpt-image-2", n=4)
    assert refused.status == 402
    assert error_of(refused)["code"] == "insufficient_balance"
    assert asked(gateway, poor, model="gpt-image-2", n=3).status == 200


def test_every_answer_has_its_accounting_headers(gateway: ImageGateway) -> None:
    key = gateway.new_key(limit_1d=5 * USD)
    for body in ({"model": "gpt-image-2"}, {"model": "gpt-image-2", "stream": True}):
        answer = asked(gateway, key, **body)
        assert answer.headers["x-estimated-credits"] == "0.03"
        assert answer.headers["x-ratelimit-limit"] == "5.00"
        assert answer.headers["request-id"] == answer.headers["x-request-id"]
    refused = asked(gateway, key, model="gpt-image-2", n=0)
    assert refused.status == 400
    assert refused.headers["x-ratelimit-remaining"] == "4.94"


# --- channels that fail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("credential", ["sim-bad", "sim-poor", "sim-limited"])
@pytest.mark.parametrize("family", ["gpt-image", "nano-banana", "seedream"])
def test_a_channel_that_its_vendor_refuses_is_passed_over(
    tmp_path_factory: pytest.TempPathFactory, family: str, credential: str
) -> None:
    slug = {"gpt-image": "gpt-image-2", "nano-banana": "nano-banana", "seedream": "seedream-v4"}[family]
    with ImageGateway(tmp_path_factory.mktemp("failover")) as gateway:
        gateway.add_first(family, credential=credential)
        answer = asked(gateway, model=slug)
        assert answer.status == 200, answer.body
        assert gateway.usage_rows() == 1
        first, second = gateway.attempt_rows()
        assert (first.outcome, first.cost, first.images) == ("failed", 0, 0)
        assert first.status in (401, 402, 403, 429)
        assert first.error == {
            401: "invalid_api_key",
            402: "insufficient_balance",
            403: "permission_denied",
            429: "rate_limit_exceeded",
        }.get(first.status)
        assert (second.outcome, second.images) == ("completed", 1)
        assert second.cost == gateway.billed()[0].credits


def test_when_every_channel_fails_nothing_is_told_of_them_and_nothing_is_billed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with ImageGateway(tmp_path_factory.mktemp("failing")) as gateway:
        answer = asked(gateway, model="gpt-image-2", prompt="x [[sim: error=500]]")
        assert answer.status == 503
        assert error_of(answer)["code"] == "no_available_channel"
        assert gateway.usage_rows() == 0
        assert [row.status for row in gateway.attempt_rows()] == [500]


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/chat/completions"])
def test_a_dry_run_is_priced_while_every_channel_rests(
    tmp_path_factory: pytest.TempPathFactory, path: str
) -> None:
    with ImageGateway(tmp_path_factory.mktemp("resting")) as gateway:
        order = {"model": "gpt-4o-image", "prompt": "x", "messages": [{"role": "user", "content": "x"}]}
        if path == "/v1/images/generations":
            order = {"model": "gpt-image-2", "prompt": "x"}
        body = json.dumps(order).encode()
        dry = {"x-api-key": gateway.key, "x-bytespike-dry-run": "true"}
        before = gateway.post(path, body, dry)
        assert before.status == 200, before.body
        parts = gateway.application.parts
        now_us = parts.clock.now_us()
        for channel_id in parts.directory.routes.channels:
            parts.health.note_failure(channel_id, "channel", 429, 600, now_us)
        assert gateway.post(path, body).status == 503
        again = gateway.post(path, body, dry)
        assert (again.status, again.body) == (200, before.body)
        assert gateway.usage_rows() == 0


def test_what_is_wrong_with_the_request_is_told_as_the_vendor_says_it(gateway: ImageGateway) -> None:
    answer = asked(gateway, model="gpt-image-2", prompt='x [[sim: error=400 error_text="No cups, please"]]')
    assert answer.status == 400
    assert error_of(answer)["message"] == "No cups, please"
    assert gateway.application.parts.health.of(gateway.attempt_rows()[-1].channel_id).failures == 0


@pytest.mark.parametrize("slug", ["gpt-image-2", "seedream-v4"])
@pytest.mark.parametrize("how", ["error_event_after=1", "cut_after=1", "break_after=1"])
def test_a_stream_that_breaks_ends_in_an_error_event_and_costs_nothing(
    gateway: ImageGateway, slug: str, how: str
) -> None:
    billed = gateway.usage_rows()
    body: dict[str, Any] = {"model": slug, "stream": True, "prompt": f"a fox [[sim: {how}]]"}
    if slug == "gpt-image-2":
        body["partial_images"] = 3
    else:
        body["sequential_image_generation"] = "auto"
        body["sequential_image_generation_options"] = {"max_images": 3}
    answer = asked(gateway, **body)
    if slug == "gpt-image-2":
        # Something had been shown.
        assert answer.status == 200
        assert b"event: image_generation.partial_image" in answer.body
        last = answer.body.strip().split(b"\n\n")[-1]
        assert last.startswith(b"event: error\ndata: ")
        assert b'"api_error"' in last
    else:
        # The first picture waits for the second: nothing had been shown.
        assert answer.status in (502, 503)
    assert b"image_generation.completed" not in answer.body
    assert gateway.usage_rows() == billed
    assert gateway.application.parts.ledger.stats().open_holds == 0


def test_who_hangs_up_pays_for_what_was_shown(gateway: ImageGateway) -> None:
    before = gateway.usage_rows()
    body = {
        "model": "gpt-image-2",
        "stream": True,
        "partial_images": 3,
        "prompt": "a slow fox [[sim: pace=5]]",
    }
    with _posted(gateway, body) as connection:
        seen = b""
        while b"partial_image" not in seen:
            piece = connection.recv(65536)
            assert piece
            seen += piece
    gateway.until(lambda: gateway.usage_rows() > before, 30)
    row = gateway.billed()[-1]
    assert (row.end_reason, row.images, row.credits) == ("client_gone", 1, 30_000)
    gateway.until(lambda: gateway.sim.requests[-1].state == "aborted", 30)


def test_who_hangs_up_before_anything_was_shown_pays_nothing(gateway: ImageGateway) -> None:
    before = gateway.usage_rows()
    gateway.forget_upstream_requests()
    with _posted(gateway, {"model": "nano-banana", "prompt": "slow [[sim: delay=60]]"}):
        gateway.until(lambda: len(gateway.sim.requests) == 1, 30)
    gateway.until(lambda: gateway.application.parts.ledger.stats().open_holds == 0, 30)
    gateway.until(lambda: gateway.sim.requests[-1].state == "aborted", 30)
    assert gateway.usage_rows() == before


def _posted(gateway: ImageGateway, body: dict[str, Any]) -> socket.socket:
    data = json.dumps(body).encode()
    connection = socket.create_connection((gateway.host, gateway.port), timeout=30)
    connection.sendall(
        b"POST /v1/images/generations HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (gateway.key.encode(), len(data), data)
    )
    return connection


@pytest.mark.parametrize("more", [{}, {"stream": True, "response_format": "url"}], ids=str)
def test_where_pictures_cannot_be_kept_nothing_is_billed_and_nobody_else_is_asked(
    gateway: ImageGateway, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(ObjectStore, "put", full)
    before = gateway.usage_rows()
    gateway.forget_upstream_requests()
    answer = asked(gateway, model="gpt-image-2", **more)
    assert answer.status == 500
    assert error_of(answer)["code"] == "internal_error"
    assert "nothing is billed" in error_of(answer)["message"]
    assert gateway.usage_rows() == before
    assert len(gateway.sim.requests) == 1
    newest = gateway.attempt_rows()[-1]
    assert (newest.outcome, newest.error) == ("failed", "internal_error")
    assert gateway.application.parts.health.of(newest.channel_id).failures == 0


def test_a_sequence_is_told_picture_by_picture(gateway: ImageGateway) -> None:
    answer = asked(
        gateway,
        model="seedream-4-5",
        stream=True,
        sequential_image_generation="auto",
        sequential_image_generation_options={"max_images": 4},
        prompt="a comic [[sim: images=3]]",
    )
    events = answer.body.strip().split(b"\n\n")
    assert [event.partition(b"\n")[0] for event in events] == [b"event: image_generation.completed"] * 3
    assert len(set(events)) == 3
    usages = [json.loads(event.partition(b"data: ")[2])["usage"]["output_tokens"] for event in events]
    assert usages == [0, 0, 3000], "the provider counts at the end"
    row = gateway.billed()[-1]
    assert (row.images, row.credits, row.held, row.stream) == (3, 90_000, 120_000, True)


# --- what upstreams answer -------------------------------------------------------------------------------------


PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{}", 502, "upstream_error"),
        (b'{"data":[]}', 502, "upstream_error"),
        (b"not json", 502, "upstream_error"),
        (b'{"data":[{"b64_json":"****"}]}', 502, "upstream_error"),
        (
            b'{"data":[{"b64_json":"%b"}]}' % base64.b64encode(b"a page of text, no picture"),
            502,
            "upstream_error",
        ),
        (b'{"data":[{"url":"http://10.0.0.1/a.png"}]}', 502, "upstream_error"),
        (b'{"data":[{"url":"nonsense"}]}', 502, "upstream_error"),
        (b'{"error":{"code":"moderation_blocked","message":"no"}}', 451, "content_policy_violation"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_answer_without_a_picture_is_the_upstreams_failure(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, status: int, code: str
) -> None:
    async def gives(peer: Peer) -> None:
        await peer.answer(200, ((b"content-type", b"application/json"),), body)

    with ImageGateway(tmp_path_factory.mktemp("odd")) as gateway:
        server = ScriptedUpstream(gives)
        gateway.run(server.__aenter__())
        try:
            gateway.add_only("gpt-image", server.url)
            answer = asked(gateway, model="gpt-image-2")
            assert answer.status == status, answer.body
            assert error_of(answer)["code"] == code
            assert gateway.usage_rows() == 0
            assert "10.0.0.1" not in answer.body.decode()
        finally:
            gateway.run(server.__aexit__(None, None, None))


def test_pictures_by_url_are_fetched_from_the_vendor_and_kept(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def gives(peer: Peer) -> None:
        if peer.request.method == b"GET":
            assert b"authorization" not in peer.request.headers
            await peer.answer(200, ((b"content-type", b"text/html"),), PNG)
        else:
            url = b"http://" + peer.request.headers[b"host"] + b"/drawn.png"
            await peer.answer(200, body=b'{"data":[{"url":"%b","revised_prompt":"a dot"}]}' % url)

    with ImageGateway(tmp_path_factory.mktemp("urls")) as gateway:
        server = ScriptedUpstream(gives)
        gateway.run(server.__aenter__())
        try:
            gateway.add_only("gpt-image", server.url)
            (entry,) = json.loads(asked(gateway, model="gpt-image-2").body)["data"]
            assert entry["revised_prompt"] == "a dot"
            found = gateway.request("GET", gateway.path_of(entry["url"]))
            assert (found.body, found.headers["content-type"]) == (PNG, "image/png")
            inline = json.loads(asked(gateway, model="gpt-image-2", response_format="b64_json").body)
            assert base64.b64decode(inline["data"][0]["b64_json"]) == PNG
        finally:
            gateway.run(server.__aexit__(None, None, None))


def test_a_body_over_the_limit_is_refused_before_it_has_come(gateway: ImageGateway) -> None:
    head = (
        b"POST /v1/images/edits HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\n"
        b"content-type: multipart/form-data; boundary=b\r\ncontent-length: 40000000\r\n\r\n"
        % gateway.key.encode()
    )
    with socket.create_connection((gateway.host, gateway.port), timeout=30) as connection:
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.slow
def test_a_long_silence_between_partial_images_is_bridged(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ImageGateway(tmp_path_factory.mktemp("silence"), stream_ping_s=0.2) as gateway:
        answer = asked(
            gateway, model="gpt-image-2", stream=True, partial_images=1, prompt="a snail [[sim: pace=4]]"
        )
        first, _, rest = answer.body.partition(b"\n\n")
        assert first.startswith(b"event: image_generation.partial_image")
        assert rest.startswith(b": \n\n")
        assert rest.rstrip().split(b"\n\n")[-1].startswith(b"event: image_generation.completed")


def test_a_channels_ceiling_counts_every_call(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ImageGateway(tmp_path_factory.mktemp("ceiling")) as gateway:
        gateway.limit("nano-banana", rpm=3)
        assert asked(gateway, model="nano-banana", n=2).status == 200
        full = asked(gateway, model="nano-banana", n=2)
        assert full.status == 503
        assert error_of(full)["code"] == "no_available_channel"
        assert "rate limit" in error_of(full)["message"]
        assert int(full.headers["retry-after"]) >= 1
        assert len(gateway.sim.requests) == 2
        assert gateway.application.parts.ledger.stats().open_holds == 0


def test_pictures_are_in_the_metrics(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ImageGateway(tmp_path_factory.mktemp("metrics")) as gateway:
        asked(gateway, model="seedream-v4", n=2)
        asked(gateway, model="seedream-v4", prompt="no [[sim: fail=moderation]]")
        tallies = gateway.application.parts.tallies
        ((key, tally),) = tallies.models.items()
        assert key == ("images", "ark_images", "seedream-v4", False)
        assert tally.outcomes == {"completed": 1, "failed": 1}
        assert tally.credits == 48_000
        page = gateway.request("GET", "/metrics").body.decode()
        (units,) = [
            line
            for line in page.splitlines()
            if 'unit="images"' in line and 'model="seedream-v4"' in line and not line.startswith("#")
        ]
        assert float(units.rpartition(" ")[2]) == 2
