"""What a request consumed, in disjoint integer buckets.

Providers disagree on what "input tokens" includes: OpenAI's and Gemini's figure contains the cached tokens,
Anthropic's does not. Each dialect's `usage.py` normalises into these buckets, once, so that nothing is billed twice.
"""

from __future__ import annotations

from msgspec import Struct

from bytespike.core.json_types import NO_EXTRAS, Extras


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


def estimated_chars(text: str) -> int:
    """The characters of a piece of an answer as an estimate counts them, four to a token: those of Latin text as they
    are, those of other scripts by the bytes that they take (2.5 for Cyrillic or Arabic, 4 for Chinese, Japanese, Korean,
    5.5 for emoji), for today's tokenizers make about a token of each Chinese character. Cheap enough for every delta.
    """
    chars = len(text)
    if text.isascii():
        return chars
    return chars + (len(text.encode("utf-8", "surrogatepass")) - chars) * 3 // 2
