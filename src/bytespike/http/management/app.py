"""The management application: one FastAPI app under /api/v1, with what all its resources share."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI
from starlette.types import ASGIApp

from bytespike.accounts.control import Control
from bytespike.http.inbound.head import Addresses
from bytespike.http.management import (
    account,
    billing,
    dial,
    fidelity,
    groups,
    keys,
    models,
    rollups,
    sessions,
    usage,
)
from bytespike.http.management.deps import Deps
from bytespike.http.management.envelope import add_handlers
from bytespike.http.management.guard import Guarded
from bytespike.http.management.throttle import DialTurns, LoginThrottle
from bytespike.pipeline.parts import Parts
from bytespike.settings import Settings

PREFIX = "/api/v1"
#: Passwords that are hashed at once.
HASHING_MAX = 2


def create_management_app(parts: Parts, control: Control, settings: Settings) -> ASGIApp:
    """The application, to be called with whole paths (/api/v1/…). Its OpenAPI document is /api/v1/openapi.json."""
    app = FastAPI(
        title="ByteSpike management API",
        version="1",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.deps = Deps(
        parts=parts,
        control=control,
        settings=settings,
        addresses=Addresses(settings.trusted_proxies),
        throttle=LoginThrottle(control.clock),
        dials=DialTurns(control.clock),
        hashing=asyncio.Semaphore(HASHING_MAX),
    )
    for resource in (sessions, account, groups, models, keys, usage, rollups, billing, fidelity, dial):
        app.include_router(resource.router, prefix=PREFIX)
    add_handlers(app, parts.dialects["openai_chat"])
    app.add_middleware(Guarded)
    return app
