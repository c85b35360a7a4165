"""What Volcengine Ark's errors mean, those of its answers and those of tasks that failed.

    {"error": {"code": "InputImageSensitiveContentDetected.PrivacyInformation", "message": "...", "param": "",
               "type": "BadRequest"}}

A code may go on after a dot. Source: volcengine.com/docs/82379/1299023 (error codes).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bytespike.core.dialect import UpstreamFailure, reported
from bytespike.core.json_types import JSON
from bytespike.errors import GatewayError
from bytespike.protocols.openai_errors import Told, Vocabulary, judge, told_by
from bytespike.protocols.upstream_errors import plain_text, retry_after
from bytespike.wire import json

_POLICY_WORD: Final = "sensitivecontentdetected"

_VOCABULARY: Final = Vocabulary(
    policy=frozenset({_POLICY_WORD}),
    context=frozenset(),
    context_phrases=(),
    params={},
    channel={
        "authenticationerror": 401,
        "accessdenied": 403,
        "accountoverdueerror": 402,
        "operationdenied": 403,
        "modelnotopen": 404,
        "invalidendpointormodel": 404,
        "invalidendpoint": 404,
        "ratelimitexceeded": 429,
        "accountratelimitexceeded": 429,
        "quotaexceeded": 429,
        "requestbursttoofast": 429,
        "setlimitexceeded": 429,
        "inflightbatchsizeexceeded": 429,
        "modelaccountrpmratelimitexceeded": 429,
        "modelaccounttpmratelimitexceeded": 429,
        "modelaccountipmratelimitexceeded": 429,
        "apiaccountrpmratelimitexceeded": 429,
    },
    channel_statuses=frozenset({401, 402, 403, 429}),
    overloaded=frozenset({"serveroverloaded", "internalserviceerror", "modelloadingerror"}),
    credential_beginnings=("the api key", "invalid api key"),
    no_such_model=re.compile(
        r"\bmodel or endpoint\b.*\bdoes not exist|\bmodel .*\bnot (?:found|open|activated)"
    ),
    plain_statuses=frozenset({400}),
)


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """What an error answer means. Never raises."""
    try:
        value = json.decode(body)
    except json.NotJSON:
        said = Told(plain_text(body), (), None)
    else:
        said = _told(value.get("error", value) if isinstance(value, dict) else None)
    return judge(_VOCABULARY, status, said, retry_after(headers))


def told_error(code: str, message: str) -> GatewayError:
    """The error of a task that failed."""
    return reported(judge(_VOCABULARY, 0, _told({"code": code, "message": message})))


def _told(error: JSON) -> Told:
    if not isinstance(error, dict):
        return Told("", (), None)
    code = error.get("code")
    message = error.get("message")
    words: list[JSON] = []
    if isinstance(code, str):
        words = [code, code.partition(".")[0]]
        # Input or Output, of Text, Image, Video or Audio.
        if _POLICY_WORD in code.lower():
            words.append(_POLICY_WORD)
        if code.startswith(("InvalidParameter", "MissingParameter")):
            words.append("invalid_request_error")
    return told_by(message if isinstance(message, str) else "", words, error.get("param"))
