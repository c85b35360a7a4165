"""What a transfer is: so many micro-dollars from one account to another, once, for a reason.

Every amount leaves one account (debit) and enters another (credit), so the balances of all accounts add up to zero at
any time. Wallets belong to users and orgs; the other side is one of ours:

    system:external     the world outside: money that was paid in, or paid back
    system:promotion    money that we give or take without anybody paying
    system:revenue      what requests have cost
    system:held         what is set aside for tasks that are not over (`escrow.py`)

A transfer has an idempotency key, unique for ever, and a hash of its inputs: the same key with the same inputs is the
same transfer, and with other inputs a mistake.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "topup", "refund", "admin_credit", "admin_debit", "subscription_renew", "usage", "hold", "release"
]

REVENUE = "system:revenue"
EXTERNAL = "system:external"
PROMOTION = "system:promotion"
HELD = "system:held"

#: Every account that is ours, and its kind.
SYSTEM_ACCOUNTS: tuple[tuple[str, str], ...] = (
    (REVENUE, "revenue"),
    (EXTERNAL, "external"),
    (PROMOTION, "promotion"),
    (HELD, "held"),
)

WALLET_KIND = "wallet"
_HASH_BYTES = 16


def user_wallet(user_id: str) -> str:
    """The account that pays for a user's own keys."""
    return f"wallet:user:{user_id}"


def org_wallet(org_id: str) -> str:
    """The account that pays for an org's keys."""
    return f"wallet:org:{org_id}"


def is_wallet(account_id: str) -> bool:
    return account_id.startswith("wallet:")


def usage_key(request_id: str) -> str:
    """The idempotency key of the transfer that a request's receipt becomes. It is the transfer's id too."""
    return f"usage:{request_id}"


def hold_key(escrow_id: str) -> str:
    """The same of the transfer that sets an escrow's money aside."""
    return f"hold:{escrow_id}"


def release_key(escrow_id: str) -> str:
    """And of the one that gives it back: whole, however much is billed then."""
    return f"release:{escrow_id}"


def input_hash(kind: str, debit: str, credit: str, amount: int, request_id: str, note: str) -> str:
    """32 hexadecimal digits over everything that makes a transfer what it is."""
    inputs = f"{kind}\0{debit}\0{credit}\0{amount}\0{request_id}\0{note}"
    return blake2b(inputs.encode(), digest_size=_HASH_BYTES).hexdigest()
