"""The simulator's APIs for images, asked by the vendors' own SDKs; and as strict as the vendors."""

from __future__ import annotations

import base64
import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from google import genai
from google.genai import types
from openai import OpenAI
from PIL import Image

from bytespike.providers.simulator.server import Simulator


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with Simulator(observe=True) as running:
        yield running


@pytest.fixture(scope="module")
def client(sim: Simulator) -> OpenAI:
    return OpenAI(base_url=sim.base_url + "/openai/v1", api_key="any", max_retries=0)


def png(width: int = 32, height: int = 32, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height)).save(out, "PNG")
    return out.getvalue()


def opened(data: str | None) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data or "")))


def ark(sim: Simulator, **body: Any) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        sim.base_url + "/ark/api/v3/images/generations",
        json.dumps({"model": "doubao-seedream-4-5-251128", "prompt": "a cat", **body}).encode(),
        {"authorization": "Bearer any", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


# --- OpenAI ----------------------------------------------------------------------------------------------------


def test_a_picture_is_what_was_asked_for(client: OpenAI) -> None:
    answer = client.images.generate(
        model="gpt-image-2", prompt="a cat", size="1536x864", output_format="webp", quality="low", n=2
    )
    assert answer.data is not None
    images = [opened(each.b64_json) for each in answer.data]
    assert [(image.format, image.size) for image in images] == [("WEBP", (1536, 864))] * 2
    assert images[0].tobytes() != images[1].tobytes()
    assert (answer.quality, answer.size, answer.output_format) == ("low", "1536x864", "webp")


def test_the_same_request_gives_the_same_bytes(client: OpenAI) -> None:
    first, second = (client.images.generate(model="gpt-image-2", prompt="a cat") for _ in range(2))
    assert first == second
    assert client.images.generate(model="gpt-image-2", prompt="a dog") != first


def test_a_stream_of_partial_images_ends_in_the_whole_one(client: OpenAI) -> None:
    with client.images.generate(model="gpt-image-2", prompt="a cat", stream=True, partial_images=3) as stream:
        events = list(stream)
    assert [event.type for event in events] == [
        *["image_generation.partial_image"] * 3,
        "image_generation.completed",
    ]
    assert len({event.b64_json for event in events}) == 4


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"size": "1000x1000"}, "size"),
        ({"size": "256x256"}, "size"),
        ({"n": 11}, "n"),
        ({"quality": "hd"}, "quality"),
        ({"output_format": "bmp"}, "output_format"),
        ({"output_compression": 50}, "output_compression"),
        ({"background": "transparent", "output_format": "jpeg"}, "background"),
        ({"response_format": "url"}, "response_format"),
        ({"style": "vivid"}, "style"),
        ({"partial_images": 1}, "partial_images"),
        ({"extra_body": {"telescope": 1}}, "telescope"),
    ],
    ids=str,
)
def test_what_openai_refuses_is_refused(client: OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(model="gpt-image-2", prompt="a cat", **fields)
    assert refused.value.param == param


def test_an_edit_sees_what_it_is_given(client: OpenAI) -> None:
    answer = client.images.edit(model="gpt-image-2", image=[png(), png()], prompt="both")
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.image_tokens == 2000


@pytest.mark.parametrize(
    ("image", "mask"),
    [(b"no picture", None), (png(), png(16, 16, "RGBA")), (png(), png()), (png(), b"no picture")],
    ids=["no picture", "other size", "no alpha", "no mask"],
)
def test_wrong_files_are_refused(client: OpenAI, image: bytes, mask: bytes | None) -> None:
    more: dict[str, Any] = {} if mask is None else {"mask": mask}
    with pytest.raises(openai.BadRequestError):
        client.images.edit(model="gpt-image-2", image=image, prompt="x", **more)


@pytest.mark.parametrize("key", ["sim-bad", "sim-poor", "sim-limited"])
def test_three_keys_are_refused(client: OpenAI, key: str) -> None:
    with pytest.raises((openai.AuthenticationError, openai.RateLimitError)):
        client.with_options(api_key=key).images.generate(model="gpt-image-2", prompt="x")


# --- Gemini ----------------------------------------------------------------------------------------------------


def test_gemini_draws_in_the_shape_and_size_that_was_asked_for(sim: Simulator) -> None:
    gemini = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=sim.base_url + "/gemini"))
    answer = gemini.models.generate_content(
        model="gemini-3-pro-image-preview",
        contents=[types.Part.from_bytes(data=png(), mime_type="image/png"), "more light"],
        config=types.GenerateContentConfig(
            response_modalities=["TEXT", "IMAGE"],
            image_config=types.ImageConfig(aspect_ratio="16:9", image_size="2K"),
        ),
    )
    assert answer.candidates is not None
    content = answer.candidates[0].content
    assert content is not None
    draft, words, picture = content.parts or []
    assert draft.thought
    assert words.text == "The simulator drew it from 1 picture, the first 32x32."
    assert picture.inline_data is not None
    assert Image.open(io.BytesIO(picture.inline_data.data or b"")).size == (2752, 1536)
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.candidates_token_count == 1000
    plain = gemini.models.generate_content(model="gemini-2.5-flash", contents="say IMAGE")
    assert plain.text


@pytest.mark.parametrize("image_config", [{"aspectRatio": "7:3"}, {"imageSize": "8K"}, {"telescope": 1}])
def test_what_gemini_refuses_is_refused(sim: Simulator, image_config: dict[str, Any]) -> None:
    body = {
        "contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
        "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": image_config},
    }
    request = urllib.request.Request(
        sim.base_url + "/gemini/v1beta/models/gemini-2.5-flash-image:generateContent",
        json.dumps(body).encode(),
        {"x-goog-api-key": "any"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 400
    refused.value.close()


# --- Ark -------------------------------------------------------------------------------------------------------


def test_ark_draws_one_or_a_sequence(sim: Simulator) -> None:
    status, one = ark(sim, size="2K", response_format="b64_json")
    assert (status, len(one["data"]), one["usage"]["generated_images"]) == (200, 1, 1)
    assert opened(one["data"][0]["b64_json"]).size == (2048, 2048)
    _, several = ark(
        sim,
        response_format="b64_json",
        sequential_image_generation="auto",
        sequential_image_generation_options={"max_images": 3},
    )
    assert len({each["b64_json"] for each in several["data"]}) == 3


def test_a_url_of_ark_leads_to_the_picture(sim: Simulator) -> None:
    _, answer = ark(sim, size="2560x1440")
    with urllib.request.urlopen(answer["data"][0]["url"], timeout=30) as found:
        assert Image.open(io.BytesIO(found.read())).size == (2560, 1440)


@pytest.mark.parametrize(
    "fields",
    [
        {"size": "1K"},
        {"size": "1024x1024"},
        {"size": "8192x8192"},
        {"response_format": "png"},
        {"n": 2},
        {"image": "https://example.com/a.png"},
        {"image": ["data:image/png;base64,AAAA"]},
        {"sequential_image_generation": "always"},
        {"sequential_image_generation": "auto", "sequential_image_generation_options": {"max_images": 16}},
        {"output_format": "webp"},
        {"watermark": "yes"},
    ],
    ids=str,
)
def test_what_ark_refuses_is_refused(sim: Simulator, fields: dict[str, Any]) -> None:
    status, answer = ark(sim, **fields)
    assert status == 400
    assert answer["error"]["type"] == "BadRequest"
    assert "Request id" in answer["error"]["message"]


# --- chat ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["markdown", "inline", "parts", "images"])
def test_a_chat_model_with_image_in_its_name_draws(client: OpenAI, where: str) -> None:
    answer = client.chat.completions.create(
        model="gpt-4o-image",
        messages=[{"role": "user", "content": f"a cat [[sim: pictures={where}]]"}],
        extra_body={"image_output": {"size": "1024x1536", "n": 2}},
    )
    told = json.dumps(answer.choices[0].message.to_dict(warnings=False))
    assert told.count("http://" if where == "markdown" else "data:image/png;base64,") == 2
    text = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "an image"}])
    assert isinstance(text.choices[0].message.content, str)


@pytest.mark.parametrize("output", [{"size": "9x9"}, {"n": 3}, {"telescope": 1}])
def test_a_wrong_image_output_is_refused(client: OpenAI, output: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model="gpt-4o-image",
            messages=[{"role": "user", "content": "a cat"}],
            extra_body={"image_output": output},
        )
    assert (refused.value.param or "").startswith("image_output.")
