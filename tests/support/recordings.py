"""The recorded traffic: where it is, one exchange of it, and what makes no difference in any dialect."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from msgspec import structs

from bytespike.core.content import Part
from bytespike.core.json_types import NO_EXTRAS
from bytespike.core.response import Candidate, ChatResponse

ROOT = Path(os.environ.get("BYTESPIKE_TRAFFIC") or Path(__file__).parents[3] / "shared" / "traffic")


@dataclass(frozen=True)
class Exchange:
    """One recorded exchange. `request`, `answer`: JSON bytes; `stream`: raw SSE; as far as there are any."""

    name: str
    status: int = 200
    request: bytes | None = None
    answer: bytes | None = None
    stream: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def vendor(self) -> str:
        """The folder's name without the dialect's."""
        return self.name.split("/")[-2].removesuffix("-chat").removesuffix("-responses")


E = TypeVar("E", bound=Exchange)


def present() -> bool:
    return ROOT.is_dir()


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def exchange_at(path: Path, kind: Callable[..., E]) -> E:
    """A file that holds a whole exchange, as a `kind` of `Exchange`."""
    told: dict[str, Any] = json.loads(path.read_bytes())
    request, answer, stream = told.get("request"), told.get("response"), told.get("response_stream")
    return kind(
        name=name_of(path),
        status=told["status"],
        request=encode(request) if isinstance(request, dict) else None,
        answer=encode(answer) if answer is not None and stream is None else None,
        stream=stream.encode() if stream is not None else None,
        headers=told.get("response_headers") or {},
    )


def encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def frames(stream: bytes) -> list[bytes]:
    """The stream cut after each event."""
    pieces = stream.split(b"\n\n")
    whole = [piece + b"\n\n" for piece in pieces[:-1]]
    return [*whole, pieces[-1]] if pieces[-1] else whole


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_nulls(member) for member in value]
    return value


def same_but_parts(
    response: ChatResponse, same_parts: Callable[[tuple[Part, ...]], Iterable[Part]]
) -> ChatResponse:
    """An answer in the hub's terms without ids of its own and what readers put aside. `same_parts` says what counts as the
    same of its parts."""
    return ChatResponse(
        id="",
        model="",
        candidates=tuple(
            Candidate(
                tuple(same_parts(candidate.parts)),
                structs.replace(candidate.finish, extras=NO_EXTRAS),
                candidate.logprobs,
            )
            for candidate in response.candidates
        ),
        usage=structs.replace(response.usage, extras=NO_EXTRAS),
    )
