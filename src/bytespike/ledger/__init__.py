"""Money: amounts, transfers, holds, windows, settlement, and the proof that it adds up.

What a request meets, in memory and without waiting:

- `ledger`     hold, post, void; the tasks behind them
- `holds`      a hold and how it resolves
- `admission`  the checks
- `account`    the meters: wallet, owner, key, member of an org
- `windows`    rolling windows
- `book`       which accounts are in memory, and what was read for them; `restoring` meters from what was read
- `upkeep`     what happens by itself, beside requests
- `standing`   the figures of the accounting headers

How processes share it:

- `leases`     the theory, and what a process has borrowed
- `sharing`    joining the others, borrowing, giving back; `waiting` a request for which that is needed
- `lending`, `lease_sql`  the same as the database sees it
- `adoption`   what a dead process leaves; `wake` a tap on the shoulder

Money that is set aside for longer, for tasks:

- `escrow`                        the theory; place, post, void
- `escrow_books`, `escrow_sql`    what that writes
- `escrow_meters`                 what it changes in memory

How it reaches the database:

- `records`, `frames`, `segments`, `spool`  a finished request, durable on this machine
- `rows`, `sql`, `drain`                    from there into the books, once
- `metering`                                the sums that caps are compared with
- `low_balance`                             events of wallets that get low

The books, for people:

- `amounts`, `entries`  dollars and micro-dollars; what a transfer is
- `transfers`           top-ups, refunds, credits, debits
- `statements`          what moved on an account
- `usage_queries`       receipts and what they add up to
- `rollups`             the same by hour and day, kept as receipts are written
- `reconciliation`      what providers will charge
- `doctor`              every invariant, checked; `doctor_escrows` those of tasks' money, `findings` what it tells
"""
