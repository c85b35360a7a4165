"""`bytespike serve`: the gateway, in one process or several."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import typer

from bytespike.app import serve as serve_application
from bytespike.cli.catalog_file import load_standing_file
from bytespike.cli.command import FAILED, DatabaseURL, DataDir, errors_told
from bytespike.cli.handover import pending
from bytespike.cli.supervisor import supervise
from bytespike.settings import load

SERVE_EXAMPLE = (
    "Example: bytespike serve --host 0.0.0.0 --port 8080 --data-dir /var/lib/bytespike. Every setting can also be an "
    "environment variable (BYTESPIKE_PORT) or a line of bytespike.toml in the data directory (port = 8080); "
    "docs/reference/settings.md lists them all."
)


def add_to(app: typer.Typer) -> None:
    """Declare the command on the program itself: it is no group."""
    app.command("serve", epilog=SERVE_EXAMPLE)(serve)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (127.0.0.1).")] = None,
    port: Annotated[str | None, typer.Option(help="Port to listen on (8080); 0 takes a free one.")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseURL = None,
    workers: Annotated[
        str | None, typer.Option(help="Processes that serve together (1); 2 and more have a supervisor.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error (info).")] = None,
    log_format: Annotated[str | None, typer.Option(help="text or json (text).")] = None,
    public_base_url: Annotated[
        str | None, typer.Option(help="The address under which users reach it.")
    ] = None,
    trusted_proxies: Annotated[
        str | None, typer.Option(help="Proxies whose X-Forwarded-For is believed, as CIDRs with commas.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether the settings are right, and start nothing.")
    ] = False,
) -> None:
    """Run the gateway until it is told to stop (SIGINT, SIGTERM). With several workers, SIGHUP restarts it without a gap.

    The first run makes the data directory, the database and the master key. Logs go to standard error. A wrong setting
    stops it with the setting's name and what was expected, and exit code 2.
    """
    given = {
        "host": host,
        "port": port,
        "workers": workers,
        "data_dir": data_dir,
        "database_url": database_url,
        "log_level": log_level,
        "log_format": log_format,
        "public_base_url": public_base_url,
        "trusted_proxies": trusted_proxies,
    }
    with errors_told(), stopped_cleanly():
        settings = load(given)
        if check:
            sys.stdout.write("The settings are right.\n")
            return
        asyncio.run(load_standing_file(settings, given))
        if settings.workers > 1 or pending():
            supervise(settings)
        else:
            serve_application(settings)


@contextmanager
def stopped_cleanly() -> Generator[None]:
    """SIGINT and SIGTERM end the block with everything in it unwound, and the program with exit code 0.

    The HTTP server finishes its requests at the first of them and then raises it once more; the default action of
    SIGTERM would end the process there, before the spool is drained and the database closed.
    """
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except KeyboardInterrupt:
        pass
    except SystemExit as ended:
        # The HTTP server has codes of its own, such as 3 for a port that is taken.
        raise SystemExit(FAILED if ended.code else 0) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: object) -> None:
    raise SystemExit(0)
