"""The tables of images and video tasks. They belong to the same metadata as those of `tables.py`.

Times are Unix microseconds, money is micro-dollars.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from bytespike.store.tables import metadata

__all__ = ["callbacks", "escrows", "metadata", "objects", "task_events", "task_pictures", "tasks"]

# Money that is set aside for longer than a request lasts. It has left the wallet already, for the system's account of
# held money, and counts against every cap; what becomes of it is written once.
escrows = Table(
    "escrows",
    metadata,
    Column("id", Text, primary_key=True),  # what it is for: a task's id
    Column("request_id", Text, nullable=False),  # by which it was held, and is billed
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),  # the wallet that it came from
    Column("key_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("org_id", Text, nullable=True),
    Column("model", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),  # when it was set aside: windows count it from then
    Column("state", Text, nullable=False),  # held | posted | voided
    Column("posted", BigInteger, nullable=False, default=0),  # how much of the amount was billed
    Column("resolved_at", BigInteger, nullable=True),
    CheckConstraint("amount >= 0 AND posted >= 0 AND posted <= amount", name="posted_within_amount"),
    Index("ix_escrows_request_id", "request_id", unique=True),
    Index(None, "key_id", "at"),
    Index(None, "user_id", "at"),
    Index(
        "ix_escrows_held",
        "account_id",
        sqlite_where=text("state = 'held'"),
        postgresql_where=text("state = 'held'"),
    ),
    sqlite_with_rowid=False,
)

# A task is this row; whoever works on it has claimed it. See media/tasks/record.py.
tasks = Table(
    "tasks",
    metadata,
    Column("id", Text, primary_key=True),  # "task_" and a ULID
    Column("key_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("org_id", Text, nullable=True),
    Column("account_id", Text, nullable=False),
    Column("group_id", Integer, nullable=False),
    Column("out_task_id", Text, nullable=True),  # the caller's own name for it
    Column("input_hash", Text, nullable=False),  # of model and params
    Column("surface", Text, nullable=False),  # tasks | videos: in which shape it was submitted
    Column("model", Text, nullable=False),
    Column("requested_model", Text, nullable=False),
    Column("kind", Text, nullable=False),  # image | video
    Column("seconds", Integer, nullable=False, default=0),  # of video, as ordered
    Column("order", JSON, nullable=False),  # media.order.Order: what is to be made, without its pictures
    Column("channel_id", Text, nullable=False),
    Column("upstream_provider", Text, nullable=False),
    Column("upstream_model", Text, nullable=False),
    Column("upstream_id", Text, nullable=True),  # the provider's name for it, once it has told it
    Column("state", Text, nullable=False),  # pending | running | completed | failed | cancelled
    Column("step", Text, nullable=False),  # submit | poll | fetch | settle | done: what is to be done next
    Column("submit_begun", Boolean, nullable=False, default=False),  # a submission may have been sent
    Column("begun_at", BigInteger, nullable=True),  # when
    Column("cancel_asked", Boolean, nullable=False, default=False),
    Column("progress", Integer, nullable=False, default=0),  # percent
    Column("price", JSON, nullable=False),  # pricing.price.Price, fixed at submit
    Column("multiplier_ppm", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("credits", BigInteger, nullable=False, default=0),  # billed
    Column("estimated_seconds", Integer, nullable=False),
    Column("found", JSON, nullable=True),  # where the provider keeps what it made, and whether it charges
    Column("ending", Text, nullable=False, default=""),  # completed | failed | cancelled, once that is known
    Column("output", JSON, nullable=True),
    Column("attempts", JSON, nullable=False),  # ledger.records.Attempt: the submissions, for the books
    Column("error_code", Text, nullable=False, default=""),
    Column("error_message", Text, nullable=False, default=""),
    Column("seq", Integer, nullable=False, default=0),  # of its newest event
    Column("callback_url", Text, nullable=True),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=True),
    Column("finished_at", BigInteger, nullable=True),
    Column("expires_at", BigInteger, nullable=False),  # a task that is not over by then fails
    Column("due_at", BigInteger, nullable=True),  # when its next step is to be taken; null: there is none
    Column("failures", Integer, nullable=False, default=0),  # of its step, in a row
    Column("claimed_by", Text, nullable=True),
    Column("claimed_until", BigInteger, nullable=False, default=0),
    Column(
        "fence", BigInteger, nullable=False, default=0
    ),  # one more with each claim: only the newest may write
    Index("ix_tasks_out_task_id", "key_id", "out_task_id", unique=True),
    Index(
        "ix_tasks_due_at",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index(None, "key_id", "created_at"),
    Index(None, "model", "finished_at"),
    # What is under way at each channel.
    Index(
        "ix_tasks_channel_id",
        "channel_id",
        sqlite_where=text("submit_begun AND step IN ('submit', 'poll')"),
        postgresql_where=text("submit_begun AND step IN ('submit', 'poll')"),
    ),
    sqlite_with_rowid=False,
)

# The pictures of tasks' orders, many megabytes perhaps: only a submission reads them, and no write of a task's row copies
# them. They go when the task is over.
task_pictures = Table(
    "task_pictures",
    metadata,
    Column("task_id", Text, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("pictures", JSON, nullable=False),  # media.order.Picture, an array of them
    sqlite_with_rowid=False,
)

# What a task's watchers are told, in order.
task_events = Table(
    "task_events",
    metadata,
    Column("task_id", Text, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("progress", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# Every try to tell a callback's URL, made or to be made.
callbacks = Table(
    "callbacks",
    metadata,
    Column("task_id", Text, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("attempt", Integer, primary_key=True),  # from 1
    Column("due_at", BigInteger, nullable=True),  # null: it was made
    Column("at", BigInteger, nullable=True),
    Column("status", Integer, nullable=False, default=0),  # what the receiver answered, 0: nothing
    Column("error", Text, nullable=False, default=""),  # an error code
    Column("claimed_by", Text, nullable=True),
    Column("claimed_until", BigInteger, nullable=False, default=0),
    Column("fence", BigInteger, nullable=False, default=0),
    Index(
        "ix_callbacks_due_at",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

# What the object store holds, and until when.
objects = Table(
    "objects",
    metadata,
    Column("id", Text, primary_key=True),  # cannot be guessed
    Column("key_id", Text, nullable=False),
    Column("task_id", Text, nullable=True),
    Column("content_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("width", Integer, nullable=False, default=0),  # pixels, 0: not told
    Column("height", Integer, nullable=False, default=0),
    Column("duration_ms", BigInteger, nullable=True),
    Column("created_at", BigInteger, nullable=False),
    Column("stored_at", BigInteger, nullable=True),  # null: it is not there yet, or never will be
    Column("expires_at", BigInteger, nullable=False),
    Index(None, "expires_at"),
    sqlite_with_rowid=False,
)
