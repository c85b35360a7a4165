"""Every table. Money is BIGINT micro-dollars, time is BIGINT Unix microseconds, identifiers are text.

Who may write what: `transfers`, `accounts.balance`, `keys.spent`, `usage`, `attempts`, `rollups`, `meters`, `meter_sums`,
`borrowers`, `leases` and `events` are written by the ledger alone; everything else by the control plane. Every control-plane
write adds a row to `changes`, which is how running gateways learn of it.

One file, as long as the list of tables: whoever reads a query looks here for what it reads.
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
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# --- people ----------------------------------------------------------------------------------------------------

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=True),
    Column("role", Text, nullable=False, default="user"),  # user | admin
    Column("tier", Text, nullable=False, default="free"),  # free | pro | max | enterprise
    Column("concurrency", Integer, nullable=True),  # overrides the tier's
    Column("rpm", Integer, nullable=True),
    Column("status", Text, nullable=False, default="active"),  # active | disabled
    Column("created_at", BigInteger, nullable=False),
)

orgs = Table(
    "orgs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False, default="active"),  # active | paused
    Column("created_at", BigInteger, nullable=False),
)

# Who holds keys of an org, and draws on its wallet.
members = Table(
    "members",
    metadata,
    Column("id", Text, primary_key=True),  # "member:<org>/<user>": of whom caps and meters are
    Column("org_id", Text, ForeignKey("orgs.id"), nullable=False),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("role", Text, nullable=False, default="member"),  # owner | admin | member | former
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("org_id", "user_id"),
    Index(None, "user_id"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", Text, primary_key=True),  # SHA-256 of the cookie's value
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

# --- routing ---------------------------------------------------------------------------------------------------

groups = Table(
    "groups",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, unique=True),
    Column(
        "multiplier_ppm", BigInteger, nullable=False, default=1_000_000
    ),  # price multiplier, parts per million
    Column("exclusive", Boolean, nullable=False, default=False),
    Column("status", Text, nullable=False, default="active"),
    Column("created_at", BigInteger, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("group_id", Integer, ForeignKey("groups.id"), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
)

channels = Table(
    "channels",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("platform", Text, nullable=False),
    Column("base_urls", JSON, nullable=False),  # {dialect: URL}; the platform's own where a dialect is absent
    Column("credential", LargeBinary, nullable=False),  # encrypted
    Column("priority", Integer, nullable=False, default=0),  # lower is tried first
    Column("weight", Integer, nullable=False, default=1),
    Column("region", Text, nullable=False, default=""),
    Column("rpm", Integer, nullable=True),
    Column("tpm", Integer, nullable=True),
    Column("enabled", Boolean, nullable=False, default=True),
    Column("disabled_reason", Text, nullable=True),
    Column("proxy", LargeBinary, nullable=True),  # encrypted: proxy URLs hold passwords
    Column("headers", JSON, nullable=False, default=dict),  # extra headers
    Column("timeouts", JSON, nullable=False, default=dict),  # seconds: connect, first_byte, idle, total
    Column("created_at", BigInteger, nullable=False),
)

channel_groups = Table(
    "channel_groups",
    metadata,
    Column("channel_id", Text, ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", Integer, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
)

channel_models = Table(
    "channel_models",
    metadata,
    Column("channel_id", Text, ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True),
    Column("model", Text, primary_key=True),  # the catalog's slug
    Column("upstream_model", Text, nullable=False),
)

prices = Table(
    "prices",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column(
        "channel_id", Text, ForeignKey("channels.id", ondelete="CASCADE"), nullable=True
    ),  # null: every channel
    Column("model", Text, nullable=False),
    Column("rates", JSON, nullable=False),  # pricing.price.Price's integer fields
    Column("effective_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "model", "effective_at"),
)

aliases = Table(
    "aliases",
    metadata,
    Column("pattern", Text, primary_key=True),  # an exact name, or a glob with * and ?
    Column("model", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("thinking", Boolean, nullable=False, server_default=text("false")),
    Column("substitute", Boolean, nullable=False, server_default=text("false")),
    Column("source", Text, nullable=False, server_default=text("'command'")),  # command | file
)

# The operator's models, and what the operator changes of the package's.
models = Table(
    "models",
    metadata,
    Column("slug", Text, primary_key=True),
    Column("definition", JSON, nullable=False),  # catalog.definition.ModelDefinition
    Column("source", Text, nullable=False),  # command | file
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# --- keys ------------------------------------------------------------------------------------------------------

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),  # SHA-256 of the plaintext, hex
    Column("secret", LargeBinary, nullable=False),  # the plaintext, encrypted, for the audited reveal
    Column("masked", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("org_id", Text, ForeignKey("orgs.id"), nullable=True),
    Column("group_id", Integer, ForeignKey("groups.id"), nullable=False),
    Column("quota", BigInteger, nullable=False, default=0),  # 0: unlimited, here and below
    Column("limit_5h", BigInteger, nullable=False, default=0),
    Column("limit_1d", BigInteger, nullable=False, default=0),
    Column("limit_7d", BigInteger, nullable=False, default=0),
    Column("ip_whitelist", JSON, nullable=False, default=list),
    Column("ip_blacklist", JSON, nullable=False, default=list),
    Column("allowed_models", JSON, nullable=True),
    Column("status", Text, nullable=False, default="active"),  # active | disabled | revoked
    Column("expires_at", BigInteger, nullable=True),
    Column("spent", BigInteger, nullable=False, default=0),  # lifetime, posted
    Column("created_at", BigInteger, nullable=False),
    Index(None, "user_id"),
)

# Caps besides a key's own four: a key's on one model, and a member's on all that his keys of the org spend together.
caps = Table(
    "caps",
    metadata,
    Column("subject", Text, primary_key=True),  # a key's id, a member's
    Column("model", Text, primary_key=True),  # the catalog's slug; "": whatever the model
    Column("span", Text, primary_key=True),  # lifetime | 5h | 1d | 7d
    Column("amount", BigInteger, nullable=False),
    CheckConstraint("amount >= 0", name="amount_not_negative"),
    sqlite_with_rowid=False,
)

# --- money -----------------------------------------------------------------------------------------------------

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),  # "wallet:user:<id>", "wallet:org:<id>", "system:revenue", ...
    Column("kind", Text, nullable=False),  # wallet | revenue | external | promotion | held
    Column("balance", BigInteger, nullable=False, default=0),  # credits minus debits
    Column("created_at", BigInteger, nullable=False),
    Column("low_balance", BigInteger, nullable=True),  # below this it is low; null: the setting's
)

transfers = Table(
    "transfers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("debit_account", Text, ForeignKey("accounts.id"), nullable=False),
    Column("credit_account", Text, ForeignKey("accounts.id"), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column(
        "kind", Text, nullable=False
    ),  # topup | refund | admin_credit | admin_debit | subscription_renew | usage | hold | release
    Column("idempotency_key", Text, nullable=False, unique=True),
    Column("input_hash", Text, nullable=False),
    Column("request_id", Text, nullable=True),
    Column("note", Text, nullable=False, default=""),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("amount >= 0", name="amount_not_negative"),
    CheckConstraint("debit_account <> credit_account", name="two_accounts"),
    Index(None, "debit_account", "created_at"),
    # What requests cost is credited to one account, millions of times: nobody looks it up there.
    Index(
        None,
        "credit_account",
        "created_at",
        sqlite_where=text("kind <> 'usage'"),
        postgresql_where=text("kind <> 'usage'"),
    ),
    # What a wallet has set aside is looked up apart from its usage: by two columns, which is why this index is taken.
    Index(
        "ix_transfers_hold",
        "kind",
        "debit_account",
        "created_at",
        sqlite_where=text("kind = 'hold'"),
        postgresql_where=text("kind = 'hold'"),
    ),
    # On SQLite the rows live in the primary key's own tree, which request ids fill from left to right: one tree less
    # to write for each request. So for the next two.
    sqlite_with_rowid=False,
)

usage = Table(
    "usage",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),  # when it was settled
    Column("key_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("org_id", Text, nullable=True),
    Column("account_id", Text, nullable=False),  # the wallet
    Column("group_id", Integer, nullable=False),
    Column("channel_id", Text, nullable=False),
    Column("upstream_provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("requested_model", Text, nullable=False),
    Column("upstream_model", Text, nullable=False),
    Column("protocol", Text, nullable=False),  # the client's dialect
    Column("upstream_protocol", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_5m_tokens", BigInteger, nullable=False),
    Column("cache_write_1h_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("web_searches", BigInteger, nullable=False),
    Column("credits", BigInteger, nullable=False),  # micro-dollars billed
    Column("held", BigInteger, nullable=False),  # micro-dollars held before
    Column("price", JSON, nullable=False),  # the rates that were applied, and their id
    Column("multiplier_ppm", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),  # tokens counted by the gateway, not reported
    Column("end_reason", Text, nullable=False),  # completed | client_gone | out_of_funds
    Column("notices", JSON, nullable=False),
    Column("latency_ms", Integer, nullable=False),
    Column("first_token_ms", Integer, nullable=False),
    Column("images", BigInteger, nullable=False, server_default=text("0")),
    Column("seconds", BigInteger, nullable=False, server_default=text("0")),  # of video
    Index(None, "key_id", "at"),
    Index(None, "user_id", "at"),
    Index(None, "at"),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("channel_id", Text, nullable=False),
    Column("upstream_provider", Text, nullable=False),
    Column("upstream_model", Text, nullable=False),
    Column("status", Integer, nullable=False),  # the upstream's HTTP status, 0: none came
    Column("outcome", Text, nullable=False),  # completed | client_gone | out_of_funds | failed
    Column("error", Text, nullable=False, default=""),  # an error code, never a message of the upstream's
    Column("input_tokens", BigInteger, nullable=False, default=0),
    Column("output_tokens", BigInteger, nullable=False, default=0),
    Column("cost", BigInteger, nullable=False, default=0),  # what the provider will charge, micro-dollars
    Column("latency_ms", Integer, nullable=False),
    Column("first_token_ms", Integer, nullable=False),
    Column("images", BigInteger, nullable=False, server_default=text("0")),
    Column("seconds", BigInteger, nullable=False, server_default=text("0")),  # of video
    Column(
        "reason", Text, nullable=False, server_default=text("''")
    ),  # why this channel: load | affinity | ...
    Column("passed_over", Text, nullable=False, server_default=text("''")),  # "chn_1:resting chn_2:ceiling"
    sqlite_with_rowid=False,
)

# What caps are compared with: sums of usage, kept as the usage is written, so that reading one costs the same however
# many rows there are. A meter begins when the first gateway needs it, with what the rows say then.
meters = Table(
    "meters",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key_id", Text, nullable=False),  # whose spend: a key's id, a member's
    Column("model", Text, nullable=False),  # "": whatever the model
    Column("span_us", BigInteger, nullable=False),  # 0: all time
    Column("bucket_us", BigInteger, nullable=False),
    Index(None, "key_id"),
    sqlite_with_rowid=False,
)

meter_sums = Table(
    "meter_sums",
    metadata,
    Column("meter_id", Text, primary_key=True),
    Column("bucket", BigInteger, primary_key=True),  # time // bucket_us; 0 where the span is all time
    Column("amount", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What usage rows add up to, kept as they are written, so that a page of sums costs the same however many rows there are.
rollups = Table(
    "rollups",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("span_us", BigInteger, primary_key=True),  # an hour or a day
    Column("start", BigInteger, primary_key=True),  # Unix microseconds; hours and days are those of UTC
    Column("model", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("protocol", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_5m_tokens", BigInteger, nullable=False),
    Column("cache_write_1h_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("web_searches", BigInteger, nullable=False),
    Column("credits", BigInteger, nullable=False),
    Column("images", BigInteger, nullable=False, server_default=text("0")),
    Column("seconds", BigInteger, nullable=False, server_default=text("0")),  # of video
    sqlite_with_rowid=False,
)

# --- shared by gateways ----------------------------------------------------------------------------------------

# The processes that spend money here. One is its spool: who holds the spool's lock is the borrower.
borrowers = Table(
    "borrowers",
    metadata,
    Column("id", Text, primary_key=True),  # the spool's
    Column("host", Text, nullable=False),
    Column("spool", Text, nullable=False),  # its folder on that host
    Column("alone", Boolean, nullable=False),  # it has borrowed everything, and leases say nothing of it
    Column("wanted", Boolean, nullable=False),  # somebody else wants to borrow too
    Column("expires_at", BigInteger, nullable=False),
)

# How much of a cap a borrower has: what it has spent and not drained, what it holds, and what it may still hold.
leases = Table(
    "leases",
    metadata,
    Column("cap", Text, primary_key=True),  # see ledger/leases.py
    Column("borrower", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("recalled", Boolean, nullable=False),  # somebody needs what is idle of it
    Column("version", BigInteger, nullable=False),  # another one each time that its borrower writes it
    Column("until", BigInteger, nullable=True),  # counts up to then, whatever became of the borrower
    CheckConstraint("amount >= 0", name="amount_not_negative"),
    Index(None, "borrower"),
    sqlite_with_rowid=False,
)

# --- conversations ---------------------------------------------------------------------------------------------

# Responses that clients may go on from (`previous_response_id`), until they expire.
responses = Table(
    "responses",
    metadata,
    Column("id", Text, primary_key=True),  # as the client knows it
    Column("key_id", Text, nullable=False),
    Column("previous_id", Text, nullable=True),
    Column("channel_id", Text, nullable=False),
    Column("upstream_id", Text, nullable=True),  # as the channel's provider knows it; null: it does not
    Column("input", LargeBinary, nullable=False),  # the request's own items: a JSON array, deflated
    Column("body", LargeBinary, nullable=False),  # the response: a JSON object, deflated
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index(None, "expires_at"),
)

# --- the gateway's own -----------------------------------------------------------------------------------------

changes = Table(
    "changes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column(
        "kind", Text, nullable=False
    ),  # key | user | org | group | channel | price | alias | model | wallet
    Column("ref", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# What has happened that somebody may want to be told of.
events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),  # e.g. "wallet.low_balance"
    Column("subject", Text, nullable=False),  # what it is about, an id
    Column("at", BigInteger, nullable=False),
    Column("payload", JSON, nullable=False),
    Index(None, "kind", "at"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", JSON, nullable=False, default=dict),
)

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),  # e.g. "master_key_check"
    Column("value", Text, nullable=False),
    UniqueConstraint("name"),
)
