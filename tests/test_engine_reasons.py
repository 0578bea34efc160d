"""Who starts an engine says why, so that nobody starts one without need."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
OWN = frozenset({"service", "stopped_service", "hasty_service"})
"""Fixtures that are a service of the test's own, where no module has a fixture of that name for all its tests."""
STARTERS = frozenset({"running_seekdb", "ServiceUnderTest", "Application"})
REASON = ("Own service: ", "Own services: ", "Own engine: ", "Own engines: ")


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Tests and fixtures of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (node.name.startswith("test_") or _is_fixture(node)):
            yield node


def _is_fixture(node: ast.FunctionDef) -> bool:
    return any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)


def starts_engines(node: ast.FunctionDef, shared: set[str]) -> bool:
    """Whether a function has a service of its own, or starts one; `shared`: the module's own fixtures."""
    names = {argument.arg for argument in node.args.args}
    called = {each.func.id for each in ast.walk(node) if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)}
    return bool(names & (OWN - shared)) or bool(called & STARTERS)


def test_who_starts_an_engine_says_why() -> None:
    """In the docstring of the test, or of the fixture that several tests share."""
    silent = []
    for path in sorted(TESTS.rglob("*.py")):
        tree = ast.parse(path.read_text())
        shared = {node.name for node in functions(tree) if _is_fixture(node)}
        silent += [
            f"{path.relative_to(TESTS)}::{node.name}"
            for node in functions(tree)
            if starts_engines(node, shared) and not any(reason in (ast.get_docstring(node) or "") for reason in REASON)
        ]

    assert silent == []
