"""The data plane: bare ASGI, a file per subject.

- `gateway`    the ASGI application: a dict from path to handler
- `head`       what a request's head says: key, address, flags
- `body`       the body, bounded in size and time
- `exchange`   one request and its answer: headers, envelopes, hang-ups
- `accounting` the headers that say what is left
- `text`       the text endpoints
- `count`      count_tokens
- `models`     the model lists
- `wallet`     /v1/usage and /v1/balance (receipts: `http.receipts`)
- `health`     /healthz, /readyz, /metrics
- `absent`     what is not served, and says so
"""
