"""Framing that knows no dialect: server-sent events, JSON text, size limits."""
