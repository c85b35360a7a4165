"""Caps that several processes share: what this one has borrowed of each.

A **cap** is anything that runs out: a wallet ("wallet:user:u1"), what a key may spend in all ("key:k1") or on one model
("key:k1/gpt-5-5"), what a member of an org may spend there ("member:o1/u1"), a user's requests in flight ("slots:u1") and of the last minute ("starts:u1"). A **borrower** is a
process that spends here; it is known by its spool, for what it has spent and not drained is in there. A **lease** is a
row: this borrower has so much of that cap.

The one rule, for every cap at every moment, as the database sees it:

    posted + the sum of all leases <= the limit

A lease covers what its borrower has posted and not drained, what it holds for requests in flight, and what it may still
hold. So a process that holds no more than it has borrowed needs to ask nobody. Draining moves money from the lease to
what is posted, in one transaction, and so does setting it aside for a task (`escrow.py`): nothing else changes. Whoever reads limit, posted and leases to borrow more locks
the cap's own row (the account's, the key's, the member's, the user's), which draining locks too.

A key's quota and its windows are one cap: each micro-dollar counts against all of them, so there is as much to borrow
as the tightest has. Money that leaves a window can be borrowed again. A request of the last minute occupies its place
in "starts" until the minute is over: the same thing as a slot, and no clock need be shared for it.

**How much.** A request that finds too little takes what it needs and a share of the rest, 1 / (2 x borrowers): slices
shrink as the limit comes near, down to single requests. When a slice gets low, more is fetched before it is needed.

**Recall.** A request that the database cannot serve asks the others (`recalled` on their leases, and a wake-up) to give
back what is idle, waits until they have answered, and only then is refused. So a request is refused when limit - posted
- held over all processes cannot cover it, and not because money lies idle elsewhere. Then nobody asks again for a few
hundredths of a second.

**New caps.** What a process holds when a cap comes up was borrowed under no cap. It is written down as borrowed as soon as
the process hears of the cap (`Ledger.account`), so that others do not lend it.

**Alone.** A process that is the only borrower has borrowed everything, and no row says so: it checks each cap itself
(`admission.py`), reads windows and balances as they change, and asks nobody even when the database is gone. When a
second one comes it waits, before it serves, until the first has written down what it uses and borrows like everybody.

**Death.** The leases of a dead process stay until its spool is drained, since what it had posted is in there. Its
successor in the same data directory does that, or any other process of the same host that finds the spool's lock free
(`adoption.py`). A process whose host is gone is only known to be late: after the lease term its slots are given out
again and it no longer counts as alone, but its money stays borrowed until its spool is drained or an operator writes it
off (`bytespike borrowers release`). A process that cannot renew for so long takes no more holds.

**In memory.** `granted` is this process's own row. It may be less than the row says (`shed`), never more: nothing is
held against it that is not in the database. Only this process writes its rows.
"""

from __future__ import annotations

#: What was borrowed in advance is topped up when less than 1 / this of it is left.
LOW_SHARE = 4
#: Never low.
NEVER_LOW = -(1 << 62)


class Borrowed:
    """One cap, as this process shares it. Units are the cap's: micro-dollars, or requests.

    `granted`: what it has borrowed, in all. `others`: what all others together have. `low`: when so little is free of
    `granted`, it is time to borrow more. `busy`: something was taken since somebody looked for idle leases. `over`: what is
    in use may be more than a limit that became lower leaves; nothing is held against it again before the database was asked.
    `limits`: how many it has had.
    """

    __slots__ = ("busy", "cap", "granted", "limits", "low", "others", "over")

    def __init__(self, cap: str) -> None:
        self.cap = cap
        self.granted = 0
        self.others = 0
        self.low = NEVER_LOW
        self.busy = False
        self.over = False
        self.limits = 0

    def used(self, monotonic_us: int) -> int:
        """What is spent and not drained, and what is held. Each kind of cap says it."""
        raise NotImplementedError

    def shed(self, monotonic_us: int) -> int:
        """Hold nothing more against what is idle. Gives what is in use, which is what the lease must still cover."""
        used = self.used(monotonic_us)
        if self.granted > used:
            self.granted = max(0, used)
        self.low = NEVER_LOW
        return max(0, used)

    def limited_anew(self) -> None:
        """There is another limit than the one that was borrowed under, or less of what is shared. What is idle is not held
        against any more, and neither is what is in use, once it is idle again."""
        self.shed(0)
        self.over = True
        self.limits += 1

    def grant(self, amount: int, others: int, needed: int, room: int) -> None:
        """The row says `amount` now; `needed` would have done. `room`: the most that it may have."""
        self.granted = amount
        self.over = amount > room
        self.others = others
        self.low = (amount - needed) // LOW_SHARE if amount > needed else NEVER_LOW

    def drained(self, amount: int) -> None:
        """So much of it was drained, and is off the row."""
        self.granted = max(0, self.granted - amount)


def slice_of(room: int, needed: int, borrowers: int) -> int:
    """What to borrow in all, when `needed` would do (including what is in use) and `room` is the most; `needed` fits.

    Alone there is nobody to leave anything to."""
    rest = room - needed
    return needed + (rest if borrowers <= 1 else rest // (2 * borrowers))
