"""Real bodies, spoilt: random bytes do not get past the first brace, but a node of the JSON that is replaced, removed or
doubled does, and so do bytes that are flipped, cut out and spliced."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

_VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, 10**20, "", "x", "0", [], {}, [None], [{}], {"type": "x"}, {"type": 7}, [[[]]]]
)


@st.composite
def spoilt_json(draw: st.DrawFn, value: Any) -> bytes:
    """The JSON of `value` with one to three of its nodes changed."""
    spoilt = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        holders = _holders(spoilt)
        if not holders:
            break
        holder, key = draw(st.sampled_from(holders))
        match draw(st.sampled_from(["replaced", "removed", "doubled"])):
            case "replaced":
                # A value of its own, for the next change may change it.
                holder[key] = copy.deepcopy(draw(_VALUES))
            case "removed":
                del holder[key]
            case _:
                if isinstance(holder, list):
                    holder.insert(key, copy.deepcopy(holder[key]))
                else:
                    holder[key] = [holder[key], copy.deepcopy(holder[key])]
    return json.dumps(spoilt, ensure_ascii=False).encode()


def _holders(value: Any) -> list[tuple[Any, Any]]:
    """Every place of a value: what holds it, and its key or index there."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        keys = (
            list(holder)
            if isinstance(holder, dict)
            else range(len(holder))
            if isinstance(holder, list)
            else ()
        )
        for key in keys:
            found.append((holder, key))
            waiting.append(holder[key])
    return found


@st.composite
def spoilt_bytes(draw: st.DrawFn, data: bytes, others: list[bytes]) -> bytes:
    """`data` cut off, with bytes flipped or cut out, or going on as another."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["cut", "flipped", "gap", "spliced"])):
            case "cut":
                data = data[:at]
            case "flipped":
                data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
            case "gap":
                data = data[:at] + data[at + draw(st.integers(1, 20)) :]
            case _:
                other = draw(st.sampled_from(others))
                data = data[:at] + other[draw(st.integers(0, len(other))) :]
    return data
