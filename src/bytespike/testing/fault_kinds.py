"""The ways in which an upstream's answer goes wrong on its way, by name.

Each says what it leaves of a stream and of a whole answer, which tells what a gateway has to do: where nothing is left,
ask another channel; where a stream's beginning is left, end it as the dialect ends a stream that failed; where nothing
is lost, notice nothing.
"""

from __future__ import annotations

import gzip

from bytespike.testing.fault_relay import Delivery, Fault, deliver_whole
from bytespike.testing.scripted_upstream import Headers, head, whole

_JSON: Headers = ((b"content-type", b"application/json"),)
_HTML: Headers = ((b"content-type", b"text/html; charset=utf-8"),)
_PAGE = b"<!doctype html><html><body>Sign in to continue</body></html>"
#: More than a client has to read of a head.
_LONG_LINE = b"x" * 80_000
_MANY_LINES = 600


# --- before the head is whole ----------------------------------------------------------------------------------------


async def closes_unanswered(delivery: Delivery) -> None:
    delivery.peer.close()


async def resets_unanswered(delivery: Delivery) -> None:
    delivery.peer.reset()


async def resets_within_head(delivery: Delivery) -> None:
    await delivery.peer.send(head(delivery.status, delivery.headers)[:20])
    delivery.peer.reset()


async def closes_within_head(delivery: Delivery) -> None:
    await delivery.peer.send(head(delivery.status, delivery.headers)[:-2])
    delivery.peer.close()


async def speaks_no_http(delivery: Delivery) -> None:
    await delivery.peer.send(b"SSH-2.0-OpenSSH_9.7\r\n")
    delivery.peer.close()


async def only_continues(delivery: Delivery) -> None:
    await delivery.peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    delivery.peer.close()


async def continues_without_end(delivery: Delivery) -> None:
    """Interim answers in a row, more than any head may have bytes."""
    for _ in range(100):
        await delivery.peer.send(b"HTTP/1.1 103 Early Hints\r\nlink: </%b>\r\n\r\n" % (b"x" * 1000))
    await delivery.peer.stall()


async def switches_protocols(delivery: Delivery) -> None:
    await delivery.peer.send(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
    delivery.peer.close()


async def head_too_long(delivery: Delivery) -> None:
    await delivery.peer.answer(200, (*delivery.headers, (b"x-long", _LONG_LINE)), delivery.body)


async def too_many_headers(delivery: Delivery) -> None:
    extra = tuple((b"x-%d" % number, b"1") for number in range(_MANY_LINES))
    await delivery.peer.answer(200, (*delivery.headers, *extra), delivery.body)


async def two_lengths(delivery: Delivery) -> None:
    wrong = (*delivery.headers, (b"content-length", b"3"))
    await delivery.peer.send(whole(200, wrong, delivery.body))
    delivery.peer.close()


async def negative_length(delivery: Delivery) -> None:
    await delivery.peer.send(head(200, (*delivery.headers, (b"content-length", b"-1"))) + delivery.body)
    delivery.peer.close()


async def stalls_unanswered(delivery: Delivery) -> None:
    await delivery.peer.stall()


# --- another answer than the one that was asked for ------------------------------------------------------------------


async def fails(delivery: Delivery) -> None:
    await delivery.peer.answer(500, _JSON, b'{"error":{"message":"internal","type":"server_error"}}')


async def overloaded_page(delivery: Delivery) -> None:
    await delivery.peer.answer(503, _HTML, _PAGE)


async def limits(delivery: Delivery) -> None:
    await delivery.peer.answer(429, (*_JSON, (b"retry-after", b"7")), b'{"error":{"message":"slow down"}}')


async def redirects(delivery: Delivery) -> None:
    await delivery.peer.answer(302, ((b"location", b"https://example.com/login"),), b"")


async def has_no_content(delivery: Delivery) -> None:
    await delivery.peer.send(head(204))


async def breaks_off_error(delivery: Delivery) -> None:
    await delivery.peer.send(whole(500, _JSON, b'{"error":{"message":"a long story"}}')[:-10])
    delivery.peer.reset()


async def answers_with_page(delivery: Delivery) -> None:
    """A login page of some proxy, with a success on top."""
    await delivery.peer.answer(200, _HTML, _PAGE)


async def answers_with_page_as_json(delivery: Delivery) -> None:
    await delivery.peer.answer(200, _JSON, _PAGE)


async def answers_with_nothing(delivery: Delivery) -> None:
    await delivery.peer.answer(200, delivery.headers, b"")


async def answers_with_a_list(delivery: Delivery) -> None:
    await delivery.peer.answer(200, _JSON, b"[1, 2, 3]")


async def bad_encoding(delivery: Delivery) -> None:
    headers = (*delivery.headers, (b"content-encoding", b"gzip"))
    await delivery.peer.answer(200, headers, b"\x1f\x8b" + delivery.body)


# --- within the body -------------------------------------------------------------------------------------------------


async def resets_after_head(delivery: Delivery) -> None:
    await delivery.peer.start_chunked(200, delivery.headers)
    delivery.peer.reset()


async def resets_within_first_piece(delivery: Delivery) -> None:
    await delivery.peer.start_chunked(200, delivery.headers)
    await delivery.peer.chunk(delivery.pieces[0][:-3])
    delivery.peer.reset()


async def bad_first_chunk(delivery: Delivery) -> None:
    await delivery.peer.start_chunked(200, delivery.headers)
    await delivery.peer.send(b"zz\r\n" + delivery.body + b"\r\n")
    await delivery.peer.stall()


async def bad_json_first(delivery: Delivery) -> None:
    wrong = b'data: {"id": \n\n' if delivery.stream else b'{"id": '
    await delivery.peer.answer(200, delivery.headers, wrong)


async def bad_utf8_first(delivery: Delivery) -> None:
    wrong = b'\xff\xfe{"id": 1}'
    await delivery.peer.answer(
        200, delivery.headers, b"data: " + wrong + b"\n\n" if delivery.stream else wrong
    )


async def resets_within(delivery: Delivery) -> None:
    await delivery.begin()
    delivery.peer.reset()


async def closes_within(delivery: Delivery) -> None:
    await delivery.begin()
    delivery.peer.close()


async def closes_before_length(delivery: Delivery) -> None:
    """A content-length, and less than that."""
    length = (b"content-length", b"%d" % len(delivery.body))
    await delivery.peer.send(head(200, (*delivery.headers, length)) + delivery.first)
    await delivery.seen()
    delivery.peer.close()


async def bad_chunk_within(delivery: Delivery) -> None:
    await delivery.begin()
    await delivery.peer.send(b"nonsense\r\n" + delivery.rest)
    await delivery.peer.stall()


async def endless_chunk_size(delivery: Delivery) -> None:
    await delivery.begin()
    await delivery.peer.send(b"F" * 40 + b"\r\n" + delivery.rest)
    await delivery.peer.stall()


async def ends_early_in_order(delivery: Delivery) -> None:
    """The framing is right; what it frames has no end."""
    await delivery.begin()
    await delivery.peer.chunk(b"")


async def bad_json_within(delivery: Delivery) -> None:
    await delivery.begin()
    await delivery.peer.chunk(b'data: {"choices": [{\n\n' if delivery.stream else b'"}]{[')
    await delivery.peer.chunk(delivery.rest)
    await delivery.peer.chunk(b"")


async def bad_utf8_within(delivery: Delivery) -> None:
    await delivery.begin()
    await delivery.peer.chunk(b"data: \xff\xfe{}\n\n" if delivery.stream else b'"\xff\xfe')
    await delivery.peer.chunk(delivery.rest)
    await delivery.peer.chunk(b"")


async def bad_utf8_in_text(delivery: Delivery) -> None:
    """In the middle of a word of the answer; all around it is right."""
    await delivery.peer.start_chunked(delivery.status, delivery.headers)
    for piece in delivery.pieces:
        await delivery.peer.chunk(piece.replace(b" text ", b" te\xff\xfet ", 1))
    await delivery.peer.chunk(b"")


async def stalls_after_head(delivery: Delivery) -> None:
    await delivery.peer.start_chunked(200, delivery.headers)
    await delivery.peer.stall()


async def stalls_within(delivery: Delivery) -> None:
    await delivery.peer.start_chunked(200, delivery.headers)
    await delivery.peer.chunk(delivery.first)
    await delivery.peer.stall()


# --- odd, and whole --------------------------------------------------------------------------------------------------


async def trickles(delivery: Delivery) -> None:
    data = head(200, (*delivery.headers, (b"content-length", b"%d" % len(delivery.body)))) + delivery.body
    await delivery.peer.send_in_steps(data, max(1, len(data) // 200))


async def chunks_of_one_byte(delivery: Delivery) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in delivery.body)
    await delivery.peer.start_chunked(200, delivery.headers)
    await delivery.peer.send(chunks + b"0\r\n\r\n")


async def continues_first(delivery: Delivery) -> None:
    await delivery.peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
    await deliver_whole(delivery)


async def closes_afterwards(delivery: Delivery) -> None:
    """Nothing announces it: the next request finds a dead connection."""
    await deliver_whole(delivery)
    delivery.peer.close()


async def ends_with_the_connection(delivery: Delivery) -> None:
    """HTTP/1.0's way."""
    await delivery.peer.send(head(200, delivery.headers, version=b"1.0") + delivery.body)
    delivery.peer.close()


async def sends_more_than_asked(delivery: Delivery) -> None:
    await delivery.peer.send(whole(200, delivery.headers, delivery.body) + b"HTTP/1.1 200 OK\r\n\r\nmore")


async def compresses(delivery: Delivery) -> None:
    headers = (*delivery.headers, (b"content-encoding", b"gzip"))
    await delivery.peer.answer(200, headers, gzip.compress(delivery.body, mtime=0))


async def resets_behind_the_end(delivery: Delivery) -> None:
    """The answer is whole, its last chunk is missing: of a stream nothing is lost, a whole answer may not be."""
    await delivery.peer.start_chunked(200, delivery.headers)
    await delivery.peer.chunk(delivery.body)
    await delivery.seen()
    delivery.peer.reset()


FAULTS = (
    Fault("closes_unanswered", closes_unanswered, "nothing", "nothing"),
    Fault("resets_unanswered", resets_unanswered, "nothing", "nothing"),
    Fault("resets_within_head", resets_within_head, "nothing", "nothing"),
    Fault("closes_within_head", closes_within_head, "nothing", "nothing"),
    Fault("speaks_no_http", speaks_no_http, "nothing", "nothing"),
    Fault("only_continues", only_continues, "nothing", "nothing"),
    Fault("continues_without_end", continues_without_end, "nothing", "nothing"),
    Fault("switches_protocols", switches_protocols, "nothing", "nothing"),
    Fault("head_too_long", head_too_long, "nothing", "nothing"),
    Fault("too_many_headers", too_many_headers, "nothing", "nothing"),
    Fault("two_lengths", two_lengths, "nothing", "nothing"),
    Fault("negative_length", negative_length, "nothing", "nothing"),
    Fault("stalls_unanswered", stalls_unanswered, "nothing", "nothing", "late", stalls=True),
    Fault("fails", fails, "nothing", "nothing", "failed"),
    Fault("overloaded_page", overloaded_page, "nothing", "nothing", "failed"),
    Fault("limits", limits, "nothing", "nothing", "failed"),
    Fault("redirects", redirects, "nothing", "nothing", "failed"),
    Fault("has_no_content", has_no_content, "nothing", "nothing", "failed"),
    Fault("breaks_off_error", breaks_off_error, "nothing", "nothing", "failed"),
    Fault("answers_with_page", answers_with_page, "nothing", "nothing"),
    Fault("answers_with_page_as_json", answers_with_page_as_json, "nothing", "nothing"),
    Fault("answers_with_nothing", answers_with_nothing, "nothing", "nothing"),
    Fault("answers_with_a_list", answers_with_a_list, "nothing", "nothing"),
    Fault("bad_encoding", bad_encoding, "nothing", "nothing"),
    Fault("resets_after_head", resets_after_head, "nothing", "nothing"),
    Fault("resets_within_first_piece", resets_within_first_piece, "nothing", "nothing"),
    Fault("bad_first_chunk", bad_first_chunk, "nothing", "nothing"),
    Fault("bad_json_first", bad_json_first, "nothing", "nothing"),
    Fault("bad_utf8_first", bad_utf8_first, "nothing", "nothing"),
    Fault("resets_within", resets_within, "beginning", "nothing"),
    Fault("closes_within", closes_within, "beginning", "nothing"),
    Fault("closes_before_length", closes_before_length, "beginning", "nothing"),
    Fault("bad_chunk_within", bad_chunk_within, "beginning", "nothing"),
    Fault("endless_chunk_size", endless_chunk_size, "beginning", "nothing"),
    Fault("ends_early_in_order", ends_early_in_order, "beginning", "nothing"),
    Fault("bad_json_within", bad_json_within, "beginning", "nothing"),
    Fault("bad_utf8_within", bad_utf8_within, "beginning", "nothing"),
    Fault("stalls_after_head", stalls_after_head, "nothing", "nothing", "late", stalls=True),
    Fault("stalls_within", stalls_within, "beginning", "nothing", "late", stalls=True),
    Fault("trickles", trickles, "whole", "whole"),
    Fault("chunks_of_one_byte", chunks_of_one_byte, "whole", "whole"),
    Fault("continues_first", continues_first, "whole", "whole"),
    Fault("closes_afterwards", closes_afterwards, "whole", "whole"),
    Fault("ends_with_the_connection", ends_with_the_connection, "whole", "whole"),
    Fault("sends_more_than_asked", sends_more_than_asked, "whole", "whole"),
    Fault("compresses", compresses, "whole", "whole"),
    Fault("resets_behind_the_end", resets_behind_the_end, "whole", "nothing", loses_end=True),
)

#: Not among them: nothing of it can be told by who reads it, but a whole answer may pass unread.
BAD_UTF8_IN_TEXT = Fault("bad_utf8_in_text", bad_utf8_in_text, "nothing", "nothing")


def cut_after(share: float) -> Fault:
    """Reset after this share of all bytes, head and body: 0 before the first, 1 after the last."""

    async def cuts(delivery: Delivery) -> None:
        length = (b"content-length", b"%d" % len(delivery.body))
        data = head(delivery.status, (*delivery.headers, length)) + delivery.body
        count = round(share * len(data))
        if count == len(data):
            await delivery.peer.send(data)
            return
        await delivery.peer.send(data[:count])
        if count > len(data) // 2:
            await delivery.seen()
        delivery.peer.reset()

    return Fault(f"cut_after_{share:.2f}", cuts, "nothing", "nothing")
