"""How a command is declared: an async function of a `Desk` and its own options, which returns an `Answer`.

    @command(keys, "list")
    async def list_keys(desk: Desk, user: UserOption = None) -> Answer: ...

`command` adds `--data-dir`, `--database-url` and `--json` to every one, opens the desk, prints the answer, and turns
errors into one line on standard error and an exit code: 1, or 2 where the call itself or the settings were wrong.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import typer
from sqlalchemy.exc import SQLAlchemyError
from typer.core import TyperCommand

from bytespike.accounts.master_key import MasterKeyError
from bytespike.accounts.secrets import SecretUnreadable
from bytespike.catalog.file import CatalogFileError
from bytespike.cli.answer import Answer, show
from bytespike.cli.desk import open_desk
from bytespike.errors import GatewayError
from bytespike.ledger.spool import SpoolLocked
from bytespike.media.objects.backends import StoreUnavailable
from bytespike.pricing.price_file import PriceFileError
from bytespike.settings import SettingsError
from bytespike.store.engine import WrongDatabaseURL

#: Exit codes: something was refused or failed; the call or the settings were wrong.
FAILED = 1
WRONG_USAGE = 2

DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the database and the master key (data).", show_default=False),
]
DatabaseURL: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        help="sqlite:///path or postgresql://user@host/name (bytespike.db in that folder).",
        show_default=False,
    ),
]
AsJSON: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

_COMMON = {"data_dir": (DataDir, None), "database_url": (DatabaseURL, None), "as_json": (AsJSON, False)}

Handler: TypeAlias = Callable[..., Coroutine[object, object, Answer]]
H = TypeVar("H", bound=Handler)


def group(name: str, about: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(name=name, help=about, no_args_is_help=True, add_completion=False)


def command(
    app: typer.Typer,
    name: str,
    *,
    first_run: bool = False,
    epilog: str | None = None,
    cls: type[TyperCommand] | None = None,
) -> Callable[[H], H]:
    """Declare a command of `app`. Its help is the function's docstring. `first_run`: it may make the database. `cls`: reads its
    words in a way of its own."""

    def declare(function: H) -> H:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        def run(**options: object) -> None:
            as_json = bool(options.pop("as_json"))
            given = {name: options.pop(name) for name in ("data_dir", "database_url")}

            async def answer() -> Answer:
                async with open_desk(given, first_run=first_run) as desk:
                    return await function(desk, **options)

            with errors_told():
                found = asyncio.run(answer())
                show(found, as_json=as_json)
            if found.failed:
                raise typer.Exit(FAILED)

        common = [
            inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for each, (kind, default) in _COMMON.items()
        ]
        whole = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own] + common
        # What Typer reads: the function's own options without the desk, and those that all commands have.
        run.__dict__["__signature__"] = inspect.Signature(whole)
        run.__annotations__ = {each.name: each.annotation for each in whole}
        run.__doc__ = function.__doc__
        app.command(name, cls=cls, epilog=epilog)(run)
        return function

    return declare


@contextmanager
def errors_told() -> Generator[None]:
    """Turn the errors that a user can cause into a line on standard error and `typer.Exit`."""
    try:
        yield
    except SettingsError as error:
        _tell(*error.problems)
        raise typer.Exit(WRONG_USAGE) from None
    except WrongDatabaseURL as error:
        _tell(f"database_url: {error}")
        raise typer.Exit(WRONG_USAGE) from None
    except (CatalogFileError, PriceFileError) as error:
        _tell(*error.problems)
        raise typer.Exit(WRONG_USAGE) from None
    except GatewayError as error:
        _tell(error.message if error.param is None else f"{error.param}: {error.message}")
        raise typer.Exit(FAILED) from None
    except StoreUnavailable as error:
        _tell(f"object_store_url: {error}")
        raise typer.Exit(WRONG_USAGE) from None
    except (MasterKeyError, SecretUnreadable, SpoolLocked) as error:
        _tell(str(error))
        raise typer.Exit(FAILED) from None
    except SQLAlchemyError as error:
        # Its own message repeats the statement with its values.
        cause = getattr(error, "orig", None)
        _tell(f"the database failed: {type(cause or error).__name__}: {cause or 'no detail'}")
        raise typer.Exit(FAILED) from None
    except ConnectionError as error:
        # Commands connect to nothing else.
        _tell(f"the database does not answer: {error.strerror or error}")
        raise typer.Exit(FAILED) from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            _tell("address already in use: end what listens there, or choose another port with PORT=")
            raise typer.Exit(FAILED) from None
        _tell(f"{error.filename or 'the system'}: {error.strerror or error}")
        raise typer.Exit(FAILED) from None


def _tell(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(f"bytespike: {line}\n")
