"""/v1/tasks/… over HTTP: what is taken, what is refused and how, and what an owner sees of a task."""

from __future__ import annotations

import base64
import io
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import func, select

from bytespike.media.probe.probe import Probe
from bytespike.media.tasks import rows
from bytespike.store.media_tables import task_pictures
from bytespike.wire.limits import TASK_BODY_BYTES_MAX
from tests.support.media_gateway import PATIENCE_S, MediaGateway, models_of
from tests.support.raw_http import Answer, parse_answer

#: So long that it is not over before it is looked at.
SLOW = "[[sim: polls=10000]] a cat"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaGateway]:
    with MediaGateway(Path(tmp_path_factory.mktemp("tasks"))) as running:
        yield running


def error_of(answer: Answer, status: int, code: str) -> dict[str, Any]:
    assert answer.status == status, answer.body
    error = json.loads(answer.body)["error"]
    assert error["code"] == code
    assert set(error) == {"type", "code", "message", "param"}
    assert answer.headers["request-id"].startswith("req_")
    return error


def get(gateway: MediaGateway, path: str, key: str = "") -> Answer:
    return gateway.request("GET", path, headers={"x-api-key": key or gateway.key})


# --- a task's life, for every model --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "model"), [(kind, model) for kind in ("video", "image") for model in models_of(kind)]
)
def test_every_model_is_a_task_with_an_output_in_the_end(
    gateway: MediaGateway, kind: str, model: str
) -> None:
    first = gateway.submitted(model=model, prompt="A paper boat on a stream")
    assert re.fullmatch(r"task_[0-9A-HJKMNP-TV-Z]{26}", first["task_id"])
    assert first["status"] == "pending"
    assert float(first["estimated_credits"]) > 0
    assert first["estimated_seconds"] > 0
    assert "output" not in first
    task = gateway.ended(first["task_id"])
    assert task["status"] == "completed"
    assert task["progress"] == 100
    assert task["model"] == model
    assert task["upstream_provider"] == "simulator"
    assert task["credits_used"] == first["estimated_credits"]
    (output,) = task["output"]
    assert output["type"] == kind
    answer = gateway.request("GET", gateway.path_of(output["url"]))
    assert answer.status == 200
    probe = Probe()
    probe.feed(answer.body)
    facts = probe.facts()
    assert output["content_type"] == answer.headers["content-type"] == facts.content_type
    assert (output["width"], output["height"]) == (facts.width, facts.height) != (0, 0)
    assert output["bytes"] == len(answer.body)
    if kind == "video":
        assert output["duration_seconds"] == pytest.approx(facts.duration_seconds, abs=0.001)
    else:
        assert "duration_seconds" not in output


def test_several_images_are_several_outputs(gateway: MediaGateway) -> None:
    task = gateway.ended(gateway.submitted(model="gpt-image-2", prompt="a cat", n=3)["task_id"])
    assert task["status"] == "completed"
    assert len({output["url"] for output in task["output"]}) == 3
    assert task["credits_used"] == "0.09"


def test_parameters_may_stand_in_params_or_beside_it(gateway: MediaGateway) -> None:
    wanted = {"prompt": SLOW, "seconds": 8, "size": "1280x720"}
    flat = gateway.submitted(model="sora2", out_task_id="flat", **wanted)
    assert gateway.submitted(model="sora2", out_task_id="flat", params=wanted)["task_id"] == flat["task_id"]
    mixed = gateway.submitted(
        model="sora2", out_task_id="flat", prompt=SLOW, params={"seconds": "8", "size": "1280x720"}
    )
    assert mixed["task_id"] == flat["task_id"]
    error = error_of(
        gateway.submit(model="sora2", seconds=4, params={"prompt": "x", "seconds": 8}), 400, "invalid_param"
    )
    assert error["param"] == "params.seconds"


def test_what_the_model_does_not_take_is_told_in_a_header(gateway: MediaGateway) -> None:
    answer = gateway.submit(model="sora2", prompt=SLOW, stream=True, style="vivid")
    assert answer.status == 200
    assert "stream: dropped" in answer.headers["x-bytespike-notices"]
    assert "style: dropped" in answer.headers["x-bytespike-notices"]


def test_accounting_headers_are_on_every_answer(gateway: MediaGateway) -> None:
    answer = gateway.submit(model="sora2", prompt=SLOW, seconds=4)
    assert answer.headers["x-estimated-credits"] == json.loads(answer.body)["estimated_credits"] == "1.25"
    assert float(answer.headers["x-quota-remaining-credits"]) > 0
    task_id = json.loads(answer.body)["task_id"]
    looked = gateway.query(task_id=task_id)
    assert "x-quota-remaining-credits" in looked.headers
    assert "x-estimated-credits" not in looked.headers


def test_a_dry_run_tells_the_estimate_and_makes_no_task(gateway: MediaGateway) -> None:
    body = json.dumps({"model": "sora2", "prompt": "x", "seconds": 8, "out_task_id": "dry"}).encode()
    dry = {"x-api-key": gateway.key, "x-bytespike-dry-run": "true"}
    answer = gateway.post("/v1/tasks/submit", body, dry)
    assert answer.status == 200
    told = json.loads(answer.body)
    assert (told["object"], told["estimated_credits"]) == ("dry_run", "2.45")
    assert told["estimated_seconds"] > 0
    error_of(gateway.query(out_task_id="dry"), 404, "task_not_found")
    error_of(
        gateway.post("/v1/tasks/submit", body, {**dry, "x-bytespike-dry-run": "perhaps"}),
        400,
        "invalid_param",
    )


# --- what is refused --------------------------------------------------------------------------------------------


def test_a_text_model_is_refused(gateway: MediaGateway) -> None:
    error = error_of(gateway.submit(model="gpt-5-5", prompt="x"), 400, "invalid_param")
    assert error["param"] == "model"
    assert "text model" in error["message"]


def test_a_model_that_there_is_not_is_told_with_its_nearest(gateway: MediaGateway) -> None:
    error = error_of(gateway.submit(model="sora3", prompt="x"), 404, "model_not_found")
    assert "sora2" in error["message"]


@pytest.mark.parametrize("model", [None, "", 5, ["sora2"], {"name": "sora2"}])
def test_a_model_has_to_be_named(gateway: MediaGateway, model: Any) -> None:
    assert error_of(gateway.submit(model=model, prompt="x"), 400, "invalid_param")["param"] == "model"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"seconds": 7}, "seconds"),
        ({"seconds": "soon"}, "seconds"),
        ({"size": "1x1"}, "size"),
        ({"resolution": "9000p"}, "resolution"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"params": "x"}, "params"),
        ({"out_task_id": 5}, "out_task_id"),
        ({"callback_url": 5}, "callback_url"),
        ({"callback_url": "ftp://example.com"}, "callback_url"),
        ({"callback_url": "http://127.0.0.1:9/hook"}, "callback_url"),
    ],
)
def test_a_wrong_parameter_is_named(gateway: MediaGateway, wrong: dict[str, Any], param: str) -> None:
    error = error_of(gateway.submit(**{"model": "sora2", "prompt": "x", **wrong}), 400, "invalid_param")
    assert error["param"] == param


def test_a_wrong_value_is_told_with_the_allowed_ones(gateway: MediaGateway) -> None:
    message = error_of(gateway.submit(model="sora2", prompt="x", seconds=7), 400, "invalid_param")["message"]
    assert "4, 8, 12, 16, 20" in message


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"a":' * 200 + b"1" + b"}" * 200]
)
@pytest.mark.parametrize("path", ["submit", "query", "cancel"])
def test_a_body_that_is_no_json_object_is_refused(gateway: MediaGateway, path: str, body: bytes) -> None:
    error_of(gateway.post(f"/v1/tasks/{path}", body), 400, "invalid_param")


def test_a_wallet_without_money_gets_402(gateway: MediaGateway) -> None:
    poor = gateway.new_key(gateway.new_user(1_000_000))
    error = error_of(gateway.submit(poor, model="sora2", prompt="x"), 402, "insufficient_balance")
    assert error["type"] == "insufficient_balance"


def test_money_in_escrow_is_gone_from_the_wallet_for_the_next(gateway: MediaGateway) -> None:
    key = gateway.new_key(gateway.new_user(2_000_000))
    assert gateway.submit(key, model="sora2", prompt=SLOW).status == 200
    error_of(gateway.submit(key, model="sora2", prompt=SLOW), 402, "insufficient_balance")


@pytest.mark.parametrize("path", ["submit", "query", "cancel", "cancel/task_x", "stream/task_x"])
def test_without_a_key_nothing_is_told(gateway: MediaGateway, path: str) -> None:
    method = "GET" if path.startswith("stream") else "POST"
    for headers in ({}, {"x-api-key": "sk-byts-" + "x" * 40}):
        error_of(
            gateway.request(method, f"/v1/tasks/{path}", b"{}" if method == "POST" else b"", headers),
            401,
            "invalid_api_key",
        )


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "submit"), ("DELETE", "query"), ("GET", "cancel"), ("POST", "stream/task_x")]
)
def test_other_methods_are_told_which_there_are(gateway: MediaGateway, method: str, path: str) -> None:
    answer = gateway.request(method, f"/v1/tasks/{path}", headers={"x-api-key": gateway.key})
    error_of(answer, 405, "method_not_allowed")
    assert "OPTIONS" in answer.headers["allow"]


# --- bodies that are too large ----------------------------------------------------------------------------------


def raw(gateway: MediaGateway, *pieces: bytes) -> Answer:
    """What comes back when so much has been sent and the client waits."""
    with socket.create_connection((gateway.host, gateway.port), timeout=PATIENCE_S) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b""
        while block := connection.recv(65536):
            received += block
            head, end, body = received.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if end and length and len(body) >= int(length[1]):
                break
        return parse_answer(received)


@pytest.mark.parametrize("path", ["submit", "query", "cancel"])
def test_a_body_over_1_mib_gets_413_before_any_of_it_is_sent(gateway: MediaGateway, path: str) -> None:
    head = (
        f"POST /v1/tasks/{path} HTTP/1.1\r\nhost: test\r\nx-api-key: {gateway.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {TASK_BODY_BYTES_MAX + 1}\r\n\r\n"
    )
    error = error_of(raw(gateway, head.encode()), 413, "request_entity_too_large")
    assert "1 MiB" in error["message"]


def test_a_body_of_unknown_length_gets_413_once_it_is_over_1_mib(gateway: MediaGateway) -> None:
    head = f"POST /v1/tasks/submit HTTP/1.1\r\nhost: test\r\nx-api-key: {gateway.key}\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    answer = raw(gateway, head.encode(), *[chunk] * (TASK_BODY_BYTES_MAX // 65536 + 1))
    error_of(answer, 413, "request_entity_too_large")


def test_a_body_of_just_1_mib_is_read(gateway: MediaGateway) -> None:
    body = b'{"model":"gpt-5-5","x":""}'
    body = body[:-2] + b"x" * (TASK_BODY_BYTES_MAX - len(body)) + body[-2:]
    assert len(body) == TASK_BODY_BYTES_MAX
    error_of(gateway.post("/v1/tasks/submit", body), 400, "invalid_param")


# --- asking for a task ------------------------------------------------------------------------------------------


def test_a_task_is_named_by_exactly_one_of_its_names(gateway: MediaGateway) -> None:
    task = gateway.submitted(model="sora2", prompt=SLOW, out_task_id="mine/1")
    id = task["task_id"]
    for answer in (
        gateway.query(task_id=id),
        gateway.query(out_task_id="mine/1"),
        get(gateway, f"/v1/tasks/query?task_id={id}"),
        get(gateway, "/v1/tasks/query?out_task_id=mine%2F1"),
        get(gateway, f"/tasks/query?task_id={id}"),
    ):
        assert answer.status == 200
        assert json.loads(answer.body)["task_id"] == id
        assert json.loads(answer.body)["out_task_id"] == "mine/1"
    for answer in (
        gateway.query(),
        gateway.query(task_id=id, out_task_id="mine/1"),
        gateway.query(task_id=""),
        get(gateway, "/v1/tasks/query"),
        get(gateway, f"/v1/tasks/query?task_id={id}&out_task_id=mine%2F1"),
        gateway.post("/v1/tasks/cancel", b"{}"),
    ):
        assert "exactly one" in error_of(answer, 400, "invalid_param")["message"]
    for answer in (gateway.query(task_id="task_nowhere"), gateway.query(out_task_id="mine/2")):
        error_of(answer, 404, "task_not_found")


def test_another_keys_task_does_not_exist(gateway: MediaGateway) -> None:
    task = gateway.submitted(model="sora2", prompt=SLOW, out_task_id="hidden")
    id = task["task_id"]
    for key in (gateway.new_key(), gateway.new_key(gateway.new_user(5_000_000))):
        for answer in (
            gateway.query(key, task_id=id),
            gateway.query(key, out_task_id="hidden"),
            get(gateway, f"/v1/tasks/stream/{id}", key),
            gateway.post("/v1/tasks/cancel", json.dumps({"task_id": id}).encode(), {"x-api-key": key}),
            gateway.post(f"/v1/tasks/cancel/{id}", b"", {"x-api-key": key}),
            get(gateway, f"/v1/videos/{id}", key),
            get(gateway, f"/v1/videos/{id}/content", key),
            gateway.request("DELETE", f"/v1/videos/{id}", headers={"x-api-key": key}),
        ):
            error_of(answer, 404, "task_not_found")
    assert json.loads(gateway.query(task_id=id).body)["status"] in ("pending", "running")


def test_the_same_name_is_the_same_task_and_other_inputs_are_409(gateway: MediaGateway) -> None:
    first = gateway.submitted(model="sora2", prompt=SLOW, out_task_id="once")
    assert gateway.submitted(model="sora-2", prompt=SLOW, out_task_id="once")["task_id"] == first["task_id"]
    for other in (
        {"prompt": "a dog"},
        {"prompt": SLOW, "seconds": 8},
        {"model": "sora2-pro", "prompt": SLOW},
    ):
        answer = gateway.submit(**{"model": "sora2", "out_task_id": "once", **other})
        assert error_of(answer, 409, "duplicate_out_task_id")["param"] == "out_task_id"
    other_key = gateway.new_key()
    answer = gateway.submit(other_key, model="sora2", prompt=SLOW, out_task_id="once")
    assert answer.status == 200
    assert json.loads(answer.body)["task_id"] != first["task_id"]


def test_a_task_is_cancelled_by_path_and_by_body_and_again(gateway: MediaGateway) -> None:
    for name in ("task_id", "out_task_id", "path"):
        task = gateway.submitted(model="sora2", prompt=SLOW, out_task_id=f"cancel by {name}")
        id = task["task_id"]
        for _ in range(2):
            if name == "path":
                answer = gateway.post(f"/v1/tasks/cancel/{id}", b"")
            else:
                answer = gateway.post("/v1/tasks/cancel", json.dumps({name: task[name]}).encode())
            assert answer.status == 200
            assert json.loads(answer.body)["task_id"] == id
        ended = gateway.ended(id)
        assert ended["status"] == "cancelled"
        # Nothing, where the provider had not begun or charges nothing; it cannot take back what it has begun otherwise.
        assert ended["credits_used"] in ("0.00", ended["estimated_credits"])
        assert "output" not in ended


def test_a_task_that_is_over_cannot_be_cancelled_any_more(gateway: MediaGateway) -> None:
    task = gateway.ended(gateway.submitted(model="veo3-1", prompt="a cat")["task_id"])
    answer = gateway.post(f"/v1/tasks/cancel/{task['task_id']}", b"")
    assert json.loads(answer.body)["status"] == "completed"


def test_a_task_that_failed_says_why_and_costs_nothing(gateway: MediaGateway) -> None:
    task = gateway.ended(gateway.submitted(model="sora2", prompt="[[sim: fail=moderation]] x")["task_id"])
    assert (task["status"], task["credits_used"]) == ("failed", "0.00")
    assert task["error_code"] == "content_policy_violation"
    assert task["error_message"]
    assert "output" not in task


def test_the_pictures_of_an_order_are_kept_until_it_is_over(gateway: MediaGateway) -> None:
    file = io.BytesIO()
    Image.new("RGB", (720, 1280), (20, 90, 160)).save(file, "PNG")
    engine = gateway.application.engine

    async def kept() -> tuple[int, int]:
        """How many orders have pictures; how many are dropped."""
        async with engine.begin() as connection:
            count = await connection.execute(select(func.count()).select_from(task_pictures))
            return count.scalar_one(), await rows.drop_pictures(connection, 100)

    task = gateway.submitted(
        model="sora2", prompt=SLOW, size="720x1280", image_init=base64.b64encode(file.getvalue()).decode()
    )
    gateway.until(
        lambda: json.loads(gateway.query(task_id=task["task_id"]).body)["status"] == "running", PATIENCE_S
    )
    assert gateway.run(kept()) == (1, 0)
    gateway.post(f"/v1/tasks/cancel/{task['task_id']}", b"")
    assert gateway.ended(task["task_id"])["status"] == "cancelled"
    assert gateway.run(kept()) == (1, 1)
    assert gateway.run(kept()) == (0, 0)


# --- where its URLs lead ----------------------------------------------------------------------------------------


def test_urls_begin_where_the_caller_reached_the_gateway(gateway: MediaGateway) -> None:
    id = gateway.submitted(model="veo3-1", prompt="a cat")["task_id"]
    gateway.ended(id)
    for host, base in (
        ("llm.example.com", "http://llm.example.com/files/"),
        ("[::1]:8080", "http://[::1]:8080/files/"),
        ("evil.com/x?", gateway.url + "/files/"),
        ('a"b', gateway.url + "/files/"),
    ):
        headers = {"x-api-key": gateway.key, "host": host}
        answer = gateway.request("GET", f"/v1/tasks/query?task_id={id}", headers=headers)
        assert json.loads(answer.body)["output"][0]["url"].startswith(base)


def test_a_url_is_the_same_each_time(gateway: MediaGateway) -> None:
    task = gateway.ended(gateway.submitted(model="veo3-1", prompt="a cat")["task_id"])
    time.sleep(0.01)
    assert gateway.ended(task["task_id"])["output"] == task["output"]
