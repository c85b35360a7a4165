"""Every dialect, by name."""

from __future__ import annotations

from collections.abc import Mapping

from bytespike.core.dialect import Dialect
from bytespike.protocols.anthropic_messages import DIALECT as ANTHROPIC_MESSAGES
from bytespike.protocols.gemini import DIALECT as GEMINI
from bytespike.protocols.openai_chat import DIALECT as OPENAI_CHAT
from bytespike.protocols.openai_responses import DIALECT as OPENAI_RESPONSES

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect for dialect in (ANTHROPIC_MESSAGES, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES)
}
