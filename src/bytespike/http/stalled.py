"""A client that does not read its answer."""

from __future__ import annotations


class ClientStalled(ConnectionError):
    """The client took nothing for `connection.STALL_SECONDS_MAX` seconds; its connection has been cut."""
