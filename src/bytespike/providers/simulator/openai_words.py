"""OpenAI: what its two text APIs refuse alike, and in which words.

From the errors that the API gives, and the SDK's types for the values that both APIs know.
"""

from __future__ import annotations

import binascii
import re

from bytespike.core.json_types import JSONObject
from bytespike.providers.simulator.checks import Node, Path, Problem
from bytespike.providers.simulator.exchange import Fault
from bytespike.providers.simulator.prefix_cache import SHORT_S

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
TIERS = ("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
DETAILS = ("auto", "low", "high", "original")
#: `prompt_cache_breakpoint.ttl` (SDK); the default is half an hour.
_KEEP_S = {"30m": 1800.0, "12h": 43_200.0}


def refuse(message: str, param: str | None = None, code: str | None = None) -> Fault:
    """A 400 in OpenAI's words."""
    return Fault(400, message, kind="invalid_request_error", param=param, code=code)


def spelt(path: Path) -> str:
    """A path as OpenAI writes it: messages[0].content[1].type."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def empty_array(name: str) -> Fault:
    return refuse(
        f"Invalid '{name}': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        name,
        "empty_array",
    )


def too_long(where: str, kind: str, most: int, got: int) -> Fault:
    """A string or an array that is longer than it may be."""
    article = "an" if kind == "array" else "a"
    return refuse(
        f"Invalid '{where}': {kind} too long. Expected {article} {kind} with maximum length {most}, but got {article} "
        f"{kind} with length {got} instead.",
        where,
        f"{kind}_above_max_length",
    )


def word(problem: Problem) -> Fault:
    """What is wrong with a field, in the API's words."""
    where = spelt(problem.path)
    match problem.kind:
        case "missing":
            return refuse(f"Missing required parameter: '{where}'.", where, "missing_required_parameter")
        case "type":
            return refuse(
                f"Invalid type for '{where}': expected {_article(problem.expected)}, but got {_article(problem.got)} "
                "instead.",
                where,
                "invalid_type",
            )
        case "value":
            names = [f"'{name}'" for name in problem.allowed]
            listed = f"{', '.join(names[:-1])}, and {names[-1]}" if names[1:] else names[0]
            return refuse(
                f"Invalid value: '{problem.got}'. Supported values are: {listed}.", where, "invalid_value"
            )
        case "unknown":
            return refuse(f"Unknown parameter: '{where}'.", where, "unknown_parameter")
        case "below" | "above":
            below = problem.kind == "below"
            number = "integer" if isinstance(problem.bound, int) else "decimal"
            return refuse(
                f"Invalid '{where}': {number} {'below minimum' if below else 'above maximum'} value. Expected a value "
                f"{'>=' if below else '<='} {problem.bound:g}, but got {problem.got} instead.",
                where,
                f"{number}_{'below_min' if below else 'above_max'}_value",
            )


def _article(kind: str) -> str:
    if kind == "null":
        return kind
    return f"an {kind}" if kind[:1] in "aio" else f"a {kind}"


def object_schema(schema: JSONObject | None, name: str, where: str) -> None:
    """A function's parameters are an object. Raises `Fault`."""
    if schema is None or schema.get("type") == "object":
        return
    got = schema.get("type")
    shown = f'"{got}"' if isinstance(got, str) else "null" if got is None else str(got)
    raise refuse(
        f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', got 'type: {shown}'.",
        where,
        "invalid_function_parameters",
    )


def keep_s(node: Node) -> float | None:
    """What a part's cache breakpoint asks for, in seconds. Raises `Problem`."""
    mark = node.optional_object("prompt_cache_breakpoint")
    if mark is None:
        return None
    mark.one_of("mode", ("explicit",))
    ttl = mark.optional_one_of("ttl", tuple(_KEEP_S))
    return _KEEP_S[ttl] if ttl is not None else SHORT_S


def image_type(url: str, where: str) -> str:
    """The media type of an image URL; of one on the web it is not known. Raises `Fault`."""
    if not url.startswith("data:"):
        if not url.startswith(("http://", "https://")):
            raise refuse(
                f"Invalid '{where}'. Expected a valid URL, but got a value with an invalid format.",
                where,
                "invalid_value",
            )
        return "image/*"
    head, _, data = url.partition(",")
    media_type = head.removeprefix("data:").partition(";")[0]
    if not head.endswith(";base64") or not media_type.startswith("image/"):
        raise refuse("Invalid image data URL.", where, "invalid_image_url")
    check_base64(data, where)
    return media_type


def check_base64(data: str, where: str) -> None:
    """Raises `Fault`."""
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        raise refuse(f"Invalid base64 data in '{where}'.", where, "invalid_base64") from None


def tier_reported(node: Node) -> str:
    """The service tier that the answer reports. Raises `Problem`."""
    tier = node.optional_one_of("service_tier", TIERS)
    if tier in (None, "auto"):
        return "default"
    return "priority" if tier == "fast" else tier


def stream_options(node: Node, known: tuple[str, ...]) -> Node | None:
    """The stream options of a request that streams. Raises `Problem`, `Fault`."""
    options = node.optional_object("stream_options")
    if options is None:
        return None
    if node.flag("stream") is not True:
        raise refuse(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options"
        )
    options.only(known)
    return options
