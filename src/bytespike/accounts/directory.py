"""What the data plane knows of keys, groups, channels and prices, in memory and never more than a second old.

`get` is a dictionary lookup; only a key that was not used lately is read from the database (`load`), once however many
requests ask for it. `routes` is one immutable snapshot, replaced whole.

Freshness: every write of the control plane leaves a row in `changes`, in its own transaction. `run` reads the new rows a
few times a second and forgets just what they name. A load that began before a change and ended after it may have read
the old row, so its answer is used but not kept: `_generation` tells. While the database cannot be reached nothing can be
changed either, and what is known goes on being used; after a gap so long that changes may have been deleted unseen,
everything is read anew. Expiry needs no change: `rules.check_key` compares it with the clock each time. A price comes
into force without a change too: `run` wakes at its time, and prices are chosen anew; also where the clock was set back
to before one that holds.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.accounts.records import TIER_CONCURRENCY, KeyRecord, ModelCap, Routes
from bytespike.accounts.routes import DefaultPrice, Snapshot, read_routes
from bytespike.accounts.rules import parse_networks
from bytespike.accounts.secrets import SecretBox
from bytespike.catalog.models import Model
from bytespike.clock import Clock
from bytespike.store import caps, changes, keys
from bytespike.store.caps import CapRow
from bytespike.store.engine import reading
from bytespike.store.members import member_id
from bytespike.store.wallets import org_wallet, user_wallet

log = structlog.get_logger("bytespike.accounts")

#: Keys kept in memory; the one that was unused for longest goes first.
KEYS_MAX = 50_000
#: Hashes remembered as unknown, and for how long (a new key clears them all).
UNKNOWN_MAX = 10_000
UNKNOWN_NS = 2_000_000_000
#: Seconds between two looks at the change feed, and after a failed one.
POLL_S = 0.2
RETRY_S = 1.0
#: The shortest of those pauses, when a price is about to begin.
PRICE_PAUSE_S_MIN = 0.001
#: Changes of these kinds change `routes`.
_ROUTING = frozenset({"group", "channel", "price", "alias", "model"})

OnChange: TypeAlias = Callable[[str, str], None]


class Directory:
    """Shared by all requests of a process, on one event loop. `start` it, then keep `run` running."""

    def __init__(
        self,
        engine: AsyncEngine,
        box: SecretBox,
        clock: Clock,
        default_price: DefaultPrice,
        *,
        shipped: Mapping[str, Model] | None = None,
        keys_max: int = KEYS_MAX,
        poll_s: float = POLL_S,
    ) -> None:
        """`default_price`: the catalog's price of a slug, None where it has none. `shipped`: the catalog's models, by
        slug."""
        self._engine = engine
        self._box = box
        self._clock = clock
        self._default_price = default_price
        self._shipped = shipped or {}
        self._keys_max = keys_max
        self._poll_s = poll_s
        self._keys: OrderedDict[str, KeyRecord] = OrderedDict()
        self._hash_of: dict[str, str] = {}
        self._unknown: dict[str, int] = {}
        self._loading: dict[str, asyncio.Task[KeyRecord | None]] = {}
        self._generation = 0
        self._seen = 0
        self._polled_at = 0
        self._next_price_at: int | None = None
        self._subscribers: list[OnChange] = []
        self.routes: Routes = Snapshot().routes
        #: Unix microseconds: what changed later may not be in `routes`.
        self.routes_asked_at = 0

    def get(self, hash: str) -> KeyRecord | None:
        """The key of this hash if it is in memory. No I/O."""
        record = self._keys.get(hash)
        if record is not None:
            self._keys.move_to_end(hash)
        return record

    async def load(self, hash: str) -> KeyRecord | None:
        """The key of this hash, from the database where it is not in memory; None: there is none."""
        record = self.get(hash)
        if record is not None:
            return record
        until = self._unknown.get(hash)
        if until is not None and until > self._clock.monotonic_ns():
            return None
        task = self._loading.get(hash)
        if task is None:
            task = asyncio.create_task(self._read_key(hash))
            self._loading[hash] = task
            task.add_done_callback(lambda done: self._loaded(hash, done))
        # Shielded: a caller that gives up must not take the answer from the others that wait for it.
        return await asyncio.shield(task)

    def _loaded(self, hash: str, task: asyncio.Task[KeyRecord | None]) -> None:
        del self._loading[hash]
        # Whoever still waits is told; if nobody does any more, the error is nobody's.
        if not task.cancelled():
            task.exception()

    def subscribe(self, on_change: OnChange) -> None:
        """Call `on_change(kind, ref)` for every change, after what it names was forgotten here. It must not block."""
        self._subscribers.append(on_change)

    async def start(self) -> None:
        """Read what routing needs. Raises SQLAlchemyError: a gateway that knows nothing must not start."""
        await self._read_everything()

    async def run(self) -> None:
        """Follow the change feed until cancelled."""
        lost = False
        while True:
            try:
                await self.poll()
                if lost:
                    lost = False
                    log.info("the change feed is followed again")
                await asyncio.sleep(self._pause_s())
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                # Told once, not at each try: a database that is gone is gone for a while.
                if not lost:
                    lost = True
                    log.error("the change feed cannot be followed, trying again", error=type(error).__name__)
                await asyncio.sleep(RETRY_S)
            except Exception as error:
                # Whatever it was: without this task no revocation would be heard of again.
                log.error("the change feed cannot be followed, trying again", exc_info=error)
                await asyncio.sleep(RETRY_S)

    async def poll(self) -> None:
        """Take in the changes since the last time."""
        now_us = self._clock.now_us()
        if now_us - self._polled_at > changes.KEPT_US // 2:
            await self._read_everything()
            # Whatever was missed: who keeps a catalog builds it anew.
            self._tell("model", "")
            return
        async with reading(self._engine) as connection:
            found = await changes.since(connection, self._seen)
        self._polled_at = now_us
        if found:
            await self._take_in(found)
        # Also after changes: there may be some at every look.
        if self._other_prices_hold(now_us):
            await self._read_routes()

    def _other_prices_hold(self, now_us: int) -> bool:
        """Another set of prices holds now than when they were chosen: one has begun, or the clock was set back."""
        if now_us < self.routes.prices_updated_at:
            return True
        return self._next_price_at is not None and self._next_price_at <= now_us

    def _pause_s(self) -> float:
        """Seconds until the next look: a price that begins before is not kept waiting."""
        if self._next_price_at is None:
            return self._poll_s
        ahead_us = self._next_price_at - self._clock.now_us()
        return min(self._poll_s, max(PRICE_PAUSE_S_MIN, ahead_us / 1_000_000))

    async def _take_in(self, found: list[changes.Change]) -> None:
        self._generation += 1
        for change in found:
            self._forget(change)
        if any(change.kind in _ROUTING for change in found):
            await self._read_routes()
        # Only now: a failure above is repeated whole, and forgetting twice does no harm.
        self._seen = found[-1].id
        for change in found:
            self._tell(change.kind, change.ref)

    def _forget(self, change: changes.Change) -> None:
        match change.kind:
            case "key":
                self._unknown.clear()
                hash = self._hash_of.pop(change.ref, None)
                if hash is not None:
                    self._keys.pop(hash, None)
            case "user":
                self._drop([each for each in self._keys.values() if each.user_id == change.ref])
            case "org":
                self._drop([each for each in self._keys.values() if each.org_id == change.ref])
            case _:
                pass

    def _drop(self, records: list[KeyRecord]) -> None:
        for record in records:
            hash = self._hash_of.pop(record.id, None)
            if hash is not None:
                self._keys.pop(hash, None)

    def _tell(self, kind: str, ref: str) -> None:
        for subscriber in self._subscribers:
            subscriber(kind, ref)

    async def _read_everything(self) -> None:
        now_us = self._clock.now_us()
        async with reading(self._engine) as connection:
            # Before what it announces: a change in between is then taken in once more, not missed.
            self._seen = await changes.newest(connection)
        self._generation += 1
        self._keys.clear()
        self._hash_of.clear()
        self._unknown.clear()
        await self._read_routes()
        self._polled_at = now_us

    async def _read_routes(self) -> None:
        self.routes_asked_at = self._clock.now_us()
        async with reading(self._engine) as connection:
            snapshot = await read_routes(
                connection, self._box, self._default_price, self._clock.now_us(), self._shipped
            )
        self._next_price_at = snapshot.next_price_at
        self.routes = snapshot.routes

    async def _read_key(self, hash: str) -> KeyRecord | None:
        generation = self._generation
        async with reading(self._engine) as connection:
            row = await keys.by_hash(connection, hash)
            own: list[CapRow] = []
            shared: list[CapRow] = []
            if row is not None:
                own = await caps.of(connection, row.id)
                if row.org_id is not None:
                    shared = await caps.of(connection, member_id(row.org_id, row.user_id))
        record = None if row is None else key_record(row, own, shared)
        if generation == self._generation:
            self._keep(hash, record)
        return record

    def _keep(self, hash: str, record: KeyRecord | None) -> None:
        if record is None:
            if len(self._unknown) >= UNKNOWN_MAX:
                self._unknown.clear()
            self._unknown[hash] = self._clock.monotonic_ns() + UNKNOWN_NS
            return
        self._keys[hash] = record
        self._hash_of[record.id] = hash
        if len(self._keys) > self._keys_max:
            _, oldest = self._keys.popitem(last=False)
            self._hash_of.pop(oldest.id, None)


def key_record(
    row: keys.KeyAndOwner, caps: Sequence[CapRow] = (), member_caps: Sequence[CapRow] = ()
) -> KeyRecord:
    """A key as requests are checked against it, with its caps on models, and its user's in its org."""
    tier = TIER_CONCURRENCY.get(row.tier, TIER_CONCURRENCY["free"])
    return KeyRecord(
        id=row.id,
        name=row.name,
        user_id=row.user_id,
        org_id=row.org_id,
        account_id=user_wallet(row.user_id) if row.org_id is None else org_wallet(row.org_id),
        group_id=row.group_id,
        quota=row.quota,
        limit_5h=row.limit_5h,
        limit_1d=row.limit_1d,
        limit_7d=row.limit_7d,
        spent=row.spent,
        status=row.status,
        owner_status=row.owner_status,
        org_status=row.org_status or "active",
        expires_at=row.expires_at,
        ip_whitelist=parse_networks(row.ip_whitelist, param="ip_whitelist"),
        ip_blacklist=parse_networks(row.ip_blacklist, param="ip_blacklist"),
        allowed_models=None if row.allowed_models is None else frozenset(row.allowed_models),
        caps=tuple(ModelCap(cap.model, cap.span, cap.amount) for cap in caps),
        member_caps=tuple(ModelCap(cap.model, cap.span, cap.amount) for cap in member_caps),
        concurrency=tier if row.concurrency is None else row.concurrency,
        rpm=row.rpm,
    )
