"""What a model is: its names, limits, abilities and default prices, as the catalog's data files tell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

Kind: TypeAlias = Literal["text", "image", "video"]

#: The closed vocabulary of abilities. A model has one or it has not; dialect writers ask for these names.
CAPABILITIES: Mapping[str, str] = {
    "vision": "reads images",
    "documents": "reads PDF documents",
    "audio": "listens to audio",
    "video": "watches video",
    "tools": "calls functions that the client runs",
    "parallel_tools": "calls several functions in one turn",
    "thinking": "reasons before it answers",
    "thinking_budget": "takes a budget of thinking tokens",
    "adaptive_thinking": "decides itself how much to think (`thinking.type` adaptive)",
    "effort": "takes a level of reasoning effort",
    "effort_xhigh": "takes the effort level xhigh",
    "sampling": "takes temperature and top_p",
    "stop_sequences": "takes stop sequences",
    "json_object": "can be held to JSON",
    "json_schema": "can be held to a JSON Schema",
    "web_search": "searches the web at its provider",
    "logprobs": "reports token log probabilities",
    "prompt_cache": "reads repeated prompts from a cache, at a lower price",
    "system_turns": "takes system turns in mid-conversation",
    "image_generation": "draws images",
    "image_edit": "changes images that it is given",
    "image_output": "draws inside of a chat answer (`image_output`)",
    "video_generation": "makes videos",
    "image_to_video": "makes a video from an image",
}

#: Client-facing protocols: the text dialects, images (synchronous) and tasks (asynchronous).
PROTOCOLS: frozenset[str] = frozenset(
    {"anthropic_messages", "openai_chat", "openai_responses", "gemini", "images", "tasks"}
)

MODALITIES: frozenset[str] = frozenset({"text", "image", "pdf", "audio", "video"})


class TokenTier(Struct, frozen=True, forbid_unknown_fields=True):
    """What a request's tokens cost, all of them, when its prompt has more than `above` tokens, cached ones among them.
    Micro-dollars per million tokens."""

    above: int
    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int


class TokenRates(Struct, frozen=True, forbid_unknown_fields=True):
    """Default prices of a text model: micro-dollars per million tokens, and per 1,000 uses for `web_search`. `tiers`:
    what long prompts cost instead, the shortest first."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    web_search: int = 0
    tiers: tuple[TokenTier, ...] = ()


class ImageRate(Struct, frozen=True, forbid_unknown_fields=True):
    """One row of an image price table, micro-dollars per image (or per chat turn, for `per="turn"`).

    It applies to the named quality ("" is any) from `pixels_min` pixels (width x height) on. Of the rows that apply, a
    row that names the quality comes before one that does not, then the row with the largest `pixels_min`.
    """

    price: int
    quality: str = ""
    pixels_min: int = 0
    per: Literal["image", "turn"] = "image"


class VideoRate(Struct, frozen=True, forbid_unknown_fields=True):
    """Micro-dollars per second of video at a resolution ("" is any: "720p", "1080p", ...)."""

    per_second: int
    resolution: str = ""


class VideoRates(Struct, frozen=True, forbid_unknown_fields=True):
    """`submit_fee` is owed once per task that completes."""

    submit_fee: int
    seconds: tuple[VideoRate, ...]


class MediaLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """What an image or video model takes. An empty list: the model does not take the parameter at all, but for `sizes`
    where `pixels_max` is set: any size within the bounds then. Every `..._default` is "" or 0 where the provider decides.

    `surfaces`: the APIs and dialects in which it can be asked (`providers.platforms.SURFACES`), best first.

    `sizes` "1024x1024" or names ("2K", "auto"). A size in the list that has fewer pixels than `pixels_min` is drawn larger, in its shape.
    `side_step`: sides are multiples of it; `side_max` pixels; `shape_max`: the long side is at most so many times the short one.
    `size_qualities`: sizes that are of a certain quality, whatever is said; `seconds` the lengths of a video; `references_max` images that may be given
    along; `frames`: which roles of frames a video takes. `extras`: further parameters that pass as they are.
    """

    surfaces: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    size_default: str = ""
    pixels_min: int = 0
    pixels_max: int = 0
    side_step: int = 1
    side_max: int = 0
    shape_max: int = 0
    size_qualities: Mapping[str, str] = {}
    aspect_ratios: tuple[str, ...] = ()
    aspect_ratio_default: str = ""
    resolutions: tuple[str, ...] = ()
    resolution_default: str = ""
    seconds: tuple[int, ...] = ()
    seconds_default: int = 0
    qualities: tuple[str, ...] = ()
    quality_default: str = ""
    styles: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    format_default: str = ""
    n_max: int = 1
    references_max: int = 0
    frames: tuple[Literal["first_frame", "last_frame"], ...] = ()
    mask: bool = False
    seed: bool = False
    negative_prompt: bool = False
    watermark: bool = False
    audio: bool = False
    partial_images_max: int = 0
    prompt_chars_max: int = 32_000
    extras: tuple[str, ...] = ()


class Model(Struct, frozen=True):
    """One model of the catalog.

    `vendor_id` is what its own vendor calls it; `platform` is that vendor's platform (providers/). `created`: the day of
    its release, as Unix seconds at midnight UTC. Token figures are 0 for image and video models. `hold_output_tokens`: what is held for an answer when the client sets no limit.
    `limits`: "documented" where the vendor publishes context window and output limit, "assumed" where it does not.
    `protocols`: the client protocols that the vendor itself speaks, so that bytes can pass through; `published` those
    that the published matrix offers for this family (`strict_protocol_matrix` translates for no other).
    """

    slug: str
    display_name: str
    family: str
    kind: Kind
    vendor: str
    platform: str
    vendor_id: str
    created: int
    context_window: int
    max_output_tokens: int
    hold_output_tokens: int
    limits: Literal["documented", "assumed"]
    capabilities: frozenset[str]
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]
    protocols: tuple[str, ...]
    published: frozenset[str]
    rates: TokenRates = TokenRates()
    images: tuple[ImageRate, ...] = ()
    video: VideoRates | None = None
    media: MediaLimits = MediaLimits()
