"""Veo and Seedance as the simulator renders them, and every adapter's way through a render over real HTTP."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from google import genai
from google.genai.types import GenerateVideosOperation

from bytespike.errors import UpstreamError
from bytespike.ids import ulid
from bytespike.media.adapter import Render, RenderAdapter, UpstreamCall
from bytespike.media.adapters.registry import RENDERERS
from bytespike.media.order import Order, Picture
from bytespike.media.probe.probe import Facts, Probe
from bytespike.providers.simulator import pictures
from bytespike.providers.simulator.server import Simulator

#: Where the simulator speaks each surface.
BASES = {"openai_videos": "/openai/v1", "gemini_operations": "/gemini", "ark_tasks": "/ark/api/v3"}
FRAME = base64.b64encode(pictures.draw(pictures.Picture("frame", 1280, 720, "image/jpeg"), b"")).decode()
KEY = {"authorization": "Bearer any", "x-goog-api-key": "any"}
TASK = "task_" + ulid()


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def send(url: str, method: str, headers: dict[str, str], body: bytes | None) -> Answer:
    try:
        with urlopen(Request(url, body, headers, method=method), timeout=30) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


class Provider:
    """What the worker does with an adapter: its calls made, with the credential where it is wanted."""

    def __init__(self, sim: Simulator, surface: str) -> None:
        self.base = sim.base_url + BASES[surface]
        self.adapter: RenderAdapter = RENDERERS[surface]

    def make(self, call: UpstreamCall | None) -> Answer:
        assert call is not None
        headers = {name.decode(): value.decode() for name, value in call.headers}
        if call.with_credential:
            headers |= KEY
        return send(
            call.url or self.base + call.target.decode(), call.method.decode(), headers, call.body or None
        )

    def submit(self, prompt: str, **changes: Any) -> Render:
        order = Order("video", prompt, **changes)
        return self.adapter.submitted(self.make(self.adapter.submit(order, "model-1", TASK)).body)

    def poll(self, render: Render) -> Render:
        return self.adapter.polled(self.make(self.adapter.poll(render.upstream_id)).body)

    def refusal(self, prompt: str) -> tuple[str, str, int]:
        answer = self.make(self.adapter.submit(Order("video", prompt), "model-1", TASK))
        error = self.adapter.refused(
            answer.status, {k.encode(): v.encode() for k, v in answer.headers.items()}, answer.body
        )
        return error.code, error.about, error.retry_after or 0


@pytest.fixture(params=BASES)
def provider(request: pytest.FixtureRequest, sim: Simulator) -> Provider:
    return Provider(sim, request.param)


def probed(data: bytes) -> Facts:
    probe = Probe()
    probe.feed(data)
    return probe.facts()


def test_a_render_goes_its_way_and_its_file_is_as_ordered(provider: Provider) -> None:
    frame = Picture("first_frame", "image/jpeg", FRAME)
    render = provider.submit("a dog [[sim: polls=3]]", seconds=8, width=1280, height=720, pictures=(frame,))
    assert render.state in ("queued", "running")
    states = [provider.poll(render) for _ in range(3)]
    assert [each.state for each in states] == ["running", "running", "completed"]
    assert {each.upstream_id for each in states} == {render.upstream_id}
    (made,) = states[-1].made
    answer = provider.make(made.call)
    assert (answer.status, answer.headers["content-type"]) == (200, "video/mp4")
    assert probed(answer.body) == Facts("video/mp4", 1280, 720, 8.0)


def test_the_same_order_gives_the_same_file(provider: Provider) -> None:
    files: list[bytes] = []
    for _ in range(2):
        render = provider.submit("a dog [[sim: polls=1]]", seconds=4, aspect_ratio="9:16", resolution="720p")
        (made,) = provider.poll(render).made
        files.append(provider.make(made.call).body)
    assert files[0] == files[1]
    assert (probed(files[0]).width, probed(files[0]).height) == (720, 1280)


def test_a_file_may_be_as_heavy_as_wanted_and_may_break_off_once(provider: Provider) -> None:
    render = provider.submit("a dog [[sim: polls=1 file_bytes=3000000 fetch_cut=500000]]", seconds=4)
    (made,) = provider.poll(render).made
    with pytest.raises(OSError):
        provider.make(made.call)
    assert len(provider.make(made.call).body) == 3_000_000


@pytest.mark.parametrize(
    ("asked", "code"),
    [("moderation", "content_policy_violation"), ("error", "upstream_error")],
)
def test_a_render_may_fail_and_costs_nothing_then(provider: Provider, asked: str, code: str) -> None:
    render = provider.submit(f"a dog [[sim: polls=1 fail={asked}]]")
    over = provider.poll(render)
    assert (over.state, over.error_code, over.billed) == ("failed", code, False)


def test_a_submission_may_be_refused_each_time_in_the_vendors_words(provider: Provider) -> None:
    assert provider.refusal("a dog [[sim: refusal]]") == ("content_policy_violation", "request", 0)
    assert provider.refusal("a dog [[sim: error=429 retry_after=7]]") == (
        "no_available_channel",
        "channel",
        7,
    )
    assert provider.refusal("a dog [[sim: error=500]]")[:2] == ("upstream_error", "upstream")
    assert provider.refusal("a dog [[sim: nonsense]]")[:2] == ("invalid_param", "request")


def test_what_nobody_knows_is_not_found(provider: Provider) -> None:
    known = provider.submit("a dog")
    unknown = known.upstream_id[:-4] + "zzzz"
    answer = provider.make(provider.adapter.poll(unknown))
    assert answer.status == 404
    assert provider.adapter.refused(404, {}, answer.body).code == "not_found"


def test_looking_may_fail_for_a_while(provider: Provider) -> None:
    render = provider.submit("a dog [[sim: polls=3 poll_error=503 poll_errors=2]]")
    answers = [provider.make(provider.adapter.poll(render.upstream_id)) for _ in range(3)]
    assert [answer.status for answer in answers] == [503, 503, 200]


# --- Ark --------------------------------------------------------------------------------------------------------


@pytest.fixture
def ark(sim: Simulator) -> Provider:
    return Provider(sim, "ark_tasks")


def test_a_lost_submission_is_found_in_the_list(ark: Provider) -> None:
    order = Order("video", "a dog [[sim: break_after=0]]", seconds=5)
    with pytest.raises(OSError):
        ark.make(ark.adapter.submit(order, "model-1", TASK))
    listed = ark.make(ark.adapter.find(TASK)).body
    found = ark.adapter.found(listed, TASK)
    assert found is not None
    assert found.state == "queued"
    assert ark.poll(found).state == "running"
    assert ark.adapter.found(listed, "task_" + ulid()) is None


def test_the_list_is_filtered_and_paged(ark: Provider) -> None:
    made = [ark.submit(f"dog {number}").upstream_id for number in range(5)]

    def listed(query: str) -> Any:
        return ark.make(UpstreamCall(b"GET", b"/contents/generations/tasks?" + query.encode())).json

    assert [task["id"] for task in listed("page_size=2")["items"]] == made[:2:-1]
    assert [task["id"] for task in listed("page_num=3&page_size=2")["items"]] == made[:1]
    assert listed("page_size=2")["total"] == 5
    wanted = f"filter.task_ids={made[1]}&filter.task_ids={made[3]}"
    assert {task["id"] for task in listed(wanted)["items"]} == {made[1], made[3]}
    assert listed("filter.status=succeeded") == {"total": 0, "items": []}
    assert ark.make(UpstreamCall(b"GET", b"/contents/generations/tasks?page_size=501")).status == 400


def test_what_waits_is_cancelled_what_runs_is_not_and_what_is_over_is_forgotten(ark: Provider) -> None:
    waiting = ark.submit("a dog")
    answer = ark.make(ark.adapter.cancel(waiting.upstream_id))
    assert answer.status == 200
    assert ark.adapter.cancelled(answer.body).state == ark.poll(waiting).state == "cancelled"
    running = ark.submit("a dog [[sim: polls=2]]")
    ark.poll(running)
    assert ark.make(ark.adapter.cancel(running.upstream_id)).status == 409
    assert ark.poll(running).state == "completed"
    assert ark.make(ark.adapter.cancel(running.upstream_id)).status == 200
    assert ark.make(ark.adapter.poll(running.upstream_id)).status == 404


def test_a_task_may_expire_there(ark: Provider) -> None:
    over = ark.poll(ark.submit("a dog [[sim: polls=1 fail=expired]]"))
    assert (over.state, over.error_code, over.billed) == ("failed", "timeout", False)


def test_the_answer_repeats_what_was_asked_for(ark: Provider) -> None:
    render = ark.submit("a dog [[sim: polls=1]]", seconds=6, resolution="480p", aspect_ratio="21:9", seed=9)
    told = ark.make(ark.adapter.poll(render.upstream_id)).json
    assert {
        name: told[name] for name in ("resolution", "ratio", "duration", "seed", "safety_identifier")
    } == {
        "resolution": "480p",
        "ratio": "21:9",
        "duration": 6,
        "seed": 9,
        "safety_identifier": TASK,
    }
    assert told["usage"]["total_tokens"] == 992 * 432 * 24 * 6 // 1024


ARK_REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "MissingParameter"),
    ({"content": []}, "InvalidParameter"),
    ({"content": [{"type": "video_url"}]}, "InvalidParameter"),
    ({"ratio": "2:1"}, "InvalidParameter"),
    ({"resolution": "720"}, "InvalidParameter"),
    ({"duration": 1}, "InvalidParameter"),
    ({"duration": 99}, "InvalidParameter"),
    ({"prompt": "x"}, "InvalidParameter"),
    ({"safety_identifier": "x" * 65}, "InvalidParameter"),
]
TINY = base64.b64encode(pictures.draw(pictures.Picture("tiny", 64, 64), b"")).decode()


def image(url: str, role: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}, "role": role}


ARK_CONTENTS = [
    [image("https://x/a.png", "last_frame")],
    [image("https://x/a.png", "first_frame")] * 2,
    [image("https://x/a.png", "first_frame"), image("https://x/a.png", "reference_image")],
    [image("https://x/a.png", "reference_image")] * 10,
    [image("https://x/a.png", "mask")],
    [image("ftp://x/a.png", "first_frame")],
    [image("data:image/png;base64,AAAA", "first_frame")],
    [image(f"data:image/png;base64,{TINY}", "first_frame")],
]


def test_what_ark_refuses_is_refused(ark: Provider) -> None:
    text = [{"type": "text", "text": "a dog"}]
    for changes, code in [
        *ARK_REFUSALS,
        *(({"content": text + each}, "InvalidParameter") for each in ARK_CONTENTS),
    ]:
        body = json.dumps({"model": "m", "content": text, **changes}).encode()
        if changes.get("model", "") is None:
            body = json.dumps({"content": text}).encode()
        answer = ark.make(UpstreamCall(b"POST", b"/contents/generations/tasks", (), body))
        assert answer.status == 400, changes
        assert answer.json["error"]["code"].startswith(code), changes
    assert ark.make(UpstreamCall(b"POST", b"/contents/generations/tasks", (), b"{")).status == 400


def test_a_shape_that_is_left_open_is_that_of_the_first_frame(ark: Provider) -> None:
    tall = base64.b64encode(pictures.draw(pictures.Picture("tall", 600, 800, "image/webp"), b"")).decode()
    render = ark.submit("a dog [[sim: polls=1]]", pictures=(Picture("first_frame", "image/webp", tall),))
    assert ark.make(ark.adapter.poll(render.upstream_id)).json["ratio"] == "3:4"


@pytest.mark.parametrize(
    ("key", "status"), [("", 401), ("sim-bad", 401), ("sim-poor", 403), ("sim-limited", 429)]
)
def test_arks_keys(ark: Provider, key: str, status: int) -> None:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    assert send(ark.base + "/contents/generations/tasks", "GET", headers, None).status == status


# --- Veo --------------------------------------------------------------------------------------------------------


@pytest.fixture
def veo(sim: Simulator) -> Provider:
    return Provider(sim, "gemini_operations")


def test_a_file_needs_the_key(veo: Provider) -> None:
    render = veo.submit("a dog [[sim: polls=1]]")
    (made,) = veo.poll(render).made
    assert made.call is not None
    assert send(veo.base + made.call.target.decode(), "GET", {}, None).status == 403
    assert send(veo.base + made.call.target.decode(), "GET", {"x-goog-api-key": "other"}, None).status == 403


def test_googles_sdk_reads_the_operation_and_fetches_the_file(veo: Provider, google: genai.Client) -> None:
    render = veo.submit("a dog [[sim: polls=2]]", seconds=4)
    operation = GenerateVideosOperation(name=render.upstream_id)
    seen = [google.operations.get(operation) for _ in range(2)]
    assert [each.done for each in seen] == [None, True]
    uri = seen[1].response.generated_videos[0].video.uri
    # The SDK takes a URI apart only if it is https.
    data = google.files.download(file="files/" + uri.partition("/files/")[2].partition(":")[0])
    assert probed(data) == Facts("video/mp4", 1280, 720, 4.0)


def test_googles_sdk_reads_why_a_video_was_held_back(veo: Provider, google: genai.Client) -> None:
    render = veo.submit("a dog [[sim: polls=1 fail=moderation]]")
    over = google.operations.get(GenerateVideosOperation(name=render.upstream_id))
    assert over.done
    assert over.response.rai_media_filtered_count == 1
    assert "usage guidelines" in over.response.rai_media_filtered_reasons[0]


VEO_IMAGE = {"bytesBase64Encoded": FRAME, "mimeType": "image/jpeg"}
VEO_REFUSALS: list[dict[str, Any]] = [
    {"instances": []},
    {"instances": [{"prompt": "a"}, {"prompt": "b"}]},
    {"instances": [{}]},
    {"instances": [{"prompt": "a", "video": {}}]},
    {"instances": [{"prompt": "a", "image": {"inlineData": {"mimeType": "image/png", "data": FRAME}}}]},
    {"instances": [{"prompt": "a", "image": {"bytesBase64Encoded": "AAAA", "mimeType": "image/png"}}]},
    {"instances": [{"prompt": "a", "image": {"bytesBase64Encoded": "?", "mimeType": "image/png"}}]},
    {"instances": [{"prompt": "a", "lastFrame": VEO_IMAGE}]},
    {
        "instances": [
            {
                "prompt": "a",
                "image": VEO_IMAGE,
                "referenceImages": [{"image": VEO_IMAGE, "referenceType": "asset"}],
            }
        ]
    },
    {"instances": [{"prompt": "a", "referenceImages": [{"image": VEO_IMAGE, "referenceType": "asset"}] * 4}]},
    {"parameters": {"durationSeconds": 5}},
    {"parameters": {"durationSeconds": "8"}},
    {"parameters": {"durationSeconds": 4, "resolution": "1080p"}},
    {"parameters": {"aspectRatio": "1:1"}},
    {"parameters": {"resolution": "480p"}},
    {"parameters": {"generateAudio": True}},
    {"parameters": {"seed": 1}},
    {"parameters": {"sampleCount": 2}},
    {"parameters": {"personGeneration": "everybody"}},
    {"extra": 1},
]


def test_what_veo_refuses_is_refused(veo: Provider) -> None:
    target = b"/v1beta/models/veo:predictLongRunning"
    for changes in VEO_REFUSALS:
        body = json.dumps({"instances": [{"prompt": "a dog"}], **changes}).encode()
        answer = veo.make(UpstreamCall(b"POST", target, (), body))
        assert (answer.status, answer.json["error"]["status"]) == (400, "INVALID_ARGUMENT"), changes


def test_an_operation_can_fail_with_a_code_of_its_own(veo: Provider) -> None:
    over = veo.poll(veo.submit("a dog [[sim: polls=1 fail=8]]"))
    assert over.error_code == "no_available_channel"


def test_a_broken_answer_is_nothing_that_an_adapter_takes_for_a_render(sim: Simulator) -> None:
    for surface in BASES:
        provider = Provider(sim, surface)
        with pytest.raises(UpstreamError):
            provider.submit("a dog [[sim: malformed]]")
