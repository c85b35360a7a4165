"""Whether the data path that the tests import was compiled (docs/decisions/0013-compiled-data-path.md)."""

from __future__ import annotations

import pytest

from bytespike.pipeline import life

COMPILED = not str(life.__file__).endswith(".py")

#: For amounts that are no integers: where it is compiled they do not even get in.
types_are_checked_at_the_door = pytest.mark.skipif(
    COMPILED, reason="compiled functions take values of their types alone"
)
