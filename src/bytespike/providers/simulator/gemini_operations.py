"""Gemini's long-running operations as the simulator speaks them: Veo's `:predictLongRunning`, the operation, the file.

Shapes are those of recorded answers and of the SDK's converters; the refusals are those of ai.google.dev's page on video,
and of users who have published theirs.
"""

from __future__ import annotations

import re

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator import gemini_errors, rendering
from bytespike.providers.simulator.checks import Node, Problem
from bytespike.providers.simulator.directives import BadDirective, Directives
from bytespike.providers.simulator.exchange import Fault, Incoming, Reply, World
from bytespike.providers.simulator.films import Clip
from bytespike.providers.simulator.gemini_errors import refuse
from bytespike.providers.simulator.pictures import NotAPicture
from bytespike.providers.simulator.renders import Render

PREDICT = ":predictLongRunning"
OPERATION_PATH = "/models/{model}/operations/{id}"
FILE_PATH = "/files/{id}:download"
#: Pixels of a landscape picture, by resolution.
RESOLUTIONS = {"720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}
RATIOS = ("16:9", "9:16")
SECONDS = (4, 6, 8)
REFERENCES_MAX = 3

_OPERATION = re.compile(r"/models/[^/:]+/operations/([^/:]+)")
_FILE = re.compile(r"/files/([^/:]+):download")
_MODEL = re.compile(r"/models/([^/:]+):")
_INSTANCE = ("prompt", "image", "lastFrame", "referenceImages")
_PARAMETERS = (
    "aspectRatio", "resolution", "durationSeconds", "negativePrompt", "personGeneration", "sampleCount", "seed",
)  # fmt: skip
#: Of Google's other platform.
_ELSEWHERE = ("generateAudio", "fps", "storageUri", "enhancePrompt", "seed", "pubsubTopic")
_PEOPLE = ("allow_all", "allow_adult", "dont_allow")
_BLOCKED = (
    "The prompt could not be submitted. This prompt contains words that violate Google's Responsible AI practices. Try "
    "rephrasing the prompt. If you think this was an error, send feedback."
)
_FILTERED = (
    "Veo could not generate videos because the output violates Gemini API usage guidelines. You will not be charged for "
    "blocked videos. Try again with a different prompt."
)
_FAILED = "Video generation failed due to an internal server issue. Please try again in a few minutes."
_RESPONSE_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse"
_encode = msgspec.json.encode


def route(rest: str) -> str:
    """What a path after the version asks for; itself where it asks for nothing of this."""
    if _OPERATION.fullmatch(rest):
        return OPERATION_PATH
    if _FILE.fullmatch(rest):
        return FILE_PATH
    return rest


def predict(incoming: Incoming, world: World) -> Reply:
    """POST /v1beta/models/{model}:predictLongRunning. Raises `Fault`."""
    account = gemini_errors.account(incoming)
    found = _MODEL.search(incoming.path)
    model = found[1] if found else ""
    try:
        prompt, clip = _order(_body(incoming))
        words, sim = rendering.ordered(incoming, world, prompt)
    except Problem as problem:
        raise _worded(problem) from None
    except BadDirective as bad:
        raise refuse(f"Bad directive: {bad}") from None
    if sim.refusal is not None:
        raise refuse(_BLOCKED if sim.refusal in ("", "true") else sim.refusal)
    width, height, seconds = clip
    render = world.renders.begin(
        account,
        rendering.new_id(incoming, world, 12),
        model,
        Clip(words, width, height, seconds, sim.file_bytes),
        sim,
        {"name": f"models/{model}/operations/{rendering.new_id(incoming, world, 12)}"},
    )
    return Reply(_encode(render.told), delivery=sim)


def operation(incoming: Incoming, world: World) -> Reply:
    """GET /v1beta/models/{model}/operations/{id}. Raises `Fault`."""
    account = gemini_errors.account(incoming)
    found = _OPERATION.search(incoming.path)
    render = rendering.looked_at(
        world.renders.poll(account, found[1] if found else ""), Fault(404, "Requested entity was not found.")
    )
    return Reply(_encode(_told(render, incoming, world)))


def download(incoming: Incoming, world: World) -> Reply:
    """GET /v1beta/files/{id}:download?alt=media. Raises `Fault`."""
    account = gemini_errors.account(incoming)
    found = _FILE.search(incoming.path)
    render = world.renders.find(account, found[1] if found else "")
    if render is None or render.state(world.renders.now) != "completed":
        message = "You do not have permission to access the File or it may not exist."
        raise Fault(403, message)
    return rendering.file_of(render, world.seed)


def _body(incoming: Incoming) -> Node:
    try:
        body: JSON = msgspec.json.decode(incoming.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise refuse("Invalid JSON payload received.") from None
    if not isinstance(body, dict):
        raise refuse("Invalid JSON payload received. The body is no object.")
    return Node(body)


def _order(body: Node) -> tuple[str, tuple[int, int, int]]:
    """The prompt; width, height and seconds. Raises `Problem`, `Fault`."""
    body.only(("instances", "parameters"))
    instances = list(body.objects("instances"))
    if len(instances) != 1:
        raise refuse("Exactly one instance is supported.")
    instance = instances[0]
    instance.only(_INSTANCE)
    pictures = [name for name in ("image", "lastFrame") if instance.has(name)]
    for name in pictures:
        _picture(instance.object(name))
    references = list(instance.optional_objects("referenceImages"))
    if len(references) > REFERENCES_MAX:
        raise refuse(f"At most {REFERENCES_MAX} reference images are supported.")
    for reference in references:
        reference.one_of("referenceType", ("asset", "style"))
        _picture(reference.object("image"))
    if "lastFrame" in pictures and "image" not in pictures:
        raise refuse("`lastFrame` requires `image`.")
    if references and pictures:
        raise refuse("`referenceImages` cannot be combined with `image` or `lastFrame`.")
    parameters = body.optional_object("parameters") or Node({}, ("parameters",))
    narrow = bool(references) or len(pictures) > 1
    return instance.text("prompt"), _shape(parameters, narrow=narrow)


def _shape(parameters: Node, *, narrow: bool) -> tuple[int, int, int]:
    for name in _ELSEWHERE:
        if parameters.has(name):
            raise refuse(
                f"`{name}` isn't supported by this model. Please remove it or refer to the Gemini API documentation."
            )
    parameters.only(_PARAMETERS)
    parameters.optional_text("negativePrompt")
    parameters.optional_one_of("personGeneration", _PEOPLE)
    parameters.optional_integer("sampleCount", 1, 1)
    ratio = parameters.optional_one_of("aspectRatio", RATIOS) or RATIOS[0]
    resolution = parameters.optional_one_of("resolution", tuple(RESOLUTIONS)) or "720p"
    seconds = parameters.optional_integer("durationSeconds", SECONDS[0], SECONDS[-1]) or SECONDS[-1]
    if seconds not in SECONDS:
        raise refuse(
            f"The number value for `durationSeconds` is out of bound. Supported values are {SECONDS}."
        )
    if seconds != SECONDS[-1] and (narrow or resolution != "720p"):
        raise refuse("`durationSeconds` must be 8 for this resolution, interpolation and reference images.")
    across, down = RESOLUTIONS[resolution]
    return (across, down, seconds) if ratio == RATIOS[0] else (down, across, seconds)


def _picture(node: Node) -> None:
    """Raises `Problem`, `Fault`."""
    if node.has("inlineData"):
        raise refuse("`inlineData` isn't supported by this model.")
    node.only(("bytesBase64Encoded", "mimeType", "gcsUri"))
    node.text("mimeType")
    try:
        rendering.seen(node.text("bytesBase64Encoded"))
    except NotAPicture:
        raise refuse("Unable to process input image.") from None


def _worded(problem: Problem) -> Fault:
    where = ".".join(map(str, problem.path))
    match problem.kind:
        case "unknown":
            return refuse(
                f'Invalid JSON payload received. Unknown name "{problem.path[-1]}": Cannot find field.'
            )
        case "missing":
            return refuse(f"`{where}` is required.")
        case _:
            return refuse(f"The value for `{where}` is invalid: {problem.got!r}.")


def _told(render: Render, incoming: Incoming, world: World) -> JSONObject:
    state = render.state(world.renders.now)
    told: JSONObject = {**render.told}
    if state == "completed":
        host = incoming.headers.get("host", "localhost")
        uri = f"http://{host}/v1beta/files/{render.id}:download?alt=media"
        samples: list[JSON] = [{"video": {"uri": uri}}]
        return {**told, "done": True, "response": _response({"generatedSamples": samples})}
    if state == "failed":
        return {**told, "done": True, **_failure(render.sim)}
    return told


def _response(made: JSONObject) -> JSONObject:
    return {"@type": _RESPONSE_TYPE, "generateVideoResponse": made}


def _failure(sim: Directives) -> JSONObject:
    if sim.fail == "moderation":
        reasons: list[JSON] = [sim.error_text or _FILTERED]
        return {"response": _response({"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": reasons})}
    code = int(sim.fail) if sim.fail is not None and sim.fail.isdecimal() else 13
    return {"error": {"code": code, "message": sim.error_text or _FAILED}}
