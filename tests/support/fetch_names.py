"""Names for tests of fetching: one host that may be reached although it is on this machine, beside the guard itself."""

from __future__ import annotations

from bytespike.upstream.guard import GuardedResolver, Resolver

#: Stands for a public host: the only name that leads to this machine.
PUBLIC_HOST = "files.test"


class OneOpenDoor:
    """The guard, but for `PUBLIC_HOST`, which is 127.0.0.1. Takes the place of `GuardedResolver`."""

    public_only = True

    def __init__(self, inner: Resolver) -> None:
        self._guard = GuardedResolver(inner)

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        return ("127.0.0.1",) if host == PUBLIC_HOST else await self._guard.resolve(host, port)

    def forget(self, host: str) -> None:
        self._guard.forget(host)
