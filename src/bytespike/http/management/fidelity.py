"""GET /fidelity: what survives between which dialects, for everybody to see."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from bytespike.protocols.fidelity import DIALECT_NAMES, Direction, Feature, Outcome, load_features

router = APIRouter(tags=["public"])


class FeatureView(BaseModel):
    """`pairs`: by the client's dialect, then by the upstream's. `direction`: whether requests say it, answers, or an
    answer that the next request gives back."""

    id: str
    title: str
    group: str
    direction: Direction
    note: str | None
    pairs: dict[str, dict[str, Outcome]]

    @classmethod
    def of(cls, feature: Feature) -> FeatureView:
        return cls(
            id=feature.id,
            title=feature.title,
            group=feature.group,
            direction=feature.direction,
            note=feature.note or None,
            pairs={
                client: {upstream: feature.pairs[client, upstream] for upstream in DIALECT_NAMES}
                for client in DIALECT_NAMES
            },
        )


class FidelityView(BaseModel):
    """`outcomes`: what the words in `pairs` mean."""

    dialects: list[str]
    outcomes: dict[Outcome, str]
    features: list[FeatureView]


_OUTCOMES: dict[Outcome, str] = {
    "native": "the dialect is the same: the bytes pass through",
    "translated": "the other dialect says the same",
    "approximated": "dropped, or said as well as possible, and named in X-ByteSpike-Notices",
    "fetched": "the gateway fetches it and sends it inline",
    "refused": "400 unsupported_feature",
    "absent": "the dialect in which it would have to be said has no words for it",
    "lost": "dropped in silence: a known fault",
}
#: Read once, when the program starts: it is data of the package.
_VIEW = FidelityView(
    dialects=list(DIALECT_NAMES),
    outcomes=_OUTCOMES,
    features=[FeatureView.of(feature) for feature in load_features()],
)


@router.get("/fidelity")
async def fidelity() -> FidelityView:
    """No key is needed."""
    return _VIEW
