"""Settings from the command line, the environment and the TOML file, or a list of what is wrong with them."""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast, get_type_hints

from pydantic import ValidationError, create_model
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from bytespike.settings.values import ENV_PREFIX, PLAIN_VARIABLES, Settings, described, variables

CONFIG_VARIABLE = "BYTESPIKE_CONFIG"
CONFIG_FILE = "bytespike.toml"
#: Variables with our prefix that are not settings: where the file is, and where the tests find recorded traffic.
NOT_SETTINGS = frozenset({CONFIG_VARIABLE, "BYTESPIKE_TRAFFIC"})
#: A value that is repeated in an error is cut here.
SHOWN_CHARS_MAX = 80


class SettingsError(Exception):
    """The settings are wrong. `problems`: one line for each, ready to print; no secret is in them."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Sources(BaseSettings):
    """Where values come from, the strongest first. `load` makes the model with the fields of `Settings` from it."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", validate_default=False
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        plain = {
            name: os.environ[variable]
            for name, variable in PLAIN_VARIABLES.items()
            if os.environ.get(variable)
        }
        path = _config_path(init_settings())
        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, plain),
            TomlConfigSettingsSource(settings_cls, toml_file=path),
        )


def _config_path(given: Mapping[str, object]) -> Path:
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    data_dir = given.get("data_dir")
    for variable in variables("data_dir"):
        data_dir = data_dir or os.environ.get(variable)
    return Path(str(data_dir or "data")) / CONFIG_FILE


def load(given: Mapping[str, object] | None = None) -> Settings:
    """The settings of this process. `given`: values of the command line; None among them means not given.

    Raises `SettingsError` with every problem that was found, not just the first.
    """
    given = {name: value for name, value in (given or {}).items() if value is not None}
    path = _config_path(given)
    problems = _unknown_variables()
    if os.environ.get(CONFIG_VARIABLE) and not path.is_file():
        problems.append(f"{CONFIG_VARIABLE}: {str(path)!r} is not a file; expected the path of a TOML file")
        raise SettingsError(tuple(problems))
    try:
        model = _MODEL(**given)
    except ValidationError as error:
        problems.extend(
            _problem(each["loc"], each["type"], each["input"], given, path) for each in error.errors()
        )
        raise SettingsError(tuple(problems)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{path}: not a TOML file: {error}")
        raise SettingsError(tuple(problems)) from None
    settings = _complete(Settings(**{name: getattr(model, name) for name, _ in described()}))
    if settings.hold_max_age_s <= settings.total_timeout_s:
        problems.append(
            f"{ENV_PREFIX}HOLD_MAX_AGE_S: {settings.hold_max_age_s:g} is too short; "
            f"expected more than total_timeout_s, which is {settings.total_timeout_s:g}"
        )
    if problems:
        raise SettingsError(tuple(problems))
    return settings


def _complete(settings: Settings) -> Settings:
    data_dir = settings.data_dir.expanduser().absolute()
    own_key_file = settings.master_key_file == Path()
    return dataclasses.replace(
        settings,
        data_dir=data_dir,
        database_url=settings.database_url or f"sqlite:///{data_dir / 'bytespike.db'}",
        master_key_file=data_dir / "master.key"
        if own_key_file
        else settings.master_key_file.expanduser().absolute(),
    )


def _unknown_variables() -> list[str]:
    known = {variable for name, _ in described() for variable in variables(name)} | NOT_SETTINGS
    found = sorted(
        name for name in os.environ if name.upper().startswith(ENV_PREFIX) and name.upper() not in known
    )
    return [f"{name}: not a setting{_nearest(name[len(ENV_PREFIX) :].lower(), ENV_PREFIX)}" for name in found]


def _nearest(name: str, prefix: str = "") -> str:
    """A hint: the setting that is spelt most like `name`, as a variable where a prefix is given."""
    near = difflib.get_close_matches(name, [each for each, _ in described()], n=1, cutoff=0.5)
    if not near:
        return "; `docs/reference/settings.md` lists them all"
    return f"; did you mean {prefix + near[0].upper() if prefix else near[0]}?"


def _problem(
    loc: tuple[int | str, ...], kind: str, value: object, given: Mapping[str, object], path: Path
) -> str:
    """One line for one wrong value, under the name by which it was given."""
    name = str(loc[0])
    facts = dict(described()).get(name)
    if facts is None or kind == "extra_forbidden":
        return f"{name} in {path}: not a setting{_nearest(name)}"
    if name in given:
        where = "--" + name.replace("_", "-")
    else:
        where = next((each for each in variables(name) if os.environ.get(each)), f"{name} in {path}")
    shown = "the value (hidden)" if facts.secret else repr(value)[:SHOWN_CHARS_MAX]
    return f"{where}: {shown} is not acceptable; expected {facts.expected}"


def _model() -> type[_Sources]:
    """The pydantic model with the fields of `Settings`, so that each is written once."""
    hints = get_type_hints(Settings, include_extras=True)
    fields = {field.name: (hints[field.name], field.default) for field in dataclasses.fields(Settings)}
    make = cast("Callable[..., type[_Sources]]", create_model)
    return make("SettingsModel", __base__=_Sources, **fields)


_MODEL = _model()
