"""GET /me/account: the caller, the wallet that pays, and what may be used."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from bytespike.http.management.deps import CallerParam, DepsParam
from bytespike.http.management.views import UserView
from bytespike.ledger import transfers
from bytespike.ledger.amounts import format_usd
from bytespike.store.wallets import org_wallet, user_wallet

router = APIRouter(tags=["me"])


class AccountView(BaseModel):
    """`balance`: of the wallet that pays for the key that was sent, for a session of the user's own. `allowed_models`:
    null for all that the group serves."""

    user: UserView
    balance: str
    org_id: str | None
    allowed_models: list[str] | None


@router.get("/me/account")
async def account(caller: CallerParam, deps: DepsParam) -> AccountView:
    key = caller.key
    org_id = None if key is None else key.org_id
    wallet = user_wallet(caller.user.id) if org_id is None else org_wallet(org_id)
    allowed = None if key is None or key.allowed_models is None else sorted(key.allowed_models)
    return AccountView(
        user=UserView.of(caller.user),
        balance=format_usd(await transfers.balance(deps.control.engine, wallet)),
        org_id=org_id,
        allowed_models=allowed,
    )
