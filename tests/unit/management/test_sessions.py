import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from httpx2 import Response

from bytespike.http.management.deps import COOKIE
from tests.support.management import HOST, PASSWORD, Managed, managed

ORIGIN = {"origin": f"https://{HOST}"}


def with_gateway(folder: Path, body: Callable[[Managed], Awaitable[None]], **given: object) -> None:
    async def run() -> None:
        async with managed(folder, **given) as m:
            await body(m)

    asyncio.run(run())


async def login(
    m: Managed, email: str = "ada@example.com", password: str = PASSWORD, **headers: str
) -> Response:
    return await m.client.post("/auth/login", json={"email": email, "password": password}, headers=headers)


def test_a_login_gives_a_cookie_that_scripts_and_other_sites_cannot_use(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        answer = await login(m, "Ada@Example.com")
        assert answer.status_code == 200
        assert answer.json()["user"]["id"] == m.ada.id
        assert answer.headers["cache-control"] == "no-store"
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        for part in ("HttpOnly", "SameSite=lax", "Path=/", f"Max-Age={336 * 3600}"):
            assert part in cookie
        assert "Secure" not in cookie
        assert (await m.client.get("/me/account")).json()["user"]["email"] == "ada@example.com"

    with_gateway(tmp_path, body)


def test_the_cookie_is_secure_where_users_come_over_tls(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        assert "Secure" in (await login(m)).headers["set-cookie"]

    with_gateway(tmp_path, body, public_base_url="https://gateway.test")


def test_a_wrong_login_says_the_same_whoever_it_was_for(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        wrong = await login(m, password="wrong horse battery")
        unknown = await login(m, email="nobody@example.com")
        assert wrong.status_code == unknown.status_code == 401
        assert wrong.json() == unknown.json()
        assert wrong.json()["error"]["code"] == "invalid_api_key"
        assert "set-cookie" not in wrong.headers

    with_gateway(tmp_path, body)


@pytest.mark.slow
def test_after_five_failures_a_pair_waits_and_others_do_not(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        await m.user("bob@example.com")
        statuses = [(await login(m, password="wrong horse battery")).status_code for _ in range(6)]
        assert statuses == [401] * 5 + [429]
        refused = await login(m)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 900
        assert (await login(m, "bob@example.com")).status_code == 200

    with_gateway(tmp_path, body)


@pytest.mark.slow
def test_failures_that_run_at_once_are_counted_too(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        answers = await asyncio.gather(*(login(m, password="wrong horse battery") for _ in range(12)))
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {401, 429}
        # At most one more than allowed is under way when the last of them fails.
        assert 5 <= statuses.count(401) <= 6

    with_gateway(tmp_path, body)


def test_a_write_with_a_cookie_must_come_from_our_own_pages(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        await login(m)
        new = {"name": "k", "group_id": m.group.id}
        for headers in (
            {},
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"origin": f"https://{HOST}.evil"},
        ):
            answer = await m.client.post("/keys", json=new, headers=headers)
            assert answer.status_code == 403, headers
            assert answer.json()["error"]["code"] == "permission_denied"
        assert (await m.client.post("/keys", json=new, headers=ORIGIN)).status_code == 201
        # A key needs no origin: no other site can make a browser send it.
        m.client.cookies.clear()
        assert (await m.client.post("/keys", json=new, headers=m.with_key())).status_code == 201
        assert (await login(m, origin="https://evil.example")).status_code == 403

    with_gateway(tmp_path, body)


def test_logout_ends_the_session_and_the_cookie(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        await login(m)
        token = m.client.cookies[COOKIE]
        answer = await m.client.post("/auth/logout", headers=ORIGIN)
        assert answer.status_code == 204
        assert COOKIE not in m.client.cookies
        m.client.cookies.set(COOKIE, token)
        assert (await m.client.get("/me/account")).status_code == 401

    with_gateway(tmp_path, body)


def test_without_a_session_or_a_key_nothing_is_told(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        for path in (
            "/me/account",
            "/me/available-models",
            "/groups/available",
            "/keys",
            "/keys/key_1",
            "/usage",
        ):
            answer = await m.client.get(path)
            assert answer.status_code == 401, path
            assert answer.json()["error"]["type"] == "authentication_error"
        assert (await m.client.get("/me/account", headers=m.with_key("sk-byts-unknown"))).status_code == 401
        m.client.cookies.set(COOKIE, "made-up")
        assert (await m.client.get("/me/account")).status_code == 401

    with_gateway(tmp_path, body)


UNREADABLE = [
    (b"{", 400),
    (b"[]", 400),
    (b'{"email": "ada@example.com"}', 400),
    (b'{"email": "ada@example.com", "password": 7}', 400),
    (b'{"email": "a", "password": "' + b"x" * 300 + b'"}', 400),
    (b'{"email": "a", "password": "x", "extra": 1}', 400),
    (b" " * (256 * 1024 + 1), 413),
]


def test_a_login_that_cannot_be_read_is_told_in_the_envelope_without_the_password(tmp_path: Path) -> None:
    async def body(m: Managed) -> None:
        headers = {"content-type": "application/json"}
        for content, status in UNREADABLE:
            answer = await m.client.post("/auth/login", content=content, headers=headers)
            assert answer.status_code == status, content[:60]
            assert set(answer.json()["error"]) == {"type", "code", "message", "param"}
            assert "xxx" not in answer.text

    with_gateway(tmp_path, body)
