"""Users, orgs, groups, keys and channels: the rules, not the SQL.

- `records`      what the data plane sees of them
- `directory`    where it sees it: in memory, never more than a second old
- `routes`       how the snapshot for routing is read
- `rules`        what makes a key, an address, a name acceptable
- `control`      how the control plane writes: one transaction with its audit rows and its change rows
- `users`, `members`, `groups`, `keys`, `channels`, `prices`, `aliases`, `sessions`   what may be done with each
- `secrets`, `passwords`, `master_key`   what is encrypted and hashed, and with what
"""
