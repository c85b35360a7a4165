"""What a request consumed, in disjoint integer buckets.

Providers disagree on what "input tokens" includes: OpenAI's and Gemini's figure contains the cached tokens,
Anthropic's does not. Each dialect's `usage.py` normalises into these buckets, once, so that nothing is billed twice.
"""

from __future__ import annotations

from msgspec import Struct

from bytespike.core.json_types import NO_EXTRAS, Extras
from bytespike.core.produced import estimated_chars as estimated_chars


class Usage(Struct, frozen=True):
    """All counts are tokens unless the name says otherwise.

    `input` fresh prompt tokens, neither read from nor written to a cache. `output` everything generated, of which
    `reasoning` is a part. `cache_write_5m` also holds writes whose TTL the provider did not say.
    `web_searches` uses of a provider-side search; `images` delivered; `seconds` of video.
    `exact` False marks figures that were counted by the gateway, not reported by the provider.
    `extras`: the provider's own further figures (audio tokens, service tier), for the same dialect's writer.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    web_searches: int = 0
    images: int = 0
    seconds: int = 0
    exact: bool = True
    extras: Extras = NO_EXTRAS

    @property
    def prompt_total(self) -> int:
        """Every prompt token, cached or not: OpenAI's `prompt_tokens`."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h


NO_USAGE = Usage()
