"""The shape of decoded JSON, for the places where the hub carries a value that it does not interpret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
JSONObject: TypeAlias = "dict[str, JSON]"

#: Fields that one dialect has and the hub does not, by the dialect's name. A writer of the same dialect puts them
#: back; a writer of another dialect names them in a notice if dropping them changes what the model sees.
Extras: TypeAlias = "Mapping[str, JSONObject]"

NO_EXTRAS: Extras = {}
