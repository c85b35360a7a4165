"""`generationConfig`, read."""

from __future__ import annotations

from typing import Final, NamedTuple

from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.request import NO_SAMPLING, OutputFormat, ReasoningConfig, Sampling
from bytespike.protocols.gemini.names import CANDIDATES_MAX, TOP_LOGPROBS_MAX
from bytespike.protocols.gemini.proto_json import camel_keys, optional_int32
from bytespike.protocols.gemini.schemas import from_openapi
from bytespike.protocols.gemini.thinking import read_thinking
from bytespike.wire import fields as f
from bytespike.wire import json

_READ: Final = frozenset(
    {
        "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "presencePenalty",
        "frequencyPenalty", "seed", "responseMimeType", "responseSchema", "responseJsonSchema", "responseLogprobs",
        "logprobs", "thinkingConfig",
    }
)  # fmt: skip
_TEXT_ONLY: Final[list[JSON]] = ["TEXT"]
JSON_TYPE: Final = "application/json"
ENUM_TYPE: Final = "text/x.enum"
PLAIN_TYPE: Final = "text/plain"


class Config(NamedTuple):
    """`kept`: members that the hub does not have, and how the others were spelt (names with an underscore)."""

    max_output_tokens: int | None
    candidates: int
    stop: tuple[str, ...]
    sampling: Sampling
    reasoning: ReasoningConfig | None
    output_format: OutputFormat | None
    logprobs: int | None
    kept: JSONObject


NO_CONFIG: Final = Config(None, 1, (), NO_SAMPLING, None, None, None, {})
_SAMPLING: Final = frozenset({"temperature", "topP", "topK", "frequencyPenalty", "presencePenalty", "seed"})


def read_config(body: JSONObject) -> Config:
    """Raises `Wrong` under "generationConfig"."""
    told = f.optional_object(body, "generationConfig")
    if not told:
        return NO_CONFIG
    told = camel_keys(told)
    kept: JSONObject = {key: value for key, value in told.items() if key not in _READ and value is not None}
    if kept.get("responseModalities") == _TEXT_ONLY:
        # The default: for another model it means nothing.
        kept["_responseModalities"] = kept.pop("responseModalities")
    try:
        return Config(
            max_output_tokens=optional_int32(told, "maxOutputTokens", least=1),
            candidates=optional_int32(told, "candidateCount", least=1, most=CANDIDATES_MAX) or 1,
            stop=f.texts(told, "stopSequences"),
            sampling=_sampling(told, kept),
            reasoning=read_thinking(told),
            output_format=_output_format(told, kept),
            logprobs=_logprobs(told, kept),
            kept=kept,
        )
    except f.Wrong as wrong:
        raise wrong.under("generationConfig") from None


def _sampling(told: JSONObject, kept: JSONObject) -> Sampling:
    if _SAMPLING.isdisjoint(told):
        return NO_SAMPLING
    top_k = f.optional_number(told, "topK")
    if top_k is not None and top_k != int(top_k):
        # The wire's type is a float; nobody else has half tokens.
        kept["topK"] = top_k
        top_k = None
    return Sampling(
        temperature=f.optional_number(told, "temperature"),
        top_p=f.optional_number(told, "topP"),
        top_k=None if top_k is None else int(top_k),
        frequency_penalty=f.optional_number(told, "frequencyPenalty"),
        presence_penalty=f.optional_number(told, "presencePenalty"),
        seed=optional_int32(told, "seed"),
    )


def _logprobs(told: JSONObject, kept: JSONObject) -> int | None:
    likeliest = optional_int32(told, "logprobs", least=0, most=TOP_LOGPROBS_MAX)
    if not f.optional_flag(told, "responseLogprobs"):
        if likeliest is not None:
            kept["_logprobs"] = likeliest
        return None
    return likeliest or 0


def _output_format(told: JSONObject, kept: JSONObject) -> OutputFormat | None:
    media_type = f.optional_text(told, "responseMimeType")
    openapi = f.optional_object(told, "responseSchema")
    schema = told.get("responseJsonSchema")
    if schema is not None and not isinstance(schema, dict):
        raise f.Wrong("must be an object", "responseJsonSchema")
    if media_type not in (None, JSON_TYPE, ENUM_TYPE, PLAIN_TYPE):
        kept["responseMimeType"] = media_type
    if openapi is not None:
        # The spelling goes back to the same dialect as it came.
        kept["_responseSchema"] = openapi
        if schema is None:
            try:
                if json.nests_deeper(openapi):
                    raise f.Wrong("nests too deeply")
                schema = from_openapi(openapi)
            except f.Wrong as wrong:
                raise wrong.under("responseSchema") from None
    if schema is not None:
        if media_type != JSON_TYPE:
            kept["_responseMimeType"] = media_type
        return OutputFormat("json_schema", schema)
    if media_type == JSON_TYPE:
        return OutputFormat("json_object")
    return OutputFormat("text") if media_type == PLAIN_TYPE else None
