"""The commands of CONTRIBUTING.md that check the code without running it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.for_each import for_each

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "command",
    ["ruff check .", "ruff format --check .", "mypy", "yamllint --strict ."],
)
def test_a_static_check_finds_nothing(command):
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


SOURCES = sorted(
    path
    for folder in ("xferlab", "plugins", "tests", "tools", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)


def packed_assignments(source: str) -> list[str]:
    """Return assignments of several independent values to several names.

    A swap, and values that read each other's names, need one assignment.
    """
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Tuple)
        and isinstance(node.value, ast.Tuple)
        and not any(isinstance(each, ast.Starred) for each in node.value.elts)
        and not names_in(node.targets[0]) & names_in(node.value)
    ]


def names_in(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} - {"self"}


@for_each(SOURCES)
def test_a_line_assigns_one_value(path):
    assert packed_assignments(path.read_text(encoding="utf-8")) == []


def test_packed_assignments_are_found():
    assert packed_assignments("a, b = 1, f(x)\nself.a, b = x, 2") == [
        "a, b = (1, f(x))",
        "self.a, b = (x, 2)",
    ]
    assert packed_assignments("a, b = b, a\na, b = f()\na, b = b, a + b") == []


def test_no_code_is_kept_from_the_formatter():
    skipped = [
        path
        for folder in ("xferlab", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        if "# fmt: " in path.read_text(encoding="utf-8")
    ]
    assert skipped == []
