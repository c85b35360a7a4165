"""Log probabilities of tokens.

Here they belong to an `output_text`, in the hub to the whole answer. The token objects are chat's, but for two members
that chat lets be null or absent and clients of this wire require: `bytes` and `top_logprobs`.
"""

from __future__ import annotations

from collections.abc import Sequence

from bytespike.core import content as c
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.response import Logprobs


def read_logprobs(output: Sequence[JSON]) -> Logprobs | None:
    """Of all texts of an output."""
    found: list[JSON] = []
    for item in output:
        content = item.get("content") if isinstance(item, dict) else None
        for part in content if isinstance(content, list) else []:
            tokens = part.get("logprobs") if isinstance(part, dict) else None
            if isinstance(tokens, list):
                found.extend(tokens)
    return Logprobs(tuple(found)) if found else None


def write_token(token: JSON) -> JSON:
    """One token's object, whole."""
    if not isinstance(token, dict):
        return token
    top = token.get("top_logprobs")
    others: list[JSON] = []
    if isinstance(top, list):
        others = [_whole(other) if isinstance(other, dict) else other for other in top]
    return {**_whole(token), "top_logprobs": others}


def _whole(token: JSONObject) -> JSONObject:
    if token.get("bytes") is not None:
        return token
    text = token.get("token")
    raw: list[JSON] = [*text.encode("utf-8", "surrogatepass")] if isinstance(text, str) else []
    return {**token, "bytes": raw}


def divide(logprobs: Logprobs | None, parts: Sequence[c.Part]) -> list[list[JSON]]:
    """For each text part the tokens that make it up, as far as their lengths say so; the last text takes the rest."""
    texts = [part for part in parts if isinstance(part, c.TextPart)]
    divided: list[list[JSON]] = [[] for _ in texts]
    if logprobs is None or not texts:
        return divided
    at, room = 0, len(texts[0].text)
    for token in logprobs.content:
        while room <= 0 and at < len(texts) - 1:
            at += 1
            room = len(texts[at].text)
        divided[at].append(write_token(token))
        text = token.get("token") if isinstance(token, dict) else None
        room -= len(text) if isinstance(text, str) else 0
    return divided
