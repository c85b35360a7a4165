"""How deep a decoded body nests, against a plain recursive count."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bytespike.wire import json
from bytespike.wire.limits import JSON_DEPTH_MAX

_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


@given(_VALUES, st.integers(0, 6))
def test_it_is_the_depth_that_decides(value: Any, depth_max: int) -> None:
    deeper = _depth(value) > depth_max
    assert json.nests_deeper(value, depth_max) == deeper
    assert json.nests_deeper(value, depth_max, text=json.encode(value)) == deeper


def test_the_depth_that_is_allowed_is_not_too_deep() -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        allowed = (opening * JSON_DEPTH_MAX + closing * JSON_DEPTH_MAX).replace(":}", ":0}").encode()
        too_deep = (
            (opening * (JSON_DEPTH_MAX + 1) + closing * (JSON_DEPTH_MAX + 1)).replace(":}", ":0}").encode()
        )
        assert not json.nests_deeper(json.decode(allowed), text=allowed)
        assert json.nests_deeper(json.decode(too_deep), text=too_deep)
        assert json.nests_deeper(json.decode(too_deep))
