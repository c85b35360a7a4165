"""The database: tables, migrations, and the queries of each subject. The ledger's own SQL lives with the ledger.

- `engine`    connections, transactions, migrating
- `tables`    every table; `migrations` is how they came to be
- `changes`   the change feed by which running gateways learn what was written
- `rows`      rows as frozen structs
- `users`, `orgs`, `sessions`, `groups`, `keys`, `channels`, `prices`, `aliases`, `wallets`, `audit`, `meta`   queries
"""
