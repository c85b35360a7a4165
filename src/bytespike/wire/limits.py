"""Bounds on what is read from a socket. Over a bound is an error of whoever sent it, never a slow process."""

from __future__ import annotations

#: A request body on the text and image endpoints (CONTRACT: 413 above it).
BODY_BYTES_MAX = 32 * 1024 * 1024
#: A request body on /v1/tasks/*.
TASK_BODY_BYTES_MAX = 1024 * 1024
#: A unary answer of an upstream. Larger than a request: answers carry base64 images.
ANSWER_BYTES_MAX = 64 * 1024 * 1024
#: An upstream's error answer; what is beyond is not read.
ERROR_BYTES_MAX = 64 * 1024
#: One server-sent event. A whole image may come in one.
EVENT_BYTES_MAX = 32 * 1024 * 1024
#: JSON nesting; deeper is refused before a recursive reader meets it.
JSON_DEPTH_MAX = 128
