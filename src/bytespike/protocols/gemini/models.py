"""Model lists in this dialect: `GET /v1beta/models` and `GET /v1beta/models/{model}`.

Source: Gemini API reference, "Models" (name, version, displayName, description, inputTokenLimit, outputTokenLimit,
supportedGenerationMethods, thinking, temperature, maxTemperature, topP, topK), google-genai, Model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.wire import json

PREFIX: Final = "models/"
#: What this gateway serves for a text model.
METHODS: Final = ("generateContent", "countTokens")


def model_entry(
    slug: str,
    *,
    display_name: str,
    version: str = "",
    description: str = "",
    input_token_limit: int = 0,
    output_token_limit: int = 0,
    methods: Iterable[str] = METHODS,
    thinking: bool = False,
) -> JSONObject:
    """One model. Limits are in tokens; 0 is unknown and left out. `version` is the slug where there is none."""
    entry: JSONObject = {
        "name": PREFIX + slug,
        "version": version or slug,
        "displayName": display_name,
    }
    if description:
        entry["description"] = description
    if input_token_limit:
        entry["inputTokenLimit"] = input_token_limit
    if output_token_limit:
        entry["outputTokenLimit"] = output_token_limit
    entry["supportedGenerationMethods"] = [*methods]
    if thinking:
        entry["thinking"] = True
    return entry


def model_list(entries: Iterable[JSONObject], next_page_token: str = "") -> JSONObject:
    """A page of models. `next_page_token`: "" on the last page."""
    models: list[JSON] = [*entries]
    page: JSONObject = {"models": models}
    if next_page_token:
        page["nextPageToken"] = next_page_token
    return page


def write_models(page: JSONObject) -> bytes:
    return json.encode(page)
