"""A heartbeat of the process: how late its event loop is, and, where there are other workers, its figures for them."""

from __future__ import annotations

import asyncio
from typing import Final

from bytespike.observe.metrics import Metrics
from bytespike.observe.shelf import PUT_S

#: How often it looks.
BEAT_S: Final = 0.25


async def pulse(metrics: Metrics, *, shared: bool) -> None:
    """Until cancelled. `shared`: other workers want the figures."""
    loop = asyncio.get_running_loop()
    put_at = loop.time()
    try:
        while True:
            due = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            now = loop.time()
            metrics.tallies.lagged(max(0, round((now - due) * 1000)))
            if shared and now >= put_at:
                metrics.put()
                put_at = now + PUT_S
    finally:
        if shared:
            metrics.put(last=True)
