"""What the compiler (mypyc) would take without a word, and make something else of."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


def modules() -> list[str]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    return list(wheel["hooks"]["custom"]["modules"])


def tree_of(module: str) -> ast.Module:
    return ast.parse((ROOT / "src" / f"{module.replace('.', '/')}.py").read_text())


@pytest.mark.parametrize("module", modules())
def test_a_compiled_module_has_nothing_that_means_something_else_when_compiled(module: str) -> None:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ClassDef):
            # Options of a Struct (frozen, array_like, ...) would be dropped: such classes stand in modules that are not compiled.
            assert not node.keywords, node.name
            bases = [ast.unparse(base) for base in node.bases]
            assert not any(base.endswith("Error") or base == "Struct" for base in bases), node.name
            # What `isinstance` found out of one subclass would be believed of all of them.
            assert "ABC" not in bases, node.name
        if isinstance(node, ast.AsyncFunctionDef):
            assert not any(isinstance(each, ast.Yield) for each in ast.walk(node)), node.name


#: Contexts that do not wait at their end.
AT_ONCE = ("asyncio.timeout(", "asyncio.timeout_at(")


def waits(nodes: list[ast.stmt]) -> bool:
    return any(
        isinstance(each, ast.Await | ast.AsyncWith | ast.AsyncFor)
        for node in nodes
        for each in ast.walk(node)
    )


def raises_on(handler: ast.ExceptHandler) -> bool:
    return any(
        isinstance(each, ast.Raise) and each.exc is None for node in handler.body for each in ast.walk(node)
    )


@pytest.mark.parametrize("module", modules())
def test_a_compiled_coroutine_does_not_wait_with_an_exception_that_it_will_raise_on(module: str) -> None:
    """What is being handled is the thread's, not the coroutine's: after a wait it is another's, or nobody's."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Try):
            assert not waits(node.finalbody), node.lineno
            assert not any(waits(each.body) and raises_on(each) for each in node.handlers), node.lineno
        if isinstance(node, ast.AsyncWith):
            assert all(ast.unparse(item.context_expr).startswith(AT_ONCE) for item in node.items), node.lineno


def test_the_list_is_in_order_and_names_nothing_twice() -> None:
    assert modules() == sorted(set(modules()))
