"""The parameters of a request, read against what its model takes (`catalog.models.MediaLimits`), and made an `Order`.

One rule for everything: what the model takes is checked, and a wrong value is refused with the values that are allowed.
What it does not take is, like in translation between dialects, one of two things. A knob (style, seed, quality, ...) is left
out, and the caller told so in a notice. What changes what the picture is of (an image given, a mask, a transparent ground,
what must not be seen) is refused: `unsupported_feature`.

Requests for images (`/v1/images/...`) and tasks go through here alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import structs

from bytespike.catalog.models import Model
from bytespike.core.json_types import JSON
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.media.extent import read_quality, read_resolution, read_size
from bytespike.media.order import Order, Picture
from bytespike.media.pictures import MEMBERS, read_pictures
from bytespike.media.reading import Reading

#: Members that are somebody else's to read.
_ELSEWHERE: Final = frozenset(
    {"model", "prompt", "response_format", "out_task_id", "callback_url", "params", "metadata"}
)
#: The names under which a video's length is asked for.
_SECONDS: Final = ("seconds", "duration_seconds", "duration")
_AUDIO: Final = ("audio", "generate_audio")
#: Members that become a field of the order.
_READ: Final = frozenset(
    {
        *_ELSEWHERE,
        *MEMBERS,
        *_SECONDS,
        *_AUDIO,
        "n",
        "size",
        "aspect_ratio",
        "resolution",
        "quality",
        "style",
        "background",
        "output_format",
        "output_compression",
        "negative_prompt",
        "seed",
        "watermark",
        "stream",
        "partial_images",
        "user",
    }
)
#: Pictures that belong together and are drawn by one call (Volcengine Ark), and how many there may be.
SEQUENCE: Final = "sequential_image_generation"
SEQUENCE_OPTIONS: Final = "sequential_image_generation_options"
SEQUENCE_MAX: Final = 15
SEED_MIN: Final = -1
SEED_MAX: Final = 4_294_967_295
PARTIAL_IMAGES_MAX: Final = 3
USER_CHARS_MAX: Final = 512
EXTRAS_MAX: Final = 32


def read_order(model: Model, params: Mapping[str, JSON], kind: Literal["image", "video"]) -> Order:
    """What a request asks for. `params`: its members, from JSON or from a form (figures may be text).

    Raises InvalidRequest, UnsupportedFeature; `param` names the member.
    """
    reading = Reading(model, params)
    limits = model.media
    pictures = _pictures(model, read_pictures(params, kind))
    sized = read_size(reading)
    quality, named = read_quality(reading, sized)
    stream = reading.flag("stream") or False
    return Order(
        kind=kind,
        prompt=_prompt(model, params),
        n=_count(reading),
        size=sized.size,
        width=sized.width,
        height=sized.height,
        aspect_ratio=sized.aspect_ratio,
        resolution=named or read_resolution(reading, sized),
        seconds=_seconds(reading),
        quality=quality,
        style=reading.choice("style", limits.styles),
        background=_background(reading),
        output_format=_format(reading),
        output_compression=_compression(reading),
        negative_prompt=_negative_prompt(reading),
        seed=reading.knob("seed", taken=limits.seed, least=SEED_MIN, most=SEED_MAX),
        watermark=reading.switch(("watermark",), taken=limits.watermark),
        audio=reading.switch(_AUDIO, taken=limits.audio),
        stream=stream,
        partial_images=_partial_images(reading, stream=stream),
        pictures=pictures,
        user=reading.text("user")[:USER_CHARS_MAX],
        extras=_extras(reading),
        notices=tuple(map(str, reading.notices)),
    )


def _prompt(model: Model, params: Mapping[str, JSON]) -> str:
    prompt = params.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise InvalidRequest("prompt is required: text that says what is to be made", param="prompt")
    if len(prompt) > model.media.prompt_chars_max:
        raise InvalidRequest(
            f"prompt: {model.slug} takes at most {model.media.prompt_chars_max} characters, not {len(prompt)}",
            param="prompt",
        )
    return prompt


def _count(reading: Reading) -> int:
    """How many pictures at most: `n`, or what a sequence of them may have."""
    n = reading.integer("n", 1, max(reading.limits.n_max, 1)) or 1
    if SEQUENCE not in reading.limits.extras:
        return n
    mode = reading.text(SEQUENCE)
    if mode not in ("", "disabled", "auto"):
        raise reading.wrong(SEQUENCE, mode, ("disabled", "auto"))
    if mode != "auto":
        return n
    options = reading.params.get(SEQUENCE_OPTIONS) or {}
    if not isinstance(options, dict):
        raise InvalidRequest(f"{SEQUENCE_OPTIONS} is an object with max_images", param=SEQUENCE_OPTIONS)
    most = options.get("max_images")
    if most is None:
        return SEQUENCE_MAX if n == 1 else n
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= SEQUENCE_MAX:
        raise InvalidRequest(
            f"max_images: {reading.model.slug} takes 1 to {SEQUENCE_MAX}",
            param=f"{SEQUENCE_OPTIONS}.max_images",
        )
    return most


def _pictures(model: Model, pictures: tuple[Picture, ...]) -> tuple[Picture, ...]:
    """Checked against what the model takes. A first frame counts as a reference where it takes no frames."""
    limits = model.media
    found: list[Picture] = []
    for picture in pictures:
        if picture.role in ("first_frame", "last_frame") and picture.role not in limits.frames:
            if picture.role == "last_frame" or not limits.references_max:
                raise UnsupportedFeature(
                    f"{model.slug} takes no {picture.role.replace('_', ' ')}", param="image_init"
                )
            found.append(structs.replace(picture, role="reference"))
        elif picture.role == "reference" and not limits.references_max and "first_frame" in limits.frames:
            # Whoever gives such a model an image means what the video begins with.
            found.append(structs.replace(picture, role="first_frame"))
        else:
            found.append(picture)
    for frame in limits.frames:
        if sum(picture.role == frame for picture in found) > 1:
            raise InvalidRequest(f"{model.slug} takes one {frame.replace('_', ' ')}", param="image_init")
    roles = {picture.role for picture in found}
    if "last_frame" in roles and "first_frame" not in roles:
        raise InvalidRequest("a last frame needs a first one: give image_init too", param="image_init")
    if "first_frame" in roles and "reference" in roles:
        raise UnsupportedFeature(
            f"{model.slug} takes frames or reference images, not both", param="reference_images"
        )
    references = sum(picture.role == "reference" for picture in found)
    masks = sum(picture.role == "mask" for picture in found)
    if references and not limits.references_max:
        raise UnsupportedFeature(f"{model.slug} takes no images", param="image")
    if references > limits.references_max:
        raise InvalidRequest(
            f"{model.slug} takes at most {limits.references_max} images, not {references}", param="image"
        )
    if masks and not limits.mask:
        raise UnsupportedFeature(
            f"{model.slug} takes no mask; say in the prompt what is to be changed", param="mask"
        )
    if masks > 1:
        raise InvalidRequest("there is one mask at most", param="mask")
    if masks and not references:
        raise InvalidRequest("a mask says where an image is to be changed: give the image too", param="mask")
    return tuple(found)


def _background(reading: Reading) -> str:
    asked = reading.text("background")
    limits = reading.limits
    if asked == "transparent" and asked not in limits.backgrounds:
        raise UnsupportedFeature(f"{reading.model.slug} draws no transparent background", param="background")
    found = reading.choice("background", limits.backgrounds)
    if found == "transparent" and reading.text("output_format") == "jpeg":
        raise InvalidRequest("a JPEG has no transparent background: take png or webp", param="output_format")
    return found


def _format(reading: Reading) -> str:
    asked = reading.text("output_format").lower()
    if asked == "jpg":
        asked = "jpeg"
    limits = reading.limits
    if not asked:
        return limits.format_default
    if not limits.formats:
        reading.dropped("output_format", f"{reading.model.slug} decides")
        return ""
    if asked not in limits.formats:
        raise reading.wrong("output_format", asked, limits.formats)
    return asked


def _compression(reading: Reading) -> int | None:
    value = reading.integer("output_compression", 0, 100)
    if value is None:
        return None
    if not reading.limits.formats:
        reading.dropped("output_compression")
        return None
    form = reading.text("output_format").lower() or reading.limits.format_default
    if form == "png" and value != 100:
        raise InvalidRequest(
            "output_compression is for jpeg and webp: set output_format", param="output_compression"
        )
    return None if form == "png" else value


def _negative_prompt(reading: Reading) -> str:
    asked = reading.text("negative_prompt")
    if asked and not reading.limits.negative_prompt:
        raise UnsupportedFeature(
            f"{reading.model.slug} takes no negative_prompt; say in the prompt what must not be seen",
            param="negative_prompt",
        )
    if len(asked) > reading.limits.prompt_chars_max:
        raise InvalidRequest(
            f"negative_prompt has at most {reading.limits.prompt_chars_max} characters",
            param="negative_prompt",
        )
    return asked


def _seconds(reading: Reading) -> int:
    limits = reading.limits
    for name in _SECONDS:
        asked = reading.params.get(name)
        if asked is None or asked == "":
            continue
        if not limits.seconds:
            reading.dropped(name)
            return 0
        text = str(asked).strip().removesuffix("s").removesuffix(".0")
        if isinstance(asked, bool) or not text.isdecimal() or int(text[:6]) not in limits.seconds:
            raise reading.wrong(name, str(asked), map(str, limits.seconds))
        return int(text)
    return limits.seconds_default


def _partial_images(reading: Reading, *, stream: bool) -> int:
    asked = reading.integer("partial_images", 0, PARTIAL_IMAGES_MAX) or 0
    if asked and not stream:
        raise InvalidRequest("partial_images are told in a stream: set stream", param="partial_images")
    if asked > reading.limits.partial_images_max:
        most = reading.limits.partial_images_max
        if most:
            reading.approximated("partial_images", f"{most} at most")
        else:
            reading.dropped("partial_images")
        return most
    return asked


def _extras(reading: Reading) -> dict[str, object]:
    """What else the model's provider takes goes along as it is; anything else is told as dropped."""
    extras: dict[str, object] = {}
    for name in sorted(reading.params.keys() - _READ)[:EXTRAS_MAX]:
        value = reading.params[name]
        if value is None:
            continue
        if name in reading.limits.extras:
            extras[name] = value
        else:
            shown = reading.shown(name)
            reading.dropped(shown, "not a parameter of this model")
    return extras
