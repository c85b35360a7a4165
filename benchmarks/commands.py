"""Many commands of `bytespike` in one process: `python -m benchmarks.commands < commands.json`.

To import the program takes a second; to run one of its commands takes a tenth. Standard input is a JSON list of lists of
words; standard output a list of what each command printed with `--json`. The first command that fails ends it, with its
exit code, and its own message on standard error.
"""

from __future__ import annotations

import contextlib
import io
import sys

import msgspec

from bytespike.cli.main import main


def run(words: list[str]) -> bytes:
    """One command's output. Raises SystemExit with the command's exit code when it fails."""
    sys.argv = ["bytespike", *words, "--json"]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                raise
    return output.getvalue().encode()


if __name__ == "__main__":
    commands = msgspec.json.decode(sys.stdin.buffer.read(), type=list[list[str]])
    answers = [msgspec.json.decode(run(words)) for words in commands]
    sys.stdout.buffer.write(msgspec.json.encode(answers))
