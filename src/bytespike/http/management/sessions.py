"""POST /auth/login, POST /auth/logout."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from bytespike.accounts import sessions as service
from bytespike.accounts.passwords import PASSWORD_CHARS_MAX
from bytespike.errors import InvalidKey
from bytespike.http.management.deps import COOKIE, DepsParam, check_origin, client_ip
from bytespike.http.management.views import UserView
from bytespike.http.moments import moment

router = APIRouter(tags=["auth"])

EMAIL_CHARS_MAX = 254


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    email: Annotated[str, Field(max_length=EMAIL_CHARS_MAX)]
    password: Annotated[str, Field(max_length=PASSWORD_CHARS_MAX)]


class LoggedIn(BaseModel):
    user: UserView
    expires_at: str


@router.post("/auth/login")
async def login(body: Login, request: Request, response: Response, deps: DepsParam) -> LoggedIn:
    """Start a session. Raises: InvalidKey, PermissionDenied (from another site), RateLimited."""
    check_origin(deps, request, required=False)
    address, email = client_ip(deps, request), body.email.strip().lower()
    deps.throttle.check(address, email)
    hours = deps.settings.session_hours
    try:
        async with deps.hashing:
            # Again: others may have failed while this one waited for its turn.
            deps.throttle.check(address, email)
            session = await service.login(deps.control, email, body.password, hours=hours)
    except InvalidKey:
        deps.throttle.failed(address, email)
        raise
    deps.throttle.succeeded(address, email)
    response.set_cookie(
        COOKIE,
        session.token,
        max_age=hours * 3600,
        path="/",
        secure=deps.secure,
        httponly=True,
        samesite="lax",
    )
    return LoggedIn(user=UserView.of(session.user), expires_at=moment(session.expires_at))


@router.post("/auth/logout", status_code=204)
async def logout(request: Request, deps: DepsParam) -> Response:
    """End the session of the cookie, if there is one."""
    check_origin(deps, request, required=False)
    token = request.cookies.get(COOKIE)
    if token is not None:
        await service.logout(deps.control, token)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", secure=deps.secure, httponly=True, samesite="lax")
    return response
