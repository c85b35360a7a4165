"""Times as every answer shows them."""

from __future__ import annotations

from bytespike.wire.moments import moment

__all__ = ["moment"]
