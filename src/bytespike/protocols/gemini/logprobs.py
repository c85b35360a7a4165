"""Log probabilities: `logprobsResult`, and OpenAI's shape, which is the hub's.

Google: `chosenCandidates`, one `{"token", "tokenId", "logProbability"}` for each token, and `topCandidates`, one
`{"candidates": [...]}` for each. OpenAI: one `{"token", "logprob", "bytes", "top_logprobs"}` for each token.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.response import Logprobs

#: More tokens than any answer has.
TOKENS_MAX: Final = 1_000_000


def read_logprobs(result: JSON) -> Logprobs | None:
    """Entries that are none are left out. Never raises."""
    if not isinstance(result, dict):
        return None
    chosen = _objects(result.get("chosenCandidates"))
    tops = _objects(result.get("topCandidates"))
    content: list[JSON] = []
    for token, top in zip_longest(chosen, tops[: len(chosen)]):
        entry = _entry(token)
        likeliest: list[JSON] = [_entry(other) for other in _objects((top or {}).get("candidates"))]
        entry["top_logprobs"] = likeliest
        content.append(entry)
    return Logprobs(tuple(content)) if content else None


def _entry(token: JSONObject) -> JSONObject:
    text = token.get("token")
    text = text if isinstance(text, str) else ""
    entry: JSONObject = {
        "token": text,
        "logprob": token.get("logProbability", 0.0),
        "bytes": [*text.encode("utf-8", "surrogatepass")],
    }
    if "tokenId" in token:
        entry["token_id"] = token["tokenId"]
    return entry


def write_logprobs(logprobs: Logprobs) -> JSONObject:
    """`logprobsResult`."""
    chosen: list[JSON] = []
    tops: list[JSON] = []
    for entry in _objects([*logprobs.content, *logprobs.refusal]):
        chosen.append(_token(entry))
        likeliest: list[JSON] = [_token(other) for other in _objects(entry.get("top_logprobs"))]
        tops.append({"candidates": likeliest})
    written: JSONObject = {"chosenCandidates": chosen}
    if any(isinstance(top, dict) and top["candidates"] for top in tops):
        written["topCandidates"] = tops
    return written


def _token(entry: JSONObject) -> JSONObject:
    token: JSONObject = {"token": entry.get("token", ""), "logProbability": entry.get("logprob", 0.0)}
    if "token_id" in entry:
        token["tokenId"] = entry["token_id"]
    return token


def _objects(values: JSON) -> list[JSONObject]:
    if not isinstance(values, list):
        return []
    return [value for value in values[:TOKENS_MAX] if isinstance(value, dict)]
