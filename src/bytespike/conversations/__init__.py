"""Responses that are kept, so that a conversation can go on from any of them, on any model and any channel."""
