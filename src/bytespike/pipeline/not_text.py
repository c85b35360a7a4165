"""A call of a text endpoint that names a model which makes images or videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bytespike.accounts.records import KeyRecord
from bytespike.catalog.models import Model
from bytespike.errors import UnsupportedFeature
from bytespike.pipeline.call import Call

_WHERE: Final[Mapping[str, str]] = {
    "image": "POST /v1/images/generations",
    "video": "POST /v1/tasks/submit",
}


class NotText(UnsupportedFeature):
    """Told as it is, unless whoever serves the endpoint knows better: some models draw inside of a chat answer. Nothing
    has been held yet."""

    def __init__(self, call: Call, key: KeyRecord, model: Model) -> None:
        super().__init__(
            f"{model.slug} is not a text model: it makes {model.kind}s, at {_WHERE.get(model.kind, 'another endpoint')}",
            param="model",
        )
        self.call = call
        self.key = key
        self.model = model
