"""Every metric there is: its name, what it says, its labels. `docs/reference/metrics.md` is made of this."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

PREFIX: Final = "bytespike_"


class Family(Struct, frozen=True):
    """`name` without `PREFIX`, and without the `_total` that Prometheus wants on counters. `merged`: how the figures of
    several workers become one."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    about: str
    labels: tuple[str, ...] = ()
    merged: Literal["sum", "max"] = "sum"


_MODEL: Final = ("dialect", "upstream_dialect", "model", "stream")

#: What `tallies` counts.
REQUESTS: Final = Family(
    "requests",
    "counter",
    "Requests by endpoint and answered status; status 0: the caller hung up before it had an answer.",
    ("endpoint", "status"),
)
MODEL_REQUESTS: Final = Family(
    "model_requests",
    "counter",
    "Requests that were admitted (a hold was taken), by how they ended.",
    (*_MODEL, "outcome"),
)
DURATION: Final = Family(
    "request_duration_seconds",
    "histogram",
    "From the request's head to the last byte of its answer, of requests that were billed.",
    _MODEL,
)
FIRST_TOKEN: Final = Family(
    "first_token_seconds",
    "histogram",
    "From the request's head to the first byte of its answer, of requests that were billed.",
    _MODEL,
)
TOKENS: Final = Family(
    "tokens",
    "counter",
    "Billed tokens. Buckets are disjoint, but that reasoning is a part of output.",
    ("model", "bucket"),
)
UNITS: Final = Family(
    "units", "counter", "Whatever else was billed: web_searches, images, seconds of video.", ("model", "unit")
)
CREDITS: Final = Family("credits", "counter", "Billed credits: micro-dollars.", ("model",))
ATTEMPTS: Final = Family(
    "attempts",
    "counter",
    "Upstream calls by channel, how they ended, and the error's code where they failed.",
    ("channel", "outcome", "error"),
)
LOOP_LAG: Final = Family(
    "loop_lag_seconds", "histogram", "How late the event loop is for a timer, looked at four times a second."
)
WORKERS: Final = Family("workers", "gauge", "Processes whose figures are in this page.")

#: What is read from its owner when somebody asks, by name.
READ: Final = {
    family.name: family
    for family in (
        Family("holds_open", "gauge", "Requests for which money is held."),
        Family("held_credits", "gauge", "Micro-dollars that are held."),
        Family("holds_expired", "counter", "Holds that were taken back because their requests were lost."),
        Family("receipts_posted", "counter", "Receipts that were written to the spool."),
        Family("holds_voided", "counter", "Holds of which nothing was to be paid."),
        Family("spool_records", "gauge", "Receipts that are not yet in the database."),
        Family("spool_bytes", "gauge", "What the spool takes on disk."),
        Family(
            "spool_lag_seconds",
            "gauge",
            "Age of the oldest receipt that is not in the database.",
            merged="max",
        ),
        Family("spool_set_aside", "gauge", "Receipts that the database refused; they need an operator."),
        Family("drain_failures", "counter", "Batches of receipts that the database did not take."),
        Family("leases_borrowed", "counter", "Times that a part of a limit was borrowed."),
        Family(
            "spends_alone",
            "gauge",
            "1 while this process shares its limits with nobody, and has no need to borrow.",
        ),
        Family(
            "upstream_connections",
            "gauge",
            "Connections to upstreams, by address and state: idle, in_use, connecting.",
            ("origin", "state"),
        ),
        Family(
            "upstream_requests_waiting",
            "gauge",
            "Requests that wait for a connection, by address.",
            ("origin",),
        ),
        Family("upstream_connections_opened", "counter", "Connections that were made to upstreams."),
        Family("upstream_connections_reused", "counter", "Requests that found a connection."),
        Family(
            "upstream_stale_retries",
            "counter",
            "Requests sent again because their connection had been closed.",
        ),
        Family("spans_exported", "counter", "Spans that the trace collector took."),
        Family(
            "spans_dropped", "counter", "Spans that were lost: the queue was full, or the collector failed."
        ),
    )
}

FAMILIES: Final = (
    REQUESTS, MODEL_REQUESTS, DURATION, FIRST_TOKEN, TOKENS, UNITS, CREDITS, ATTEMPTS, LOOP_LAG, WORKERS,
    *READ.values(),
)  # fmt: skip
