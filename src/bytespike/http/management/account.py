"""GET /me/account: the caller, the wallet that pays, and what may be used."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from bytespike.http.management.deps import CallerParam, DepsParam
from bytespike.http.management.views import OrgView, UserView
from bytespike.ledger import transfers
from bytespike.ledger.amounts import format_usd
from bytespike.store import members, orgs
from bytespike.store.wallets import org_wallet, user_wallet

router = APIRouter(tags=["me"])


class ModelCapView(BaseModel):
    """What the key may spend on a model, USD. `span`: lifetime, or a rolling 5h, 1d or 7d."""

    model: str
    span: str
    limit: str


class AccountView(BaseModel):
    """`balance`: of the wallet that pays for the key that was sent, for a session of the user's own. `org` and `role`
    (owner, admin, member) where that is an organisation's. `allowed_models`: null for all that the group serves.
    `model_caps`: the key's, on single models."""

    user: UserView
    balance: str
    org_id: str | None
    org: OrgView | None
    role: str | None
    allowed_models: list[str] | None
    model_caps: list[ModelCapView]


@router.get("/me/account")
async def account(caller: CallerParam, deps: DepsParam) -> AccountView:
    key = caller.key
    org_id = None if key is None else key.org_id
    wallet = user_wallet(caller.user.id) if org_id is None else org_wallet(org_id)
    allowed = None if key is None or key.allowed_models is None else sorted(key.allowed_models)
    async with deps.control.reading() as connection:
        org = None if org_id is None else await orgs.get(connection, org_id)
        member = (
            None
            if org_id is None
            else await members.get(connection, members.member_id(org_id, caller.user.id))
        )
    return AccountView(
        user=UserView.of(caller.user),
        balance=format_usd(await transfers.balance(deps.control.engine, wallet)),
        org_id=org_id,
        org=None if org is None else OrgView.of(org),
        role=None if member is None or member.role == members.FORMER else member.role,
        allowed_models=allowed,
        model_caps=[
            ModelCapView(model=cap.model, span=cap.span, limit=format_usd(cap.amount))
            for cap in (() if key is None else key.caps)
        ],
    )
