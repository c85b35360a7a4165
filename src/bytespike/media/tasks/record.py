"""A task: one row, which is the truth about it.

States are what clients see, steps are what is to be done next:

    state     pending ──► running ──► completed
                 │           ├──────► failed
                 └───────────┴──────► cancelled

    step      submit ──► poll ──► fetch ──► settle ──► done
                 │         └────────────────►┘ │
                 └─────────────────────────────┘ (whatever ends without an output goes straight to settle)

Guarantees, whatever dies in the middle of what:

- **One submission.** A worker first commits `submit_begun`, then calls the provider. Who finds it set without an
  `upstream_id` does not know whether the call arrived, so he never repeats it: he looks for the task at the provider
  (`RenderAdapter.find`), and where that is impossible the task fails and costs nothing. What is known not to have arrived
  (no byte was sent; the provider answered 429 or 503; the provider's list does not have it once nothing can be under way
  any more) may be submitted again, elsewhere too.
- **One bill.** The money is in escrow from the transaction that made the row. It is posted or voided in the transaction
  that ends the task, and an escrow resolves once (`ledger/escrow.py`).
- **One ending.** Only the holder of the newest claim may write: every claim adds one to `fence`, and every write names the
  fence that it was made under. A cancellation that comes late finds a task that is over.
- **Nothing is lost.** A claim is a lease. When it runs out the row is due again, for anybody. A restarted process takes up
  its own claims at once: its name goes with its spool, which only one process can have.
- **An end.** A task that is not over by `expires_at` fails.

What a step does may be done twice when its process died before it was written down: a poll asks again, a fetch fetches
again (the first copy is an object that nobody knows, and expires), a callback is delivered again (`callbacks.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from bytespike.ledger.records import Attempt
from bytespike.media.adapter import Made
from bytespike.media.order import Order
from bytespike.pricing.price import Price

State: TypeAlias = Literal["pending", "running", "completed", "failed", "cancelled"]
Step: TypeAlias = Literal["submit", "poll", "fetch", "settle", "done"]
Ending: TypeAlias = Literal["", "completed", "failed", "cancelled"]
Surface: TypeAlias = Literal["tasks", "videos"]

#: States that are left no more.
OVER: frozenset[str] = frozenset({"completed", "failed", "cancelled"})
#: A task's id: this and a ULID.
ID_PREFIX = "task_"
#: A caller's own name for a task.
OUT_TASK_ID_CHARS_MAX = 256
_HASH_BYTES = 16


class Piece(Struct, frozen=True, omit_defaults=True):
    """One file that was made, as the object store has it (`id`). Sizes in pixels, 0, and seconds, None: the file does not
    say. `expires_at`: Unix microseconds."""

    id: str
    content_type: str
    bytes: int
    expires_at: int
    width: int = 0
    height: int = 0
    duration_seconds: float | None = None


class Found(Struct, frozen=True, omit_defaults=True):
    """What a provider said of a render that is over. `made`: where it keeps what it made. `billed`: whether it charges for
    it. `seconds` of video, None: it did not say."""

    made: tuple[Made, ...] = ()
    billed: bool = True
    seconds: int | None = None


class Task(Struct, frozen=True):
    """A row. Money in micro-dollars, times in Unix microseconds, `seconds` of video as ordered, `progress` percent.

    `input_hash`: over model and order (`input_hash`). `order` has what is to be made, `output` what was, None until then. A
    task that was read has no pictures in its order: they may be many megabytes, and only its submission needs them.
    `upstream_provider` the vendor that makes it. `price` and `multiplier_ppm` were fixed at submission; `held` is set
    aside; `credits` is what it cost. `ending`: what becomes of it, once that is known and not yet settled. `seq`: of its newest event.
    `due_at`: when the next step is to be taken, None: there is none.
    """

    id: str
    key_id: str
    user_id: str
    org_id: str | None
    account_id: str
    group_id: int
    out_task_id: str | None
    input_hash: str
    surface: Surface
    model: str
    requested_model: str
    kind: Literal["image", "video"]
    seconds: int
    order: Order
    channel_id: str
    upstream_provider: str
    upstream_model: str
    upstream_id: str | None
    state: State
    step: Step
    submit_begun: bool
    begun_at: int | None
    cancel_asked: bool
    progress: int
    price: Price
    multiplier_ppm: int
    held: int
    credits: int
    estimated_seconds: int
    found: Found | None
    ending: Ending
    output: tuple[Piece, ...] | None
    attempts: tuple[Attempt, ...]
    error_code: str
    error_message: str
    seq: int
    callback_url: str | None
    created_at: int
    updated_at: int
    started_at: int | None
    finished_at: int | None
    expires_at: int
    due_at: int | None
    failures: int
    claimed_by: str | None
    claimed_until: int
    fence: int

    @property
    def over(self) -> bool:
        return self.state in OVER


class TaskEvent(Struct, frozen=True):
    """What a watcher is told. `seq` counts from 1 for each task; `at` Unix microseconds, `progress` percent."""

    task_id: str
    seq: int
    at: int
    state: State
    progress: int


def input_hash(model: str, order: Order) -> str:
    """32 hexadecimal digits over what makes two submissions the same: the model's slug and the order."""
    inputs = msgspec.json.encode({"model": model, "order": order}, order="sorted")
    return blake2b(inputs, digest_size=_HASH_BYTES).hexdigest()


def storable(text: str) -> str:
    """Text that came from elsewhere, as every database takes it: PostgreSQL's has no NUL, and none has half a character."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def columns_of(task: Task) -> Mapping[str, object]:
    """The row as the database takes it: JSON columns as plain values. The order's pictures are in a table of their own."""
    row: dict[str, object] = msgspec.structs.asdict(task)
    row["order"] = msgspec.structs.replace(task.order, pictures=())
    for name in ("order", "price", "found", "output", "attempts"):
        row[name] = msgspec.to_builtins(row[name])
    return row
