"""An operator's catalog file: models and aliases in TOML, checked as a whole before anything of it is used.

    [[models]]
    slug = "claude-opus-5-5"
    like = "claude-opus-4-8"
    price = { input = "6.00", output = "30.00" }

    [[aliases]]
    model = "claude-opus-4-8"
    names = ["claude-opus-5*"]
    substitute = true

`ModelDefinition` has the fields of a model. Every problem is told at once, each with its line, its model or alias and
its field.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from msgspec import Struct

from bytespike.catalog.definition import ModelDefinition, WrongDefinition, build, check_apart
from bytespike.catalog.load import Alias
from bytespike.catalog.models import Model
from bytespike.catalog.names import NAME_CHARS_MAX, bare, is_glob
from bytespike.errors import GatewayError

#: A longer file is no catalog.
FILE_BYTES_MAX = 4 * 1024 * 1024
ROWS_MAX = 10_000
_TABLES = ("models", "aliases")

#: An exact name or a glob; brackets and braces are not part of it.
_PATTERN = re.compile(rf"[0-9A-Za-z._:/@*?-]{{1,{NAME_CHARS_MAX}}}")
_HEADER = re.compile(r"\s*\[\[\s*(\w+)\s*\]\]")
_FIELD = re.compile(r"\s*([\w-]+)(?:\s*\.\s*[\w-]+)*\s*=")
_WHERE = re.compile(r" - at `\$\.?([^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")


class CatalogFileError(GatewayError):
    """A catalog file is wrong. `problems`: a sentence each, with the file's name and the line."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class AliasRow(Struct, frozen=True, forbid_unknown_fields=True):
    """Several names for one model; see `load.Alias`."""

    model: str
    names: tuple[str, ...]
    thinking: bool = False
    substitute: bool = False


class CatalogFile(Struct, frozen=True):
    """What a file says. `lines`: where each alias stands, by its pattern."""

    name: str
    models: tuple[ModelDefinition, ...]
    aliases: tuple[Alias, ...]
    lines: Mapping[str, int]


def read_catalog_file(name: str, text: str, shipped: Mapping[str, Model]) -> CatalogFile:
    """`name` is how the problems call the file. Raises `CatalogFileError`, with every problem."""
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogFileError((f"{name}: not TOML: {error}",)) from None
    return _Reader(name, text, shipped).read(raw)


def check_pattern(pattern: str) -> str | None:
    """What is wrong with an alias's name, if anything."""
    if not _PATTERN.fullmatch(pattern):
        return "an alias is a model name, in which * and ? may stand for other characters"
    if not pattern.strip("*?"):
        return "this alias would match every name"
    return None


class _Reader:
    def __init__(self, name: str, text: str, shipped: Mapping[str, Model]) -> None:
        self._name = name
        self._shipped = shipped
        self._places = _Places(text)
        self._problems: list[str] = []

    def read(self, raw: dict[str, Any]) -> CatalogFile:
        for unknown in [each for each in raw if each not in _TABLES]:
            self._problems.append(
                f"{self._name}: {unknown[:60]}: unknown; there are [[models]] and [[aliases]]"
            )
        models = self._models(self._rows(raw, "models"))
        aliases, lines = self._aliases(self._rows(raw, "aliases"))
        if self._problems:
            raise CatalogFileError(tuple(self._problems))
        return CatalogFile(self._name, tuple(models), tuple(aliases), lines)

    def _rows(self, raw: dict[str, Any], table: str) -> list[dict[str, Any]]:
        rows: object = raw.get(table, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in cast("list[object]", rows)):
            self._problems.append(f"{self._name}: {table}: expected tables, each headed [[{table}]]")
            return []
        found = cast("list[dict[str, Any]]", rows)
        if len(found) > ROWS_MAX:
            self._problems.append(f"{self._name}: {table}: more than {ROWS_MAX}")
            return []
        return found

    def _models(self, rows: list[dict[str, Any]]) -> list[ModelDefinition]:
        found: dict[str, ModelDefinition] = {}
        for index, row in enumerate(rows):
            title = str(row.get("slug", "a model without slug"))[:100]
            try:
                definition = msgspec.convert(row, ModelDefinition)
                check_apart(definition.slug, [*self._shipped, *found])
                if definition.slug in found:
                    raise WrongDefinition("slug", "it is there twice")
                build(definition, self._shipped, 0)
            except msgspec.ValidationError as error:
                self._wrong("models", index, title, *_told(error))
            except WrongDefinition as error:
                self._wrong("models", index, title, error.field, str(error))
            else:
                found[definition.slug] = definition
        return list(found.values())

    def _aliases(self, rows: list[dict[str, Any]]) -> tuple[list[Alias], dict[str, int]]:
        found: list[Alias] = []
        lines: dict[str, int] = {}
        seen: set[str] = set()
        for index, row in enumerate(rows):
            title = f"alias of {str(row.get('model', 'no model'))[:100]}"
            try:
                alias = msgspec.convert(row, AliasRow)
            except msgspec.ValidationError as error:
                self._wrong("aliases", index, title, *_told(error))
                continue
            if not alias.names:
                self._wrong("aliases", index, title, "names", "expected one at least")
            for pattern in alias.names:
                problem = check_pattern(pattern)
                same = pattern if is_glob(pattern) else bare(pattern)
                if problem is None and same in seen:
                    problem = "it is there twice"
                if problem is not None:
                    self._wrong("aliases", index, title, "names", f"{pattern[:80]!r}: {problem}")
                seen.add(same)
                found.append(Alias(pattern, alias.model, alias.thinking, alias.substitute))
                lines[pattern] = self._places.line("aliases", index, "names")
        return found, lines

    def _wrong(self, table: str, index: int, title: str, field: str, message: str) -> None:
        line = self._places.line(table, index, field.partition(".")[0].partition("[")[0])
        where = f"{self._name}, line {line}" if line else self._name
        self._problems.append(
            f"{where}: {title}: {field}: {message}" if field else f"{where}: {title}: {message}"
        )


class _Places:
    """The lines on which tables and their fields stand, as far as a glance at the text tells."""

    def __init__(self, text: str) -> None:
        self._headers: dict[tuple[str, int], int] = {}
        self._fields: dict[tuple[str, int, str], int] = {}
        counts = dict.fromkeys(_TABLES, 0)
        table = ""
        for number, line in enumerate(text.splitlines(), start=1):
            header = _HEADER.match(line)
            if header is not None:
                table = header.group(1)
                if table in counts:
                    self._headers[table, counts[table]] = number
                    counts[table] += 1
                continue
            field = _FIELD.match(line)
            if field is not None and table in counts:
                self._fields.setdefault((table, counts[table] - 1, field.group(1)), number)

    def line(self, table: str, index: int, field: str) -> int:
        """The line of a field of the row, or of the row where the field is not there; 0: not known."""
        return self._fields.get((table, index, field), self._headers.get((table, index), 0))


def _told(error: msgspec.ValidationError) -> tuple[str, str]:
    """The field and the message of an error of msgspec's."""
    text = str(error)
    where = _WHERE.search(text)
    message = text[: where.start()] if where else text
    field = where.group(1) if where else ""
    unknown = _UNKNOWN.search(message)
    if unknown:
        field = f"{field}.{unknown.group(1)}" if field else unknown.group(1)
        message = "unknown field"
    return field, message[:1].lower() + message[1:]
