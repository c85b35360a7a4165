"""The ways in which a conversation is held in the tests: five, by four SDKs; and the models, one for each dialect of upstreams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support import sdk_talk_anthropic, sdk_talk_chat, sdk_talk_gemini
from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, RunningGateway
from tests.support.sdk_talk import Talk
from tests.support.sdk_talk_responses import ChainedTalk, ResponsesTalk

MODELS = (CLAUDE, GPT, GPT_RESPONSES, GEMINI)
#: The way whose dialect the model's upstream speaks.
NATIVE = {
    CLAUDE: ("anthropic",),
    GPT: ("chat",),
    GPT_RESPONSES: ("responses", "chained"),
    GEMINI: ("gemini",),
}
WAYS = ("anthropic", "chat", "responses", "chained", "gemini")


@dataclass(frozen=True)
class Ways:
    """Opened once: making an SDK's client takes longer than a request."""

    talks: dict[str, Callable[[], Talk]]

    def talk(self, way: str) -> Talk:
        return self.talks[way]()


@contextmanager
def opened(gateway: RunningGateway) -> Iterator[Ways]:
    anthropic: Any = sdk_talk_anthropic.open_sdk(gateway.url, gateway.key)
    openai: Any = sdk_talk_chat.open_sdk(gateway.url, gateway.key)
    gemini: Any = sdk_talk_gemini.open_sdk(gateway.url, gateway.key)
    try:
        yield Ways(
            {
                "anthropic": lambda: sdk_talk_anthropic.AnthropicTalk(anthropic),
                "chat": lambda: sdk_talk_chat.ChatTalk(openai),
                "responses": lambda: ResponsesTalk(openai),
                "chained": lambda: ChainedTalk(openai),
                "gemini": lambda: sdk_talk_gemini.GeminiTalk(gemini),
            }
        )
    finally:
        for sdk in (anthropic, openai, gemini):
            sdk.close()
