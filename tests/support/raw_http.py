"""A small HTTP client for tests: many requests at once, and nothing between the test and the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


async def ask(host: str, port: int, path: str, body: bytes, headers: dict[str, str]) -> Answer:
    """One POST on a connection of its own."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        lines = [f"POST {path} HTTP/1.1", "host: test", "connection: close", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        return parse_answer(await reader.read())
    finally:
        writer.close()
        await writer.wait_closed()


async def ask_many(
    host: str,
    port: int,
    path: str,
    body: bytes,
    headers: dict[str, str],
    count: int,
    answered: Callable[[], None] = lambda: None,
) -> list[Answer]:
    """`count` POSTs at once. `answered` is called for each answer as it comes."""

    async def one() -> Answer:
        answer = await ask(host, port, path, body, headers)
        answered()
        return answer

    return list(await asyncio.gather(*(one() for _ in range(count))))


def parse_answer(raw: bytes) -> Answer:
    """A whole answer off a closed connection."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = unchunk(body)
    return Answer(int(first.split()[1]), headers, body)


def unchunk(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return whole
        whole += body[:length]
        body = body[length + 2 :]
    raise AssertionError("the chunked body has no end")
