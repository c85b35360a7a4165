"""From the name that a client wrote to the model that it means.

In this order, and the first that matches wins:

1. a model's slug, however its separators and case are written, with or without a vendor prefix;
2. the operator's exact aliases, then the shipped ones, then what vendors call their models;
3. the operator's globs, then the shipped ones; of several, the one with the most literal characters.

A slug always means its own model, so no alias can sell one model under another one's name. Names are bounded and globs
do not backtrack, so matching stays cheap whatever the operator and the client write.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from bytespike.catalog.load import Alias, load_aliases, load_models
from bytespike.catalog.models import Model
from bytespike.catalog.names import NAME_CHARS_MAX, bare, dashed, glob, is_glob, specificity, without_prefix
from bytespike.catalog.resolution import Resolution
from bytespike.errors import ModelNotFound

#: Names that are remembered, found or not. Clients use few; strangers must not fill memory.
NAMES_REMEMBERED = 1024
_SUGGESTIONS = 3
_SUGGESTION_CHARS = 64
_SUGGESTION_CUTOFF = 0.5
_SHOWN_CHARS = 80


class Catalog:
    """Every model and every name for it. Immutable: an operator's change makes a new catalog.

    `models` by slug, in the order of the data files. `problems`: what of the operator's had to be left out, a sentence
    each.
    """

    __slots__ = ("_aliases", "_exact", "_find", "_globs", "_prefixes", "_slugs", "models", "problems")

    def __init__(
        self,
        models: Iterable[Model],
        aliases: Iterable[Alias] = (),
        prefixes: frozenset[str] = frozenset(),
        operator_aliases: Iterable[Alias] = (),
        problems: Iterable[str] = (),
    ) -> None:
        self.models: Mapping[str, Model] = {model.slug: model for model in models}
        self._aliases = tuple(aliases)
        self._prefixes = prefixes
        self._slugs = {bare(slug): slug for slug in self.models}
        self._exact: dict[str, Alias] = {}
        self._globs: list[tuple[re.Pattern[str], Alias]] = []
        self.problems = (*problems, *self._add(operator_aliases), *self._add(self._aliases))
        for model in self.models.values():
            self._exact.setdefault(bare(model.vendor_id), Alias(model.vendor_id, model.slug))
        self._find = lru_cache(maxsize=NAMES_REMEMBERED)(self._look_up)

    def _add(self, aliases: Iterable[Alias]) -> tuple[str, ...]:
        """Rows that were added earlier win, so the operator's come first."""
        problems: list[str] = []
        for alias in sorted(aliases, key=lambda alias: specificity(dashed(alias.pattern))):
            if alias.model not in self.models:
                problems.append(
                    f"the alias {alias.pattern} leads to {alias.model}, which is not in the catalog"
                )
            elif is_glob(alias.pattern):
                self._globs.append((glob(alias.pattern), alias))
            elif bare(alias.pattern) in self._slugs:
                problems.append(f"the alias {alias.pattern} is the name of a model")
            else:
                self._exact.setdefault(bare(alias.pattern), alias)
        return tuple(problems)

    def resolve(self, name: str) -> Resolution:
        """Raises `ModelNotFound`, which suggests the nearest names."""
        if len(name) > NAME_CHARS_MAX:
            raise ModelNotFound(f"a model's name has at most {NAME_CHARS_MAX} characters", param="model")
        found = self._find(name)
        if isinstance(found, Resolution):
            return found
        raise ModelNotFound(found, param="model")

    def with_overrides(
        self, models: Iterable[Model] = (), aliases: Iterable[Alias] = (), problems: Iterable[str] = ()
    ) -> Catalog:
        """This catalog with the operator's models (a slug that exists is replaced) and the operator's aliases.

        A name that an alias of ours gives to another model is the operator's model, where there is one of that name.
        """
        own = {model.slug: model for model in models}
        names = {bare(slug) for slug in own}
        shipped = [alias for alias in self._aliases if bare(alias.pattern) not in names]
        return Catalog({**self.models, **own}.values(), shipped, self._prefixes, aliases, problems)

    def _look_up(self, name: str) -> Resolution | str:
        whole = name.strip()
        stripped = without_prefix(whole, self._prefixes)
        for text in dict.fromkeys((whole, stripped)):
            slug = self._slugs.get(bare(text))
            if slug is not None:
                return Resolution(self.models[slug], name)
            alias = self._exact.get(bare(text))
            if alias is not None:
                return self._resolution(alias, name)
        for text in dict.fromkeys((dashed(whole), dashed(stripped))):
            for pattern, alias in self._globs:
                if pattern.fullmatch(text):
                    return self._resolution(alias, name)
        return self._unknown(name, stripped)

    def _resolution(self, alias: Alias, name: str) -> Resolution:
        return Resolution(self.models[alias.model], name, alias.thinking, alias.substitute)

    def _unknown(self, name: str, stripped: str) -> str:
        shown = name if len(name) <= _SHOWN_CHARS else name[:_SHOWN_CHARS] + "…"
        near = difflib.get_close_matches(
            dashed(stripped[:_SUGGESTION_CHARS]), self.models, _SUGGESTIONS, _SUGGESTION_CUTOFF
        )
        hint = f"; the nearest names are {', '.join(near)}" if near else "; GET /v1/models lists the names"
        return f"the model {shown!r} is not in the catalog{hint}"


def load_catalog() -> Catalog:
    """The catalog that the package ships. Raises `CatalogDataError`."""
    aliases, prefixes = load_aliases()
    return Catalog(load_models(), aliases, prefixes)
