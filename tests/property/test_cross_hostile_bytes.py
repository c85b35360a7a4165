"""Whatever the bytes, nothing but the errors of the contract comes out of a reader, nor out of any writer behind it; and
whatever a broken stream was read as, a strict client of every dialect accepts what is written of it.

The bodies are those of the written cases (`tests/golden/matrix`), spoilt.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from bytespike.protocols.registry import DIALECTS

pytestmark = pytest.mark.slow

often = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
each_dialect = pytest.mark.parametrize("dialect", DIALECTS)
