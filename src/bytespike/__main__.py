"""`python -m bytespike`: the command."""

from __future__ import annotations

from bytespike.cli.main import main

if __name__ == "__main__":
    main()
