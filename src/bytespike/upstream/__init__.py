"""The only way out: an HTTP/1.1 client for upstreams, on `asyncio.Protocol` and httptools.

What it guarantees
------------------
- **An answer is whole or an error.** A body that ends before its content-length or its last chunk raises
  `TransportError("reset")`; it is never handed over as if it were complete. Bytes that came before the break are given
  to a streaming reader first, because they were produced and are billed.
- **Every failure is a `TransportError`** with a `kind` and with `sent`, which says whether a byte of the request may
  have been processed. Nothing in it quotes a header, a query, a body or a credential.
- **A connection is used again only if nothing can be left on it**: the whole answer with its trailers was read, the
  server speaks HTTP/1.1 and did not say close, no further byte came with it, and all of the request had been sent.
- **A dead pooled connection is not the caller's problem.** See "Stale connections" below.
- **Deadlines** for connecting, the first byte, silence and the whole, without a timer per request. See "Deadlines".
- **Memory is bounded**: heads, trailers, unread bytes, decoded bytes, pools, queues and the DNS cache. An upstream that
  is read slowly is not read (TCP pushes back); a large request body is written as fast as the upstream takes it.
- **Nothing is left over.** Cancelled at any await, or aborted, a request leaves no task, no timer, no open socket and
  right counters. The client starts no task at all.

How
---
    client      request(): a connection from the pool or a new one, send, wait for the head; the sweep
    pool        per origin and proxy: idle connections (last in, first out), slots, waiters. Plain functions only
    dial        addresses, TCP, CONNECT, TLS
    connection  the protocol: one exchange at a time on one socket; parser callbacks and deadlines
    exchange    the state of one request, shared by its connection and its reader
    answer      what the caller holds
    head, decoding, resolver, guard, tls, limits, errors   one subject each (addresses: `wire.address`)
    fetch       one document from a user's URL, through a client of its own
    failures    what a failed call is called in the books, and what the client is told of it

State changes only inside plain functions, which decide; what is awaited comes before or after. So there is no point
at which a cancelled task can leave half a decision behind. One future is awaited for the head; a reader that finds no
bytes awaits one more. Futures carry no result and no exception: they say "look again".

Stale connections
-----------------
A server may close an idle connection while our next request is on its way. The request then dies without an answer
although nothing is wrong. POSTs to models are not idempotent (they cost money), so it is sent again only if the
server cannot have worked on it: the connection had been used before, it ended (EOF or reset) before one byte of
answer, and it ended within `STALE_SECONDS` of the sending. A server that closed before it read the request answers it
with FIN or RST within a round trip; a connection that dies later died in the middle of the work (a proxy that gives up
after 60 seconds, a crash), and that is reported, not repeated. The second try uses a new connection (where the pool
is full, one that has just finished an answer) and there is no third. `PoolStats.stale_retries` counts them.

Deadlines
---------
One timer per client looks at all connections every `SWEEP_SECONDS` while there are any. A deadline therefore fires up
to `SWEEP_SECONDS` late, `idle` up to twice that; never early. Connecting is rare and has a timer of its own.
`idle` runs only while the reader waits for bytes: a slow reader is not the upstream's fault. `total` always runs.

What it assumes
---------------
One event loop per client. Upstreams speak HTTP/1.1. TLS servers often end without close_notify, so a body that is
delimited by the end of the connection is taken as whole when the connection ends in order.
"""
