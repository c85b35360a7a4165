"""Where money is calculated there is no float: no literal, no true division, no conversion. Seconds may be floats, under
a name that says so, in the modules that wait."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import bytespike.catalog.usd
import bytespike.ledger.amounts
import bytespike.pricing.cost

PRICING = Path(bytespike.pricing.cost.__file__).parent
LEDGER = Path(bytespike.ledger.amounts.__file__).parent
CATALOG = Path(bytespike.catalog.usd.__file__).parent
MONEY = [
    *PRICING.glob("*.py"),
    *LEDGER.glob("*.py"),
    *(CATALOG / name for name in ("usd.py", "tiers.py", "models.py", "definition.py")),
]
#: They wait, and their seconds are floats; or they divide paths.
TIMING = {"escrow.py", "ledger.py", "sharing.py", "upkeep.py", "waiting.py", "wake.py"}
PATHS = {"doctor.py", "segments.py", "spool.py"}


def floats(path: Path) -> Iterator[str]:
    seconds: set[int] = set()
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if (
            path.name in TIMING
            and isinstance(node, ast.Assign)
            and all(
                isinstance(target, ast.Name) and target.id.endswith(("_S", "_S_MAX"))
                for target in node.targets
            )
        ):
            seconds.add(id(node.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and id(node) not in seconds:
            yield f"{path.name}:{node.lineno}: {node.value}"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            if path.name not in PATHS | TIMING:
                yield f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Name) and node.id == "float" and path.name not in TIMING:
            yield f"{path.name}:{node.lineno}: float"


def test_money_is_calculated_without_floats() -> None:
    assert len(MONEY) > 30
    assert [found for path in MONEY for found in floats(path)] == []


def test_a_float_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "cost.py"
    for text in (
        "x = 0.5",
        "def f(a: int) -> int:\n    return a / 2",
        "a = float('1')",
        "a /= 3",
        "WAIT_S = 1.0",
    ):
        path.write_text(text)
        assert list(floats(path)), text
