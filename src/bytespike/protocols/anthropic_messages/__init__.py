"""The Messages API of Anthropic: `POST /v1/messages`. NOTES.md has its facts and our decisions."""

from __future__ import annotations

from bytespike.core.dialect import Dialect
from bytespike.protocols.anthropic_messages.dialect import AnthropicMessages

DIALECT: Dialect = AnthropicMessages()
