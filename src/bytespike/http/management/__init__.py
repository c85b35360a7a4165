"""The management API, /api/v1: a file per resource, FastAPI, errors in the OpenAI envelope.

- `app`        the ASGI application
- `deps`       what resources share, and who is calling
- `envelope`   errors as answers
- `guard`      bounds on what strangers may send
- `throttle`   how often a login may be tried
- `views`      the shapes in which things are shown (the command line's `--json` shows the same)
- `period`, `spreadsheet`   the time that is asked for; lists as CSV (`http.spreadsheet`)
- `money_views` the shapes of receipts, sums and transactions
- `pricing`    GET /api/pricing, which is public and no part of the application
- `account`, `billing`, `groups`, `keys`, `models`, `rollups`, `sessions`, `usage`   the resources
"""
