"""`python -m tests.golden.matrix --write` writes every golden file anew. Read what changed before you commit it."""

from __future__ import annotations

import argparse
import shutil
import sys

from tests.golden.matrix.crossing import EXPECTED, TARGETS, cases, expected_path, golden
from tests.golden.matrix.layout import pretty


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.golden.matrix", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the golden files")
    parser.add_argument("cases", nargs="*", help="only these cases (all)")
    asked = parser.parse_args()
    changed = 0
    for case in cases():
        if asked.cases and case.name not in asked.cases:
            continue
        for target in TARGETS:
            path = expected_path(case, target)
            text = pretty(golden(case, target))
            if path.exists() and path.read_text("utf-8") == text:
                continue
            changed += 1
            sys.stdout.write(f"{path.relative_to(EXPECTED)}\n")
            if asked.write:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, "utf-8")
    known = {case.name for case in cases()}
    for folder in EXPECTED.glob("*"):
        if folder.name not in known and asked.write:
            shutil.rmtree(folder)
    if changed and not asked.write:
        raise SystemExit(f"{changed} golden files differ")


if __name__ == "__main__":
    main()
